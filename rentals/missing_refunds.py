"""Which expired rentals were not refunded: triggers keep `Rental.refund_missing`, whatever changes a rental or its refund.

Without it, the history reads all that ever expired to find the few whose price has not come back, or that there are none.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connection, connections, transaction

from lib.triggers import Trigger
from rentals.models import Rental

# So many rentals are looked at in one statement, while others write.
BATCH = 100_000


def _is_missing(row: str) -> str:
    return (
        f"({row}.status = 'expired' AND COALESCE({row}.price, 0) > 0 AND NOT EXISTS (SELECT 1 FROM rentals_ledgerentry e"  # noqa: S608
        f" WHERE e.rental_id = {row}.id AND e.kind = 'refund' AND NOT e.taken_back))"
    )


# Rentals that say the wrong thing.
_WRONG = f"(status = 'expired' OR refund_missing) AND refund_missing <> {_is_missing('rentals_rental')}"
_CORRECT = f"UPDATE rentals_rental SET refund_missing = NOT refund_missing WHERE {_WRONG} AND {{}}"  # noqa: S608


def _triggers(vendor: str) -> Iterator[Trigger]:
    concerns = "NEW.status = 'expired' OR NEW.refund_missing"
    if vendor == "postgresql":
        statement = f"NEW.refund_missing := {_is_missing('NEW')}"
        event = "BEFORE INSERT OR UPDATE OF status, price"
        yield Trigger("rentals_rental_missing_refund", "rentals_rental", event, concerns, statement)
    else:  # it changes no row that is about to be written
        for operation, event in (("insert", "INSERT"), ("update", "UPDATE OF status, price")):
            name = f"rentals_rental_missing_refund_{operation}"
            yield Trigger(name, "rentals_rental", f"AFTER {event}", concerns, _CORRECT.format("id = NEW.id"))
    for operation, rows in (("INSERT", ["NEW"]), ("UPDATE", ["OLD", "NEW"]), ("DELETE", ["OLD"])):
        keys = ", ".join(f"{row}.rental_id" for row in rows)
        changes = " OF rental_id, kind, taken_back" if operation == "UPDATE" else ""
        statement = _CORRECT.format(f"id IN ({keys})")
        if vendor == "postgresql":
            # In turn with what changes the rental, and with `correct`.
            statement = f"PERFORM 1 FROM rentals_rental WHERE id IN ({keys}) ORDER BY id FOR NO KEY UPDATE; {statement}"
        yield Trigger(
            name=f"rentals_ledgerentry_missing_refund_{operation.lower()}",
            table="rentals_ledgerentry",
            event=f"AFTER {operation}{changes}",
            condition=" OR ".join(f"{row}.kind = 'refund'" for row in rows),
            statement=statement,
        )


def install(execute: Callable[[str], Any], vendor: str) -> None:
    """Make the triggers."""
    for trigger in _triggers(vendor):
        trigger.install(execute, vendor)


def remove(execute: Callable[[str], Any], vendor: str) -> None:
    """Drop the triggers."""
    for trigger in _triggers(vendor):
        trigger.remove(execute, vendor)


def correct(using: str = DEFAULT_DB_ALIAS) -> None:
    """Correct what was written without the triggers, in batches and while others write."""
    database = connections[using]
    newest = Rental.objects.using(using).order_by("-pk").values_list("pk", flat=True).first() or 0
    for start in range(0, newest, BATCH):
        batch = f"id > {start} AND id <= {start + BATCH}"
        with transaction.atomic(using), database.cursor() as cursor:
            if database.vendor == "postgresql":
                # The next statement sees what those wrote that this one waits for.
                cursor.execute(f"SELECT 1 FROM rentals_rental WHERE {_WRONG} AND {batch} ORDER BY id FOR NO KEY UPDATE")  # noqa: S608
            cursor.execute(_CORRECT.format(batch))


def wrong() -> int:
    """Return how many rentals say the wrong thing: none, unless rows were written without the triggers."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT COUNT(*) FROM rentals_rental WHERE {_WRONG}")  # noqa: S608
        return int(cursor.fetchone()[0])


def before_migrations(*, using: str, plan: Sequence[Any] = (), **_others: Any) -> None:
    """Drop the triggers on SQLite: it changes a table by making it anew, and refuses where a trigger names the old one."""
    if plan and _is_sqlite_with_column(using):
        with connections[using].cursor() as cursor:
            remove(cursor.execute, "sqlite")


def after_migrations(*, using: str, plan: Sequence[Any] = (), **_others: Any) -> None:
    """Make the triggers on SQLite, and correct what migrations may have changed without them."""
    if plan and _is_sqlite_with_column(using):
        with connections[using].cursor() as cursor:
            install(cursor.execute, "sqlite")
        correct(using)


def _is_sqlite_with_column(using: str) -> bool:
    database = connections[using]
    if database.vendor != "sqlite":
        return False
    with database.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pragma_table_info('rentals_rental') WHERE name = 'refund_missing'")
        return cursor.fetchone() is not None
