"""Retention: texts, codes and recordings of messages, and the callbacks that brought them, are deleted after a while.

The money, the timeline and the rental itself stay. Each batch is a transaction of its own, so that nothing else waits for
long; the next run goes on where one was cut short.
"""

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from accounts.models import AuditRecord, Team
from lib import batches
from lib.files import shared_files
from rentals.models import Callback, Delivery, ExportedCode, Message, Rental

BATCH = 500
# Announce a fade for so long after it happens: the job may run late, and announcing twice is harmless.
FADING = timedelta(seconds=40)
# A message of an expired rental that is delivered again gets today's date. Look for such rows among those of the last day.
DELIVERED_AGAIN = timedelta(days=1)
# How long a delivery stays in its destination's log.
DELIVERIES = timedelta(days=30)
# Younger files may be about to get their row.
BEING_WRITTEN = timedelta(days=1)
logger = logging.getLogger(__name__)


def delete_old_messages(*, batch: int = BATCH) -> int:
    """Delete the messages older than `KEEP_MESSAGES_DAYS`, with their recordings, and the callbacks of that age.

    Returns how many messages were deleted. May run at any time, twice and at once.
    """
    now = timezone.now()
    cutoff = now - timedelta(days=settings.KEEP_MESSAGES_DAYS)
    delivered_again = Q(at__gte=now - DELIVERED_AGAIN, rental__queued_at__lt=cutoff - DELIVERED_AGAIN)
    deleted = 0
    _delete_old_callbacks(cutoff, batch)
    try:
        for old in (Q(at__lt=cutoff), delivered_again):
            deleted += _delete(old, batch)
        _delete_lost_recordings(cutoff)
    except shared_files.Unreachable as error:
        logger.warning("old recordings are not deleted yet: the shared files do not answer (%s)", error)
        for old in (Q(at__lt=cutoff), delivered_again):  # texts do not wait for them
            deleted += _delete(old & Q(audio=""), batch)
    return deleted


def _delete(condition: Q, batch: int) -> int:
    deleted = 0
    for messages in batches.oldest_first(Message.objects.filter(condition), batch, "audio"):
        # The file first: the next run finds a row whose file is gone, but not a file without a row.
        for _at, _pk, audio in messages:
            if audio:
                shared_files.recordings().delete(audio)
        deleted += Message.objects.filter(pk__in=[pk for _at, pk, _audio in messages]).delete()[0]
    return deleted


def _delete_old_callbacks(cutoff: datetime, batch: int) -> None:
    for callbacks in batches.oldest_first(Callback.objects.filter(at__lt=cutoff), batch):
        Callback.objects.filter(pk__in=[pk for _at, pk in callbacks]).delete()


def _delete_lost_recordings(cutoff: datetime) -> None:
    """Delete old recording files without a row: a worker that dies between writing the two leaves one."""
    oldest = min(cutoff, timezone.now() - BEING_WRITTEN)
    files = shared_files.recordings()
    months = [f"{year}/{month}" for year in files.listdir("calls")[0] for month in files.listdir(f"calls/{year}")[0]]
    for month in sorted(month for month in months if month <= f"{oldest:%Y/%m}"):
        names = files.modified(f"calls/{month}")
        old = {name for name, at in names.items() if at < oldest}
        lost = old - set(Message.objects.filter(audio__in=old).values_list("audio", flat=True))
        for name in lost:
            files.delete(name)
        if len(lost) == len(names) and not shared_files.are_remote():  # a bucket has no empty folders
            files.delete(f"calls/{month}")


def delete_old_exports(*, batch: int = BATCH) -> int:
    """Delete which codes an export held once its audit record's own retention has ended. Returns how many were deleted."""
    oldest = AuditRecord.objects.order_by("pk").values_list("pk", flat=True).first()
    if oldest is None:
        return 0
    deleted = 0
    for codes in batches.oldest_first(ExportedCode.objects.filter(record__lt=oldest), batch, by="record"):
        deleted += ExportedCode.objects.filter(pk__in=[pk for _record, pk in codes]).delete()[0]
    return deleted


def delete_old_deliveries(*, batch: int = BATCH) -> int:
    """Delete the deliveries older than `DELIVERIES`, whatever became of them. Returns how many were deleted."""
    old = Delivery.objects.filter(at__lt=timezone.now() - min(DELIVERIES, timedelta(days=settings.KEEP_MESSAGES_DAYS)))
    deleted = 0
    for deliveries in batches.oldest_first(old, batch):
        deleted += Delivery.objects.filter(pk__in=[pk for _at, pk in deliveries]).delete()[0]
    return deleted


def fade() -> int:
    """Announce the rentals whose codes have just faded, in the teams where codes fade. Returns how many."""
    now = timezone.now()
    announced = 0
    for team in Team.objects.filter(codes_fade_minutes__isnull=False):
        faded = now - timedelta(minutes=team.codes_fade_minutes or 0)
        for rental in Rental.objects.filter(team=team, received_at__gt=faded - FADING, received_at__lte=faded):
            rental.announce()
            announced += 1
    return announced
