"""After the wall clock of this machine was set, shift the stored times at which waits end; book no refund by guess.

Times in the database are those of the wall clock. Between a step and the tick that notices it `is_followed` is False, and
nothing is ended by the clock. Smaller changes than `STEP_SECONDS` are the slewing of NTP.
"""

import logging
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone

from lib import clock
from rentals.lifecycle import reasons
from rentals.models import BalanceReading, EventKind, MachineClock, Rental, RentalEvent, Status

STEP_SECONDS = 2.0
DRIFT_SECONDS = 0.2
# For so long after a step, and as long as the step was, a refund may be of a rental that ended before it.
MONEY_UNCLEAR = timedelta(minutes=25)
# A number that turns up late is still matched with an order that was given up this recently.
LATE_EVIDENCE = timedelta(hours=24)

logger = logging.getLogger(__name__)


def follow() -> None:
    """Notice a step of the wall clock, once for all processes of the machine, and bring the times along. One query else."""
    boot, offset = clock.boot(), clock.offset()
    if not boot:
        return
    known = MachineClock.objects.filter(boot=boot).first()
    if known is None:
        MachineClock.objects.get_or_create(boot=boot, defaults={"offset": offset})
        return
    seconds = offset - known.offset
    same = MachineClock.objects.filter(pk=known.pk, offset=known.offset)
    if abs(seconds) >= STEP_SECONDS:
        step = timedelta(seconds=seconds)
        now = timezone.now()
        unclear = now + MONEY_UNCLEAR + abs(step)
        with transaction.atomic():
            if same.update(offset=offset, stepped_at=now, money_unclear_until=unclear):
                _bring_along(step, now)
                logger.warning("the clock of this machine was set by %+.0f s: waits go on", seconds)
    elif abs(seconds) > DRIFT_SECONDS:
        same.update(offset=offset)


def is_followed() -> bool:
    """Whether no step of this machine's clock is still to be noticed."""
    known = MachineClock.objects.filter(boot=clock.boot()).values_list("offset", flat=True).first()
    return known is None or abs(clock.offset() - known) < STEP_SECONDS


def set_since(at: datetime) -> bool:
    """Whether a clock was set after `at`, by the clock as it goes now, or just now."""
    return not is_followed() or MachineClock.objects.filter(stepped_at__gt=at).exists()


def money_is_unclear(at: datetime) -> bool:
    """Whether money that moved at `at` is asked about rather than booked, since a clock was set not long before."""
    return MachineClock.objects.filter(money_unclear_until__gt=at).exists()


def of_this_machine(kind: EventKind = EventKind.ASKED) -> Q:
    """Match the rentals that this machine has placed since it was booted, or ordered: the times of that are by its clock."""
    events = RentalEvent.objects.filter(rental=OuterRef("pk"), kind=kind)
    return Q(Exists(events.filter(detail__boot=clock.boot())))


def of_another_machine() -> Q:
    """Match the rentals that were placed by another machine, or before this one was booted."""
    asked = RentalEvent.objects.filter(rental=OuterRef("pk"), kind=EventKind.ASKED)
    return Q(Exists(asked)) & ~of_this_machine()


def _bring_along(step: timedelta, now: datetime) -> None:
    given_up = Q(status=Status.REFUSED, reason=reasons.NOT_TAKEN, attempt_at__gt=now - LATE_EVIDENCE - abs(step))
    rentals = Rental.objects.filter(Q(status__in=Status.open()) | Q(due_at__isnull=False) | given_up).order_by()
    _shift(rentals, step, EventKind.ORDERED, ["keep_trying_until"], ["keep_trying_until"])
    _shift(rentals, step, EventKind.ASKED, ["attempt_at", "placed_at", "expires_at"], ["expires_at"])
    # The readings so far are compared with nothing any more: what they have not explained is asked about.
    readings = BalanceReading.objects.filter(expected__isnull=False)
    readings = readings.filter(pk__gte=Coalesce(F("token__explained_reading"), 0)).order_by()
    pks = list(readings.values_list("pk", flat=True))
    BalanceReading.objects.filter(pk__in=pks).update(expected=None)


def _shift(rentals: QuerySet[Rental], step: timedelta, kind: EventKind, ours: list[str], others: list[str]) -> None:
    """Move the columns `ours` of the rentals that this machine wrote. Of the others only `others`, and only to later: the
    clock by which they were written may be right, and they end later then, unless the upstream says so."""
    pks = list(rentals.filter(of_this_machine(kind)).values_list("pk", flat=True))
    Rental.objects.filter(pk__in=pks).update(**{name: F(name) + step for name in ours})
    if step > timedelta(0):
        rentals.exclude(pk__in=pks).update(**{name: F(name) + step for name in others})
