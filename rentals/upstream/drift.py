"""Keeping, counted and bounded, in what ways the upstream's replies differ from its page."""

import logging
from collections.abc import Set
from dataclasses import dataclass

from django.db import Error, connection, transaction
from django.db.models import F
from django.utils import timezone

from lib.tally import Tally
from rentals.models import ContractDrift
from thuesim import Drift

FORMS_PER_ENDPOINT = 200
ENDPOINTS = 50
SAMPLE_LENGTH = 2000
OTHER = "other differences"
WRITE_EVERY_SECONDS = 10.0

logger = logging.getLogger(__name__)

_Key = tuple[str, str]  # endpoint and form


@dataclass(frozen=True, slots=True)
class _Seen:
    """How often a difference was seen, and the reply that showed it first."""

    count: int
    sample: str

    def __add__(self, other: "_Seen") -> "_Seen":
        return _Seen(self.count + other.count, self.sample)


def _bounded(key: _Key, known: Set[_Key]) -> _Key:
    """Return the key to count a new difference under, so that memory is bounded as the table is."""
    endpoint, form = key
    endpoints = [endpoint for endpoint, _ in known]
    if endpoint not in endpoints and len(set(endpoints)) >= ENDPOINTS:
        endpoint = OTHER
    if endpoints.count(endpoint) >= FORMS_PER_ENDPOINT - 1:
        form = OTHER
    return endpoint, form


_tally: Tally[_Key, _Seen] = Tally(_bounded, pause_seconds=WRITE_EVERY_SECONDS)


def record(drift: Drift) -> None:
    """Count one difference; never raises if the database is down.

    The first of its kind is written at once, later ones as a sum, at most every ten seconds per process. Inside a
    transaction the writing waits for its commit; after a rollback it goes with the next difference. A process that ends
    takes at most the last unwritten additions to a count with it, never a kind.
    """
    key = _storable(drift.endpoint, 30), _storable(drift.form, 200)
    _tally.add(key, _Seen(1, _storable(drift.sample, SAMPLE_LENGTH)))
    if not _tally.is_due():
        return
    if connection.in_atomic_block:
        transaction.on_commit(write_due, robust=True)
    else:
        write_due()


def write_due() -> None:
    """Add what has been counted and is due to the table. Three queries for a new kind, one for a known one."""
    for (endpoint, form), seen in _tally.take().items():
        try:
            _add(endpoint, form, seen.sample, seen.count)
        except Error as error:
            logger.warning("contract drift could not be written: %s", type(error).__name__)
            _tally.put_back({(endpoint, form): seen})


def forget() -> None:
    """Drop what has been counted and not yet written, and the memory of what was written when."""
    _tally.forget()


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


def _storable(text: str, length: int) -> str:
    """Return `text` cut, and without what a database refuses: NUL and halves of surrogate pairs."""
    return text[: length * 2].replace("\0", "").encode(errors="replace").decode()[:length]
