"""The panels beside the form on a token's admin page: status, queue, balance over time, errors, callback addresses."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Q
from django.utils import timezone

from lib.charts import StepChart, step_chart
from lib.formats import dong
from rentals.models import BalanceReading, Hold, Status, Token
from rentals.queries.call_statistics import EndpointCalls, calls_by_endpoint
from rentals.upstream import breaker, callback_addresses

SHOWN = timedelta(days=1)
# The balance is read twice a minute: a day of it, and some to spare.
MAX_READINGS = 5000
MAX_LINES = 10

Reading = tuple[datetime, int, int | None]


def panels(token: Token) -> dict[str, Any]:
    """Return the template's context. Eight queries, however long the token's history is."""
    hold = breaker.hold_of(token)
    counted = token.rentals.order_by().filter(status__in=[Status.QUEUED, *Status.holding_a_place()])
    counts = counted.aggregate(
        queued=Count("pk", filter=Q(status=Status.QUEUED)),
        waiting=Count("pk", filter=~Q(status=Status.QUEUED)),
    )
    readings = _readings(token)
    return {
        "token": token,
        "hold": hold,
        "is_held": hold not in {Hold.NONE, Hold.PAUSED},
        "balance": dong(token.balance),
        **counts,
        "chart": _chart(readings),
        "readings": [
            (at, dong(balance), dong(expected), dong(None if expected is None else balance - expected))
            for at, balance, expected in list(_steps(readings))[-MAX_LINES:][::-1]
        ],
        "endpoints": _endpoints(token),
        "job_runs": token.job_runs.order_by("-at")[:MAX_LINES],
        "addresses": (addresses := list(callback_addresses.valid_addresses(token)[:MAX_LINES])),
        "replaced": [address for address in addresses if address.expires_at],
        "latest_callback": token.callbacks.order_by("-at").values_list("at", flat=True).first(),
    }


def _readings(token: Token) -> list[Reading]:
    """The readings of the last day, the oldest first; if there are none, the latest of all."""
    readings = BalanceReading.objects.filter(token=token).values_list("at", "balance", "expected").order_by("-at")
    recent = list(readings.filter(at__gt=timezone.now() - SHOWN)[:MAX_READINGS])
    return [(at, balance, expected) for at, balance, expected in reversed(recent or list(readings[:1]))]


def _steps(readings: Iterable[Reading]) -> Iterator[Reading]:
    """Yield the readings that differ from the one before."""
    last: tuple[int, int | None] | None = None
    for at, balance, expected in readings:
        if (balance, expected) != last:
            yield at, balance, expected
        last = balance, expected


def _chart(readings: list[Reading]) -> StepChart | None:
    steps = [(at, balance) for at, balance, _expected in _steps(readings)]
    return step_chart(steps, until=timezone.now()) if len(steps) > 1 else None


def _endpoints(token: Token) -> list[EndpointCalls]:
    """The calls of the last day, the endpoints with the most errors first."""
    endpoints = calls_by_endpoint([token], within=SHOWN).get(token.pk, [])
    return sorted(endpoints, key=lambda endpoint: -endpoint.errors)
