"""What keeps the sums: the rentals from before the triggers are counted in batches, the rows of changes are merged."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import DEFAULT_DB_ALIAS, OperationalError, connection, connections, transaction
from django.db.models import Exists, F, OuterRef

from rentals.models import CountedDay, Rental, SpendSum, Uncounted
from rentals.sums.rows import FIGURES, add, of_rental, rows_of

BATCH = 2000
# How long a batch may hold SQLite's lock without a pause after it, and the longest pause, since SQLite's writers look every
# 0.1 s whether it is their turn.
SHORT_SECONDS, MAX_PAUSE_SECONDS = 0.05, 0.2


def start_over(using: str = DEFAULT_DB_ALIAS, *, patient: bool = True) -> None:
    """Empty the sums, and let `count_older` count every rental again. Writers wait for the moment that this takes.

    Raises `OperationalError` where it is not `patient`, and writers leave no such moment.
    """
    database = connections[using]
    with transaction.atomic(using), database.cursor() as cursor:
        if database.vendor == "postgresql":
            if not patient:
                # It ends before PostgreSQL looks for deadlocks, of which a writer could be the victim.
                cursor.execute("SET LOCAL lock_timeout = '800ms'")
            cursor.execute("LOCK TABLE rentals_rental, rentals_ledgerentry IN SHARE ROW EXCLUSIVE MODE")
        cursor.execute("DELETE FROM rentals_uncounted")
        cursor.execute("DELETE FROM rentals_spendsum")
        cursor.execute(
            "INSERT INTO rentals_uncounted (after, upto) SELECT 0, MAX(id) FROM rentals_rental HAVING MAX(id) IS NOT NULL"
        )


def count_older(*, seconds: float = 10.0, batch: int = BATCH) -> bool:
    """Add rentals that are not counted yet to the sums, for some seconds. Returns whether all are counted then.

    May run at any time, twice and at once; each batch is a transaction of its own.
    """
    end = time.monotonic() + seconds
    try:
        while Uncounted.objects.exists():
            if time.monotonic() > end or not _count_batch(batch):
                return False
    except OperationalError:  # a change holds a rental of the batch for long
        return False
    return True


def _count_batch(batch: int) -> bool:
    with _turn() as cursor:
        waiting = Uncounted.objects.select_for_update().first() if _is_alone(cursor) else None
        if waiting is None:
            return False
        rentals = Rental.objects.filter(pk__gt=waiting.after, pk__lte=waiting.upto).order_by("pk")
        # Locked against the triggers of changes under way, which take these rentals for uncounted.
        keys = list(rentals.select_for_update(no_key=True).values_list("pk", flat=True)[:batch])
        upto = keys[-1] if len(keys) == batch else waiting.upto
        source = f"{of_rental('x', 1)} FROM rentals_rental x WHERE x.id > %s AND x.id <= %s"
        cursor.execute(add(rows_of(source, connection.vendor), piece="0"), [waiting.after, upto])
        Uncounted.objects.filter(pk=waiting.pk).update(after=upto)
        Uncounted.objects.filter(pk=waiting.pk, upto=upto).delete()
    return True


@contextmanager
def _turn() -> Iterator[Any]:
    """The transaction of one batch, with a pause after a long one on SQLite, which has one writer at a time and no queue:
    without pauses between batches, other writers would wait for the last one."""
    with transaction.atomic(), connection.cursor() as cursor:
        start = time.monotonic()
        yield cursor
    held = time.monotonic() - start
    if connection.vendor == "sqlite" and held > SHORT_SECONDS:
        time.sleep(min(held, MAX_PAUSE_SECONDS))


def _is_alone(cursor: Any) -> bool:
    """Whether no other transaction merges sums now: two would wait for each other's rows."""
    if connection.vendor != "postgresql":
        return True
    # No live change shall wait long for us, nor be the one that a deadlock ends.
    cursor.execute("SET LOCAL lock_timeout = '300ms'")
    cursor.execute("SELECT pg_try_advisory_xact_lock(hashtext('rentals_spendsum'))")
    return bool(cursor.fetchone()[0])


def fold(*, batch: int = BATCH) -> int:
    """Merge the rows that changes have written into one row for each sum. Returns how many were merged.

    May run at any time, twice and at once.
    """
    merged = 0
    while done := _fold_batch(batch):
        merged += done
    return merged


def _fold_batch(batch: int) -> int:
    with _turn() as cursor:
        if not _is_alone(cursor):
            return 0
        pieces = SpendSum.objects.select_for_update(skip_locked=True).exclude(piece=0).order_by("pk")
        keys = list(pieces.values_list("pk", flat=True)[:batch])
        if keys:
            marks = ", ".join(["%s"] * len(keys))
            cursor.execute(add(f"SELECT * FROM rentals_spendsum WHERE id IN ({marks})", piece="0"), keys)
            changes = SpendSum.objects.filter(pk__in=keys, is_month=False, team=OuterRef("team"), day=OuterRef("day"))
            CountedDay.objects.filter(Exists(changes)).update(changes=F("changes") + 1)
            SpendSum.objects.filter(pk__in=keys).delete()
    return len(keys)


def differences(*, most: int = 20) -> list[tuple[Any, ...]]:
    """Return the sums that are not what the rentals and the ledger say: team, kind, whether of a month, day, name, and how
    much more the rentals say of each of `rentals codes charged refunded dearer more`. One query, which reads everything."""
    source = (
        f"{of_rental('x', 1)} FROM rentals_rental x WHERE NOT EXISTS (SELECT 1 FROM rentals_uncounted u"
        " WHERE x.id > u.after AND x.id <= u.upto)"
    )
    names = "team_id, kind, is_month, day, name"
    negative = ", ".join(f"-{figure}" for figure in FIGURES)
    sums, some = (", ".join(f"SUM({figure})" for figure in FIGURES), " OR ".join(f"SUM({f}) <> 0" for f in FIGURES))
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {names}, {sums} FROM (SELECT {names}, {', '.join(FIGURES)} FROM"
            f" ({rows_of(source, connection.vendor)}) AS line UNION ALL SELECT {names}, {negative} FROM rentals_spendsum)"
            f" AS compared GROUP BY {names} HAVING {some} ORDER BY {names} LIMIT {most:d}"
        )
        return list(cursor.fetchall())
