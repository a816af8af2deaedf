"""What every command of the desk's own has in common."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, connection


def use_one_connection() -> None:
    """Go without the pool. It opens a second connection of its own accord, which would count as another machine's; and where
    there is none, it tries for three seconds, and does not say why."""
    connection.close()
    connection.settings_dict["OPTIONS"].pop("pool", None)


class DeskCommand(BaseCommand):
    """A command that works with the tables of the desk. Where there are none, it says in a sentence what to do."""

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Run the command. Raises `CommandError` where the database does not answer, or has no tables yet."""
        if connection.connection is None:
            use_one_connection()
        try:
            tables = connection.introspection.table_names()
        except OperationalError as error:
            raise CommandError(f"The database does not answer: {error}") from None
        if "django_migrations" not in tables:
            raise CommandError("The database has no tables yet. Start the desk once with ./run, which makes them.")
        return super().execute(*args, **options)
