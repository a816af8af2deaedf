"""The desk's own commands where the database is not ready for them: a sentence, and no traceback."""

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection, connections

COMMANDS = [["rebuild_sums"], ["rotate_keys"], ["demo_data"], ["break_glass", "root"], ["backup", "backup.tar"]]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_without_tables_it_says_how_they_are_made(command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection.introspection, "table_names", lambda: [])
    with pytest.raises(CommandError, match="has no tables yet"):
        call_command(*command)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_a_database_that_does_not_answer_is_said(command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def table_names() -> list[str]:
        raise OperationalError("connection refused")

    monkeypatch.setattr(connection.introspection, "table_names", table_names)
    with pytest.raises(CommandError, match="does not answer: connection refused"):
        call_command(*command)


def test_why_a_database_does_not_answer_is_not_hidden_by_the_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    options = connection.settings_dict["OPTIONS"]

    def table_names() -> list[str]:
        raise OperationalError("PoolTimeout" if "pool" in options else "connection refused")

    monkeypatch.setattr(connections[connection.alias], "connection", None)  # of `connection` it would be deleted
    monkeypatch.setitem(options, "pool", True)
    monkeypatch.setattr(connection.introspection, "table_names", table_names)
    with pytest.raises(CommandError, match="does not answer: connection refused"):
        call_command("rebuild_sums")
