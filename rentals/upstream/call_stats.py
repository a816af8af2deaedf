"""How the upstream answers: calls, faults and durations, per token and endpoint and minute.

Counted in memory, which costs a call nothing, and written with a worker's heartbeat. The web process has none: it calls
the upstream only where an admin checks a token, and writes at the end of that.
"""

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from django.db import Error, transaction
from django.db.models import F
from django.db.models.functions import Greatest
from django.utils import timezone

from rentals.models import Token, UpstreamMinute
from thuesim import Call

KEPT = timedelta(hours=24)
# More than this is not held in memory while nobody writes.
MOST_UNWRITTEN = 2000


@dataclass(slots=True)
class _Sum:
    calls: int = 0
    faults: int = 0
    milliseconds: int = 0
    slowest: int = 0

    def add(self, other: "_Sum") -> None:
        self.calls += other.calls
        self.faults += other.faults
        self.milliseconds += other.milliseconds
        self.slowest = max(self.slowest, other.slowest)


_lock = threading.Lock()
_unwritten: dict[tuple[datetime, int, str], _Sum] = {}


def count(token_id: int, call: Call) -> None:
    """Count one call. A refusal such as "out of stock" is an answer; a fault is none, or none that helps."""
    minute = timezone.now().replace(second=0, microsecond=0)
    milliseconds = round(call.seconds * 1000)
    with _lock:
        if len(_unwritten) >= MOST_UNWRITTEN:
            return
        sick = call.fault is not None and call.fault.blames_upstream
        found = _unwritten.setdefault((minute, token_id, call.endpoint[:30]), _Sum())
        found.add(_Sum(1, int(sick), milliseconds, milliseconds))


def write() -> None:
    """Add what was counted to the table, in one transaction; what cannot be written is counted again next time."""
    with _lock:
        taken = dict(sorted(_unwritten.items()))
        _unwritten.clear()
    if not taken:
        return
    try:
        with transaction.atomic():
            _add(taken)
    except Error:
        with _lock:
            for key, value in taken.items():
                _unwritten.setdefault(key, _Sum()).add(value)
        raise


def _add(taken: "dict[tuple[datetime, int, str], _Sum]") -> None:
    known = set(Token.objects.filter(pk__in={token_id for _, token_id, _ in taken}).values_list("pk", flat=True))
    rows = [(key, value) for key, value in taken.items() if key[1] in known]
    UpstreamMinute.objects.bulk_create(
        [UpstreamMinute(minute=minute, token_id=token_id, endpoint=name) for (minute, token_id, name), _ in rows],
        ignore_conflicts=True,
    )
    for (minute, token_id, name), value in rows:
        UpstreamMinute.objects.filter(minute=minute, token=token_id, endpoint=name).update(
            calls=F("calls") + value.calls,
            faults=F("faults") + value.faults,
            milliseconds=F("milliseconds") + value.milliseconds,
            slowest=Greatest(F("slowest"), value.slowest),
        )


def counter(token_id: int) -> "partial[None]":
    """Return what a token's client tells of each of its calls."""
    return partial(count, token_id)


def forget() -> None:
    """Drop what was counted and not yet written."""
    with _lock:
        _unwritten.clear()


def forget_old() -> None:
    """Delete the rows older than `KEPT`."""
    UpstreamMinute.objects.filter(minute__lt=timezone.now() - KEPT).delete()
