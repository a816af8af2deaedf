"""Send what stands in the outbox: at least once, in order for each rental, and no code after its life.

One worker sends to a destination at a time: it claims the destination by `busy_until` and extends that before each request.
A worker that was killed leaves a claim that runs out, and a delivery that is due again.
"""

import random
import threading
import time
from datetime import datetime, timedelta
from functools import cache, partial

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from lib.deduplicating_threads import DeduplicatingThreads
from rentals import destinations, enqueue
from rentals.jobs import delivery_attempt
from rentals.models import Delivery, Destination

RETRY_SECONDS = (5, 30, 120, 600, 3600, 6 * 3600)
JITTER = 0.2
# Longer than one attempt takes: `lib.network.outgoing` takes ten seconds at most, an e-mail ten for each step of SMTP.
ATTEMPT, EMAIL_ATTEMPT = timedelta(seconds=12), timedelta(minutes=2)
# A claim lasts for an attempt and so much longer, in which the next ones need not extend it. A killed worker's claim holds
# its destination until it has run out.
SPARE = timedelta(seconds=5)
MAX_CLAIM = EMAIL_ATTEMPT + SPARE
SWITCH_OFF_AFTER = timedelta(days=5)
# Then another destination's turn comes, on the same thread.
MAX_SECONDS = 20.0
# A receiver may take ten seconds, so a worker has threads for them apart from those that rent and poll.
THREADS = 4

_PENDING = Delivery.State.PENDING
_stopping = threading.Event()


def due_destinations() -> list[int]:
    """Return the destinations to which something is to be sent now. One query."""
    now = timezone.now()
    free = Q(destination__busy_until=None) | Q(destination__busy_until__lte=now)
    due = Delivery.objects.filter(free, state=_PENDING, next_try__lte=now, destination__off_reason="")
    return list(due.values_list("destination", flat=True).order_by().distinct())


@cache
def _threads() -> DeduplicatingThreads:
    return DeduplicatingThreads(THREADS, "deliver")


def deliver_soon(destination_id: int) -> None:
    """Have a thread of this process `deliver`. A receiver that hangs holds up nothing but other receivers."""
    _threads().submit(("deliver", destination_id), partial(deliver, destination_id))


def stop() -> None:
    """Begin no further request: the process is about to exit, and another one goes on at once."""
    _stopping.set()


def deliver(destination_id: int) -> int:
    """Send to a destination what is due, until nothing is, or it fails once. Returns how many attempts were made.

    What came of one attempt and the beginning of the next one are written together: SQLite lets one process write at a time.
    """
    begun, attempts, well = time.monotonic(), 0, True
    if not _free(destination_id).exists():
        return 0
    with transaction.atomic():
        claim = _claim(destination_id)
        delivery, claim = _begin_next(destination_id, claim) if claim is not None else (None, None)
    while delivery is not None:
        started = time.monotonic()
        outcome = delivery_attempt.send(delivery)
        attempts, well = attempts + 1, outcome.is_delivered
        with transaction.atomic():
            _write_down(delivery, outcome, milliseconds=round(1000 * (time.monotonic() - started)))
            goes_on = well and time.monotonic() - begun < MAX_SECONDS and not _stopping.is_set()
            delivery, claim = _begin_next(destination_id, claim, goes_on=goes_on)
    # What was written since has sent its message to a destination that was busy.
    if attempts and well and _due(destination_id).exists():
        enqueue.deliver(destination_id)
    return attempts


def _begin_next(
    destination_id: int, claim: datetime | None, *, goes_on: bool = True
) -> tuple[Delivery | None, datetime | None]:
    """Begin the next delivery. Returns it, with the claim for it; where there is none, or where not `goes_on`, the claim
    ends."""
    while claim is not None and goes_on and (delivery := _next(destination_id)) is not None:
        claim = _extend(delivery.destination, claim)
        if claim is not None and _begin(delivery):
            return delivery, claim
    if claim is not None:
        Destination.objects.filter(pk=destination_id, busy_until=claim).update(busy_until=None)
    return None, None


def _free(destination_id: int) -> QuerySet[Destination]:
    """Return the destination where it is switched on and no worker has it."""
    free = Q(busy_until=None) | Q(busy_until__lte=timezone.now())
    return Destination.objects.filter(free, pk=destination_id, off_reason="")


def _claim(destination_id: int) -> datetime | None:
    """Claim a destination that is switched on; None where another worker has it."""
    until = timezone.now() + ATTEMPT + SPARE
    return until if _free(destination_id).update(busy_until=until) else None


def _longest(destination: Destination) -> timedelta:
    """Return how long one attempt may take."""
    return EMAIL_ATTEMPT if destination.kind == Destination.Kind.EMAIL else ATTEMPT


def _extend(destination: Destination, claim: datetime) -> datetime | None:
    """Return a claim that lasts for an attempt; None where it was lost, as by a worker that stood still, or the destination
    is switched off."""
    now = timezone.now()
    if destination.is_on and claim >= now + _longest(destination):
        return claim
    until = now + _longest(destination) + SPARE
    ours = Destination.objects.filter(pk=destination.pk, busy_until=claim, off_reason="")
    return until if ours.update(busy_until=until) else None


def _due(destination_id: int) -> QuerySet[Delivery]:
    """Return what is due, the earliest first. Of one rental only the first event that is not delivered yet."""
    earlier = Delivery.objects.filter(
        destination=OuterRef("destination"), rental=OuterRef("rental"), state=_PENDING, pk__lt=OuterRef("pk")
    )
    due = Delivery.objects.filter(destination=destination_id, state=_PENDING, next_try__lte=timezone.now())
    return due.exclude(Exists(earlier)).order_by("next_try", "pk")


def _next(destination_id: int) -> Delivery | None:
    """Return the next delivery to send, and drop those whose time is over."""
    now = timezone.now()
    over = Delivery.objects.filter(destination=destination_id, state=_PENDING, drop_after__lt=now)
    if over.exists():  # reading alone leaves SQLite's one writer to others
        over.update(state=Delivery.State.DROPPED)
    return _due(destination_id).select_related("destination__team", "message").first()


def _begin(delivery: Delivery) -> bool:
    """Count an attempt before it is made. Should this worker die, it is due again when the claim has run out."""
    now = timezone.now()
    unchanged = Delivery.objects.filter(pk=delivery.pk, state=_PENDING, attempts=delivery.attempts)
    if not unchanged.update(
        attempts=F("attempts") + 1, tried_at=now, next_try=now + _longest(delivery.destination) + SPARE
    ):
        return False
    delivery.attempts += 1
    return True


def _write_down(delivery: Delivery, outcome: delivery_attempt.Outcome, *, milliseconds: int) -> None:
    """Write down what came of an attempt."""
    now = timezone.now()
    values = {
        "status": outcome.status,
        "problem": outcome.problem,
        "answer": outcome.answer,
        "milliseconds": milliseconds,
        **_after(delivery, outcome, now),
    }
    # A manager may have had it sent again meanwhile: then that stands.
    Delivery.objects.filter(pk=delivery.pk, state=_PENDING, attempts=delivery.attempts).update(**values)
    _note(delivery.destination, outcome, now)


def _after(delivery: Delivery, outcome: delivery_attempt.Outcome, now: datetime) -> dict[str, object]:
    """Return how a delivery goes on."""
    if outcome.is_delivered:
        return {"state": Delivery.State.DELIVERED}
    if delivery.attempts > len(RETRY_SECONDS):
        return {"state": Delivery.State.FAILED}
    seconds = RETRY_SECONDS[delivery.attempts - 1] * (1 + random.uniform(0, JITTER))  # noqa: S311 - spreads, hides nothing
    next_try = now + timedelta(seconds=seconds)
    if delivery.drop_after is not None and next_try > delivery.drop_after:
        return {"state": Delivery.State.DROPPED}
    return {"next_try": next_try}


def _note(destination: Destination, outcome: delivery_attempt.Outcome, now: datetime) -> None:
    """Note on a destination how it does, and switch it off where it is gone for good or has failed for days."""
    row = Destination.objects.filter(pk=destination.pk)
    if outcome.is_delivered:
        if destination.failing_since is not None:
            row.update(failing_since=None)
    elif outcome.is_gone:
        destinations.switch_off(destination, Destination.OffReason.GONE)
    elif destination.failing_since is None:
        row.filter(failing_since=None).update(failing_since=now)
    elif now - destination.failing_since > SWITCH_OFF_AFTER:
        destinations.switch_off(destination, Destination.OffReason.FAILING)
