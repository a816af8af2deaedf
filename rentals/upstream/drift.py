"""Keeping, counted and bounded, in what ways the upstream's replies differ from its page."""

import logging
import threading
import time
from dataclasses import dataclass

from django.db import Error, connection, transaction
from django.db.models import F
from django.utils import timezone

from rentals.models import ContractDrift
from thuesim import Drift

FORMS_PER_ENDPOINT = 200
ENDPOINTS = 50
SAMPLE_LENGTH = 2000
OTHER = "other differences"
WRITE_EVERY_SECONDS = 10.0

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Tally:
    sample: str
    unwritten: int = 0
    due_at: float = float("-inf")


_lock = threading.Lock()
_tallies: dict[tuple[str, str], _Tally] = {}


def record(drift: Drift) -> None:
    """Count one difference; never raises for want of a database.

    The first of its kind is written at once, later ones as a sum, at most every ten seconds per process. Inside a
    transaction the writing waits for its commit; after a rollback it goes with the next difference. A process that ends
    takes at most the last unwritten additions to a count with it, never a kind.
    """
    with _lock:
        key = _bounded(_storable(drift.endpoint, 30), _storable(drift.form, 200))
        tally = _tallies.setdefault(key, _Tally(_storable(drift.sample, SAMPLE_LENGTH)))
        tally.unwritten += 1
        due = any(t.unwritten and t.due_at <= time.monotonic() for t in _tallies.values())
    if not due:
        return
    if connection.in_atomic_block:
        transaction.on_commit(write_due, robust=True)
    else:
        write_due()


def write_due() -> None:
    """Add what has been counted and is due to the table. Three queries for a new kind, one for a known one."""
    for (endpoint, form), tally, count in _take_due():
        try:
            _add(endpoint, form, tally.sample, count)
        except Error as error:
            logger.warning("contract drift could not be written: %s", type(error).__name__)
            with _lock:
                tally.unwritten += count


def forget() -> None:
    """Drop what has been counted and not yet written, and the memory of what was written when."""
    with _lock:
        _tallies.clear()


def _take_due() -> list[tuple[tuple[str, str], _Tally, int]]:
    """Take what is due, with its count; nothing of it is due again for the next ten seconds."""
    now = time.monotonic()
    taken = []
    with _lock:
        for key, tally in _tallies.items():
            if tally.unwritten and tally.due_at <= now:
                taken.append((key, tally, tally.unwritten))
                tally.unwritten, tally.due_at = 0, now + WRITE_EVERY_SECONDS
    return taken


def _add(endpoint: str, form: str, sample: str, count: int) -> None:
    now = timezone.now()
    rows = ContractDrift.objects.filter(endpoint=endpoint)
    if rows.filter(form=form).update(count=F("count") + count, last_at=now):
        return
    if rows.count() >= FORMS_PER_ENDPOINT - 1:
        form = OTHER
    row, _ = ContractDrift.objects.get_or_create(
        endpoint=endpoint, form=form, defaults={"sample": sample, "first_at": now, "last_at": now}
    )
    ContractDrift.objects.filter(pk=row.pk).update(count=F("count") + count, last_at=now)


def _bounded(endpoint: str, form: str) -> tuple[str, str]:
    """Return the key to count under, so that memory is bounded too. Call it with the lock held."""
    if (endpoint, form) in _tallies:
        return endpoint, form
    endpoints = {known for known, _ in _tallies}
    if endpoint not in endpoints and len(endpoints) >= ENDPOINTS:
        endpoint = OTHER
    if sum(known == endpoint for known, _ in _tallies) >= FORMS_PER_ENDPOINT - 1:
        form = OTHER
    return endpoint, form


def _storable(text: str, length: int) -> str:
    """Return `text` cut, and without what a database refuses: NUL and halves of surrogate pairs."""
    return text[: length * 2].replace("\0", "").encode(errors="replace").decode()[:length]
