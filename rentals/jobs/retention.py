"""What is deleted after a while: texts, codes and recordings of messages, and the callbacks that brought them.

The money, the timeline and the rental itself stay. Everything is done in batches, each a transaction of its own, so that
nothing else waits for it; a run that is cut short is finished by the next one.
"""

from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.core.files.storage import default_storage
from django.db.models import Q
from django.utils import timezone

from accounts.models import Team
from rentals.models import Callback, Message, Rental

BATCH = 500
# Screens are told of a code's fading this long after it did, again and again: the tick may be late, and twice is harmless.
FADING = timedelta(seconds=40)
# A message that comes again for a number whose messages are past their time is new by its own date: it is found among
# those of this long.
COME_AGAIN = timedelta(days=1)
# Younger files may be about to get their row.
BEING_WRITTEN = timedelta(days=1)


def delete_old_messages(*, batch: int = BATCH) -> int:
    """Delete the messages older than `KEEP_MESSAGES_DAYS`, with their recordings, and the callbacks of that age.

    Returns how many messages were deleted. May run at any time, twice and at once.
    """
    now = timezone.now()
    cutoff = now - timedelta(days=settings.KEEP_MESSAGES_DAYS)
    again = Q(at__gte=now - COME_AGAIN, rental__queued_at__lt=cutoff - COME_AGAIN)
    deleted = _delete(Q(at__lt=cutoff), batch) + _delete(again, batch)
    _delete_old_callbacks(cutoff, batch)
    _delete_lost_recordings(cutoff)
    return deleted


def _delete(which: Q, batch: int) -> int:
    deleted = 0
    while found := list(Message.objects.filter(which).order_by("at").values_list("pk", "audio")[:batch]):
        # The file first: a row whose file is gone is found again, a file without a row never.
        for _pk, audio in found:
            if audio:
                default_storage.delete(audio)
        deleted += Message.objects.filter(pk__in=[pk for pk, _audio in found]).delete()[0]
    return deleted


def _delete_old_callbacks(cutoff: datetime, batch: int) -> None:
    while found := list(Callback.objects.filter(at__lt=cutoff).order_by("at").values_list("pk", flat=True)[:batch]):
        Callback.objects.filter(pk__in=found).delete()


def _delete_lost_recordings(cutoff: datetime) -> None:
    """Delete the recordings of that age of which no row knows, as after a worker died between the file and the row."""
    oldest = min(cutoff, timezone.now() - BEING_WRITTEN)
    root = Path(settings.MEDIA_ROOT)
    for month in sorted(root.glob("calls/*/*")):
        if not month.is_dir() or month.relative_to(root / "calls").as_posix() > f"{oldest:%Y/%m}":
            continue
        old = {str(path.relative_to(root)) for path in month.iterdir() if path.stat().st_mtime < oldest.timestamp()}
        for name in old - set(Message.objects.filter(audio__in=old).values_list("audio", flat=True)):
            default_storage.delete(name)
        with suppress(OSError):  # not empty yet
            month.rmdir()


def fade() -> int:
    """Tell the screens of the codes that have just faded, in the teams where they do. Returns of how many."""
    now = timezone.now()
    told = 0
    for team in Team.objects.filter(codes_fade_minutes__isnull=False):
        faded = now - timedelta(minutes=team.codes_fade_minutes or 0)
        for rental in Rental.objects.filter(team=team, received_at__gt=faded - FADING, received_at__lte=faded):
            rental.announce()
            told += 1
    return told
