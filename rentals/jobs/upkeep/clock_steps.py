"""After the machine's clock was set, bring times that now lie too far ahead back to now.

The database says when work is due, until when a hold lasts and when a job last ran. After a step back of an hour all of
these times lie an hour too far ahead. A time is never set further ahead than some seconds, so one that lies further ahead
was written before the step. That needs no memory of the clock: any number of ticks on any number of machines may do it, and
a time that a worker took before the step and writes after it is brought back, too. A step that is smaller than those
seconds delays the work by as much. On PostgreSQL other machines may write times by clocks that differ a little from this
one: `MAX_SKEW_SECONDS` more.

The times that end a wait are the part of `rentals.lifecycle.machine_clock`, the gap between two orders has a clock of its
own in `rentals.upstream.pacing`.
"""

import logging
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import QuerySet
from django.utils import timezone

from lib import clock
from rentals.jobs import background, delivering, outcomes, placing, polling, reconciling, runs
from rentals.lifecycle import machine_clock
from rentals.models import BackgroundJob, Delivery, Destination, JobRun, Rental, Status, Token
from rentals.queries.due import is_anything_ahead
from rentals.upstream import breaker

MAX_SKEW_SECONDS = 5.0
# How often each process looks for times too far ahead while the clock of its own machine goes as it should.
LOOK_SECONDS = 10.0

logger = logging.getLogger(__name__)


_looked_at, _looked_offset = float("-inf"), 0.0


def bring_back_in_turn() -> None:
    """Notice a step of this machine's clock at once, and what another clock or an older worker has written soon."""
    global _looked_at, _looked_offset
    now, offset = time.monotonic(), clock.offset()
    if now - _looked_at > LOOK_SECONDS or abs(offset - _looked_offset) > machine_clock.DRIFT_SECONDS:
        _looked_at, _looked_offset = now, offset
        bring_back()


def bring_back() -> None:
    """Bring back what lies further ahead than it is ever set to. Two queries on an ordinary day."""
    machine_clock.follow()
    now = timezone.now()
    latest_times = {name: now + timedelta(seconds=seconds + skew_seconds()) for name, seconds in _max_ahead().items()}
    if not is_anything_ahead(latest_times):
        return
    for rows, field, name, value in _times(now):
        latest = latest_times[name]
        ahead = list(rows.filter(**{f"{field}__gt": latest}).values_list("pk", flat=True))
        if ahead:
            rows.model._default_manager.filter(pk__in=ahead).update(**{field: value})
            logger.warning("%s: %s rows of %s lay too far ahead", field, len(ahead), rows.model.__name__)


def skew_seconds() -> float:
    """Return by how many seconds the clocks of the machines that share the database may differ."""
    return MAX_SKEW_SECONDS if connection.vendor == "postgresql" else 0.0


def _max_ahead() -> dict[str, float]:
    """Return how many seconds ahead each time is set at most."""
    poll = settings.THUESIM_POLL_SECONDS
    return {
        "queued": max(placing.RETRY_PAUSES),
        "unconfirmed": max(reconciling.RECONCILE_PAUSES),
        "polled": max(outcomes.LATE_POLL_SECONDS, outcomes.COLD_INTERVALS * poll),
        "watched": max(breaker.MAX_PAUSE_SECONDS, polling.MAX_CLAIM_SECONDS, poll),
        "held": breaker.MAX_HOLD_SECONDS,
        "distrusted": polling.HISTORY_DISTRUST_SECONDS,
        "busy": delivering.MAX_CLAIM.total_seconds(),
        # These lie in the past by rights; the seconds are for machines whose clocks differ a little.
        "ran": runs.RETRY_SECONDS,
        "sent": delivering.RETRY_SECONDS[0],
        "alive": background.LOST_SECONDS,
    }


def _times(now: datetime) -> Iterator[tuple[QuerySet[Any], str, str, datetime | None]]:
    """Yield rows, a column of theirs, its name in `_max_ahead`, and what it is brought back to."""
    # With their token, since the index by due time of those that have ended starts with it.
    rentals = Rental.objects.filter(token__in=Token.objects.order_by()).order_by()
    yield rentals.filter(status=Status.QUEUED), "due_at", "queued", now
    yield rentals.filter(status=Status.UNCONFIRMED), "due_at", "unconfirmed", now
    yield rentals.filter(status__in=polling.POLLED), "due_at", "polled", now
    tokens = Token.objects.order_by()
    yield tokens, "next_watch_at", "watched", now
    yield tokens, "hold_until", "held", now
    yield tokens, "history_distrusted_until", "distrusted", now
    yield Destination.objects.order_by(), "busy_until", "busy", now
    yield JobRun.objects.order_by(), "at", "ran", None  # as if it had never run: it is due
    unsent = Delivery.objects.filter(state=Delivery.State.PENDING, attempts=0).order_by()
    yield unsent, "next_try", "sent", now
    running = BackgroundJob.objects.filter(state=BackgroundJob.State.RUNNING).order_by()
    yield running, "alive_at", "alive", now
