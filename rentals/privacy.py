"""What is deleted after a while: texts, codes and recordings of messages, and the callbacks that brought them.

The money, the timeline and the rental itself stay. Everything is done in batches, each a transaction of its own, so that
nothing else waits for it; a run that is cut short is finished by the next one.
"""

from datetime import datetime, timedelta

from django.conf import settings
from django.core.files.storage import default_storage
from django.utils import timezone

from accounts.models import Team
from rentals import live
from rentals.models import Callback, Message, Rental

BATCH = 500
# Screens are told of a code's fading this long after it did, again and again: the tick may be late, and twice is harmless.
FADING = timedelta(seconds=40)


def delete_old_messages(*, batch: int = BATCH) -> int:
    """Delete the messages older than `KEEP_MESSAGES_DAYS`, with their recordings, and the callbacks of that age.

    Returns how many messages were deleted. May run at any time, twice and at once.
    """
    cutoff = timezone.now() - timedelta(days=settings.KEEP_MESSAGES_DAYS)
    deleted = 0
    while found := list(Message.objects.filter(at__lt=cutoff).order_by("pk").values_list("pk", "audio")[:batch]):
        # The file first: a row whose file is gone is found again, a file without a row never.
        for _pk, audio in found:
            if audio:
                default_storage.delete(audio)
        deleted += Message.objects.filter(pk__in=[pk for pk, _audio in found]).delete()[0]
    _delete_old_callbacks(cutoff, batch)
    return deleted


def _delete_old_callbacks(cutoff: datetime, batch: int) -> None:
    while found := list(Callback.objects.filter(at__lt=cutoff).order_by("at").values_list("pk", flat=True)[:batch]):
        Callback.objects.filter(pk__in=found).delete()


def fade() -> int:
    """Tell the screens of the codes that have just faded, in the teams where they do. Returns of how many."""
    now = timezone.now()
    told = 0
    for team in Team.objects.filter(codes_fade_minutes__isnull=False):
        faded = now - timedelta(minutes=team.codes_fade_minutes or 0)
        for rental in Rental.objects.filter(team=team, received_at__gt=faded - FADING, received_at__lte=faded):
            live.announce(rental)
            told += 1
    return told
