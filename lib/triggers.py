"""A trigger on PostgreSQL and on SQLite, of the same SQL."""

from collections.abc import Callable
from typing import Any, NamedTuple


class Trigger(NamedTuple):
    """Runs `statement` for each row of `table` that `event` ("AFTER UPDATE OF price") changes and `condition` holds for.

    Several statements have semicolons between them.
    """

    name: str
    table: str
    event: str
    condition: str
    statement: str

    def install(self, execute: Callable[[str], Any], vendor: str) -> None:
        """Make it. One of this name is replaced on PostgreSQL, and stays on SQLite."""
        if vendor == "postgresql":
            self.replace_function(execute)
            execute(f"DROP TRIGGER IF EXISTS {self.name} ON {self.table}")
            execute(
                f"CREATE TRIGGER {self.name} {self.event} ON {self.table} FOR EACH ROW"
                f" WHEN ({self.condition}) EXECUTE FUNCTION {self.name}()"
            )
        else:
            execute(
                f"CREATE TRIGGER IF NOT EXISTS {self.name} {self.event} ON {self.table}"
                f" WHEN {self.condition} BEGIN {self.statement}; END"
            )

    def replace_function(self, execute: Callable[[str], Any]) -> None:
        """Let PostgreSQL's trigger run the statement from now on."""
        execute(
            f"CREATE OR REPLACE FUNCTION {self.name}() RETURNS trigger LANGUAGE plpgsql AS"
            f" $$ BEGIN {self.statement}; RETURN NEW; END $$"
        )

    def remove(self, execute: Callable[[str], Any], vendor: str) -> None:
        """Drop it, if it is there."""
        if vendor == "postgresql":
            execute(f"DROP FUNCTION IF EXISTS {self.name}() CASCADE")
        else:
            execute(f"DROP TRIGGER IF EXISTS {self.name}")
