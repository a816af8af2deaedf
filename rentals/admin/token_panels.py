"""What stands on a token's admin page beside its form: state, queue, the balance's course, faults, callback addresses."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Max, Q, Sum
from django.utils import timezone

from lib.charts import StepChart, step_chart
from lib.formats import dong
from rentals.models import BalanceReading, Hold, Status, Token, UpstreamMinute
from rentals.upstream import breaker, callback_addresses

SHOWN = timedelta(days=1)
# The balance is read twice a minute: a day of it, and some to spare.
MOST_READINGS = 5000
MOST_LINES = 10

Reading = tuple[datetime, int, int | None]


@dataclass(frozen=True, slots=True)
class Faults:
    """The calls of one endpoint in the last day."""

    endpoint: str
    calls: int
    faults: int
    mean_ms: int
    slowest_ms: int


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
            for at, balance, expected in list(_steps(readings))[-MOST_LINES:][::-1]
        ],
        "upstream": _upstream(token),
        "job_runs": token.job_runs.order_by("-at")[:MOST_LINES],
        "addresses": (addresses := list(callback_addresses.valid_addresses(token)[:MOST_LINES])),
        "replaced": [address for address in addresses if address.expires_at],
        "latest_callback": token.callbacks.order_by("-at").values_list("at", flat=True).first(),
    }


def _readings(token: Token) -> list[Reading]:
    """The readings of the last day, the oldest first; where there are none, the last one that there is."""
    found = BalanceReading.objects.filter(token=token).values_list("at", "balance", "expected").order_by("-at")
    recent = list(found.filter(at__gt=timezone.now() - SHOWN)[:MOST_READINGS])
    return [(at, balance, expected) for at, balance, expected in reversed(recent or list(found[:1]))]


def _steps(readings: Iterable[Reading]) -> Iterator[Reading]:
    """Those of the readings that say something else than the one before."""
    last: tuple[int, int | None] | None = None
    for at, balance, expected in readings:
        if (balance, expected) != last:
            yield at, balance, expected
        last = balance, expected


def _chart(readings: list[Reading]) -> StepChart | None:
    steps = [(at, balance) for at, balance, _expected in _steps(readings)]
    return step_chart(steps, until=timezone.now()) if len(steps) > 1 else None


def _upstream(token: Token) -> list[Faults]:
    since = timezone.now() - SHOWN
    rows = (
        UpstreamMinute.objects.filter(token=token, minute__gt=since)
        .values("endpoint")
        .annotate(n=Sum("calls"), bad=Sum("faults"), ms=Sum("milliseconds"), worst=Max("slowest"))
        .order_by("-bad", "endpoint")
    )
    return [
        Faults(row["endpoint"], row["n"], row["bad"], round(row["ms"] / max(row["n"], 1)), row["worst"]) for row in rows
    ]
