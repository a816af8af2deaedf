"""Whether a tick has anything to look for: one query, while each kind of due work has one of its own."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from django.db import connection
from django.utils import timezone

# Each part finds at least what its job does, by an index, and may find more. Written as SQL, since building these conditions
# anew each second takes Django ten times as long as a database takes to find nothing.
_ANYTHING = """
SELECT EXISTS (SELECT 1 FROM rentals_rental WHERE status IN ('queued', 'placing', 'unconfirmed', 'waiting'))
    OR EXISTS (SELECT 1 FROM rentals_token t JOIN rentals_rental r ON r.token_id = t.id
        WHERE r.status IN ('expired', 'received') AND r.due_at <= %(now)s)
    OR EXISTS (SELECT 1 FROM rentals_callback WHERE state = 'pending' OR (state = 'unknown' AND at > %(yesterday)s))
    OR EXISTS (SELECT 1 FROM rentals_message WHERE at > %(hours_ago)s AND is_call AND audio = '')
    OR EXISTS (SELECT 1 FROM rentals_delivery WHERE state = 'pending' AND next_try <= %(now)s)
"""
# What `rentals.jobs.upkeep.clock_steps` brings back, found alike.
_ANYTHING_AHEAD = """SELECT EXISTS (SELECT 1 FROM rentals_rental WHERE status = 'queued' AND due_at > %(queued)s)
    OR EXISTS (SELECT 1 FROM rentals_rental WHERE status = 'unconfirmed' AND due_at > %(unconfirmed)s)
    OR EXISTS (SELECT 1 FROM rentals_rental WHERE status = 'waiting' AND due_at > %(polled)s)
    OR EXISTS (SELECT 1 FROM rentals_token t JOIN rentals_rental r ON r.token_id = t.id
        WHERE r.status IN ('expired', 'received') AND r.due_at > %(polled)s)
    OR EXISTS (SELECT 1 FROM rentals_token WHERE next_watch_at > %(watched)s OR hold_until > %(held)s
        OR history_distrusted_until > %(distrusted)s)
    OR EXISTS (SELECT 1 FROM rentals_destination WHERE busy_until > %(busy)s)
    OR EXISTS (SELECT 1 FROM rentals_jobrun WHERE at > %(ran)s)
    OR EXISTS (SELECT 1 FROM rentals_delivery WHERE state = 'pending' AND attempts = 0
        AND next_try > %(sent)s)
    OR EXISTS (SELECT 1 FROM rentals_backgroundjob WHERE state = 'running' AND alive_at > %(alive)s)
"""


def is_anything_due() -> bool:
    """Return whether an order, a number, a callback, a recording or a delivery may be due. False is certain."""
    now = timezone.now()
    return _is_any(
        _ANYTHING, {"now": now, "hours_ago": now - timedelta(hours=3), "yesterday": now - timedelta(days=1, minutes=1)}
    )


def is_anything_ahead(latest_times: Mapping[str, datetime]) -> bool:
    """Return whether a time may lie further ahead than it is ever set to. False is certain."""
    return _is_any(_ANYTHING_AHEAD, latest_times)


def _is_any(statement: str, times: Mapping[str, datetime]) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(statement, {name: connection.ops.adapt_datetimefield_value(at) for name, at in times.items()})
        return bool(cursor.fetchone()[0])
