"""The triggers that write the sums, in the transaction of whatever changes a rental or its refund."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from django.db import connections

from rentals.models import SpendSum
from rentals.sums.folding import start_over
from rentals.sums.rows import COLUMNS, NAMES, add, of_refund, of_rental, rows_of


def _triggers(vendor: str) -> Iterable[tuple[str, str, str, str, str]]:
    """Yield each trigger's name, table, operation, condition and statement."""
    for table, of_row in (("rentals_rental", of_rental), ("rentals_ledgerentry", of_refund)):
        key = "id" if table == "rentals_rental" else "rental_id"
        columns = COLUMNS if table == "rentals_rental" else ("rental_id", "kind", "amount", "taken_back")
        for operation, rows in (("INSERT", ("NEW",)), ("UPDATE", ("OLD", "NEW")), ("DELETE", ("OLD",))):
            counts = "{}.placed_at IS NOT NULL" if table == "rentals_rental" else "{}.kind = 'refund'"
            condition = f"({' OR '.join(counts.format(row) for row in rows)})"
            source = " UNION ALL ".join(of_row(row, 1 if row == "NEW" else -1) for row in rows)
            lines = rows_of(source, vendor)
            lines += " AND NOT EXISTS (SELECT 1 FROM rentals_uncounted u WHERE r.id > u.after AND r.id <= u.upto)"
            if operation == "DELETE":
                # A counted rental has its sums; where all tables are being emptied, nothing is written into this one again.
                lines += " AND EXISTS (SELECT 1 FROM rentals_spendsum)"
            name = f"{table}_sums_{operation.lower()}"
            event = f"UPDATE OF {', '.join(columns)}" if operation == "UPDATE" else operation
            # A piece is a rental's: its writer has locked that rental.
            yield (
                name,
                table,
                f"{event} ON {table}",
                condition,
                _locking(vendor, key, rows) + add(lines, piece="MAX(piece)"),
            )


def _locking(vendor: str, key: str, rows: Sequence[str]) -> str:
    if vendor != "postgresql" or key == "id":
        return ""
    # Else a rental could change its service, say, while its refund is booked for the one that it had.
    keys = ", ".join(f"{row}.{key}" for row in rows)
    return f"PERFORM 1 FROM rentals_rental WHERE id IN ({keys}) ORDER BY id FOR SHARE; "


def _function(name: str, statement: str) -> str:
    return (
        f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN {statement}; RETURN NULL; END $$"
    )


def install(execute: Callable[[str], Any], vendor: str) -> None:
    """Make the triggers. Those that are there stay on SQLite, and are replaced on PostgreSQL."""
    for name, table, event, condition, statement in _triggers(vendor):
        if vendor == "postgresql":
            execute(_function(name, statement))
            execute(f"DROP TRIGGER IF EXISTS {name} ON {table}")
            execute(f"CREATE TRIGGER {name} AFTER {event} FOR EACH ROW WHEN {condition} EXECUTE FUNCTION {name}()")
        else:
            execute(f"CREATE TRIGGER IF NOT EXISTS {name} AFTER {event} WHEN {condition} BEGIN {statement}; END")


def add_years(execute: Callable[[str], Any]) -> None:
    """Let PostgreSQL's triggers write the sums of years, and add up those of the months so far. In one transaction."""
    # No change may be under way with the triggers of before, nor a batch of older rentals.
    execute("SELECT pg_advisory_xact_lock(hashtext('rentals_spendsum'))")
    execute("LOCK TABLE rentals_rental, rentals_ledgerentry IN SHARE ROW EXCLUSIVE MODE")
    for name, _table, _event, _condition, statement in _triggers("postgresql"):
        execute(_function(name, statement))
    lines = (
        f"SELECT team_id, kind || '-year' AS kind, is_month, date_trunc('year', day)::date AS day, name, {NAMES}"
        " FROM rentals_spendsum WHERE is_month AND kind NOT LIKE '%-year'"
    )
    execute(add(lines, piece="0"))


def remove(execute: Callable[[str], Any], vendor: str) -> None:
    """Drop the triggers."""
    for name, *_others in _triggers(vendor):
        if vendor == "postgresql":
            execute(f"DROP FUNCTION IF EXISTS {name}() CASCADE")
        else:
            execute(f"DROP TRIGGER IF EXISTS {name}")


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
