"""How the upstream answers: calls, errors and durations, per token and endpoint and minute.

Counted in memory, which costs a call nothing, and written with a worker's heartbeat. The web process has none: it calls
the upstream only where an admin checks a token, and writes at the end of that.
"""

from collections.abc import Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Greatest
from django.utils import timezone

from lib.tally import Tally
from rentals.models import Token, UpstreamMinute
from thuesim import Call

RETENTION = timedelta(hours=24)
# How many sums are held in memory until they are written.
MAX_UNWRITTEN = 2000

_Key = tuple[datetime, int, str]  # minute, token and endpoint


@dataclass(frozen=True, slots=True)
class _Sum:
    calls: int
    errors: int
    milliseconds: int
    slowest: int

    def __add__(self, other: "_Sum") -> "_Sum":
        return _Sum(
            self.calls + other.calls,
            self.errors + other.errors,
            self.milliseconds + other.milliseconds,
            max(self.slowest, other.slowest),
        )


def _bounded(key: _Key, known: Set[_Key]) -> _Key | None:
    return key if len(known) < MAX_UNWRITTEN else None


_tally: Tally[_Key, _Sum] = Tally(_bounded)


def count(token_id: int, call: Call) -> None:
    """Count one call. A refusal such as "out of stock" is an answer and no error."""
    minute = timezone.now().replace(second=0, microsecond=0)
    milliseconds = round(call.seconds * 1000)
    failed = call.error is not None and call.error.blames_upstream
    _tally.add((minute, token_id, call.endpoint[:30]), _Sum(1, int(failed), milliseconds, milliseconds))


def write() -> None:
    """Add what was counted to the table, in one transaction; what cannot be written is counted again next time."""
    with _tally.taken() as sums:
        if sums:
            with transaction.atomic():
                _add(sums)


def _add(sums: dict[_Key, _Sum]) -> None:
    existing = set(Token.objects.filter(pk__in={token_id for _, token_id, _ in sums}).values_list("pk", flat=True))
    # In one order in every process, so that no two of them wait for each other's rows.
    rows = [(key, sums[key]) for key in sorted(sums) if key[1] in existing]
    UpstreamMinute.objects.bulk_create(
        [UpstreamMinute(minute=minute, token_id=token_id, endpoint=name) for (minute, token_id, name), _ in rows],
        ignore_conflicts=True,
    )
    for (minute, token_id, name), value in rows:
        UpstreamMinute.objects.filter(minute=minute, token=token_id, endpoint=name).update(
            calls=F("calls") + value.calls,
            faults=F("faults") + value.errors,
            milliseconds=F("milliseconds") + value.milliseconds,
            slowest=Greatest(F("slowest"), value.slowest),
        )


def counter(token_id: int) -> "partial[None]":
    """Return the `on_call` hook for the client of a token."""
    return partial(count, token_id)


def forget() -> None:
    """Drop what was counted and not yet written."""
    _tally.forget()


def delete_old() -> None:
    """Delete the rows older than `RETENTION`."""
    UpstreamMinute.objects.filter(minute__lt=timezone.now() - RETENTION).delete()
