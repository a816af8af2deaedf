"""The triggers that write the sums, in the transaction of whatever changes a rental or its refund."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from django.db import connections

from lib.triggers import Trigger
from rentals.models import SpendSum
from rentals.sums.folding import start_over
from rentals.sums.rows import COLUMNS, NAMES, add, of_refund, of_rental, rows_of


def _triggers(vendor: str) -> Iterator[Trigger]:
    for table, of_row in (("rentals_rental", of_rental), ("rentals_ledgerentry", of_refund)):
        key = "id" if table == "rentals_rental" else "rental_id"
        columns = COLUMNS if table == "rentals_rental" else ("rental_id", "kind", "amount", "taken_back")
        for operation, rows in (("INSERT", ("NEW",)), ("UPDATE", ("OLD", "NEW")), ("DELETE", ("OLD",))):
            counts = "{}.placed_at IS NOT NULL" if table == "rentals_rental" else "{}.kind = 'refund'"
            condition = " OR ".join(counts.format(row) for row in rows)
            source = " UNION ALL ".join(of_row(row, 1 if row == "NEW" else -1) for row in rows)
            lines = rows_of(source, vendor)
            lines += " AND NOT EXISTS (SELECT 1 FROM rentals_uncounted u WHERE r.id > u.after AND r.id <= u.upto)"
            if operation == "DELETE":
                # A counted rental has its sums; where all tables are being emptied, nothing is written into this one again.
                lines += " AND EXISTS (SELECT 1 FROM rentals_spendsum)"
            name = f"{table}_sums_{operation.lower()}"
            event = f"AFTER UPDATE OF {', '.join(columns)}" if operation == "UPDATE" else f"AFTER {operation}"
            # A piece is a rental's: its writer has locked that rental.
            statement = _locking(vendor, key, rows) + add(lines, piece="MAX(piece)")
            yield Trigger(name, table, event, condition, statement)


def _locking(vendor: str, key: str, rows: Sequence[str]) -> str:
    if vendor != "postgresql" or key == "id":
        return ""
    # Else a rental could change its service, say, while its refund is booked for the one that it had.
    keys = ", ".join(f"{row}.{key}" for row in rows)
    return f"PERFORM 1 FROM rentals_rental WHERE id IN ({keys}) ORDER BY id FOR SHARE; "


def install(execute: Callable[[str], Any], vendor: str) -> None:
    """Make the triggers. Those that are there stay on SQLite, and are replaced on PostgreSQL."""
    for trigger in _triggers(vendor):
        trigger.install(execute, vendor)


def add_years(execute: Callable[[str], Any]) -> None:
    """Let PostgreSQL's triggers write the sums of years, and add up those of the months so far. In one transaction."""
    # No change may be under way with the triggers of before, nor a batch of older rentals.
    execute("SELECT pg_advisory_xact_lock(hashtext('rentals_spendsum'))")
    execute("LOCK TABLE rentals_rental, rentals_ledgerentry IN SHARE ROW EXCLUSIVE MODE")
    for trigger in _triggers("postgresql"):
        trigger.replace_function(execute)
    lines = (
        f"SELECT team_id, kind || '-year' AS kind, is_month, date_trunc('year', day)::date AS day, name, {NAMES}"
        " FROM rentals_spendsum WHERE is_month AND kind NOT LIKE '%-year'"
    )
    execute(add(lines, piece="0"))


def remove(execute: Callable[[str], Any], vendor: str) -> None:
    """Drop the triggers."""
    for trigger in _triggers(vendor):
        trigger.remove(execute, vendor)


def before_migrations(*, using: str, plan: Sequence[Any] = (), **_others: Any) -> None:
    """Drop the triggers on SQLite: it changes a table by making it anew, and refuses where a trigger names the old one."""
    if plan and _is_sqlite_with_sums(using):
        with connections[using].cursor() as cursor:
            remove(cursor.execute, "sqlite")


def after_migrations(*, using: str, plan: Sequence[Any] = (), **_others: Any) -> None:
    """Make the triggers on SQLite that are missing, and count anew what migrations may have changed without them."""
    if _is_sqlite_with_sums(using):
        with connections[using].cursor() as cursor:
            install(cursor.execute, "sqlite")
        if plan:
            start_over(using)


def _is_sqlite_with_sums(using: str) -> bool:
    database = connections[using]
    return database.vendor == "sqlite" and SpendSum._meta.db_table in database.introspection.table_names()
