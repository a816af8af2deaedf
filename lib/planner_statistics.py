"""What SQLite's planner knows of the tables: PostgreSQL gathers it by itself, SQLite only when it is told to.

Without it, or after a migration that made a table anew, the history's first page reads all rentals of the team.
"""

from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections

MAX_ROWS = 1000  # of each index: some 30 ms in all, however long the history is
# With a table of one row, as that of the teams often is, SQLite would begin a join, and no index gives the order then.
_FORGET_SINGLE_ROWS = """DELETE FROM sqlite_stat1 WHERE tbl IN
    (SELECT tbl FROM sqlite_stat1 GROUP BY tbl HAVING MAX(CAST(stat AS INTEGER)) <= 1)"""


def refresh(using: str = DEFAULT_DB_ALIAS) -> None:
    """Look at some rows of every index on SQLite. On PostgreSQL there is nothing to do."""
    if connections[using].vendor == "sqlite":
        with connections[using].cursor() as cursor:
            cursor.execute(f"PRAGMA analysis_limit = {MAX_ROWS}")
            cursor.execute("ANALYZE")
            cursor.execute(_FORGET_SINGLE_ROWS)
            cursor.execute("ANALYZE sqlite_schema")  # read them again


def after_migrations(*, using: str, plan: Any = (), **_others: Any) -> None:
    """Refresh it where migrations ran."""
    if plan:
        refresh(using)
