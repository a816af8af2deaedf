"""`pytest --statements FILE`: add the distinct statements that the product sends to the database to FILE.

Shows whether the mark `one_database` leaves one out: `sort -u FILE` has the same lines with the mark and without it.
"""

import re
import sys
from collections.abc import Callable
from pathlib import Path
from traceback import walk_stack
from typing import Any

import pytest
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from thuesim_site.start.environment import BASE_DIR

# The count of values, numbers and the names of savepoints differ from call to call.
_VARYING = (
    (re.compile(r"\s+"), " "),
    (re.compile(r"(?:WHEN .{1,200}? THEN .{1,80}? ?)+(?=ELSE|END)"), "WHEN … "),
    (re.compile(r"%s(?:, %s)+"), "%s, …"),
    (re.compile(r"\((%s|%s, …)\)(?:, \(\1\))+"), r"(\1), …"),
    (re.compile(r"\b\d+\b"), "0"),
    (re.compile(r"\bs\d+_x\d+\b"), "savepoint"),
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--statements`."""
    parser.addoption("--statements", type=Path, metavar="FILE", help="add the statements of the product to this file")


def pytest_configure(config: pytest.Config) -> None:
    """Record where the option asks for it."""
    if config.option.statements:
        config.pluginmanager.register(_Recorder(config.option.statements))


class _Recorder:
    """Hears each statement on each connection, of whatever thread."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._new: set[str] = set()
        self._written: set[str] = set()
        connection_created.connect(self._listen)

    def _listen(self, connection: BaseDatabaseWrapper, **_: Any) -> None:
        if self._record not in connection.execute_wrappers:
            connection.execute_wrappers.append(self._record)

    def _record(self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any) -> Any:
        if _is_of_the_product():
            self._new.add(str(sql))
        return execute(sql, params, many, context)

    def pytest_runtest_logfinish(self) -> None:
        """Write after each test: with `--processes`, no process knows which one is its last."""
        statements = {_without_varying(sql) for sql in [*self._new]} - self._written
        self._new.clear()
        self._written |= statements
        with self._file.open("a") as file:
            file.writelines(f"{statement}\n" for statement in statements)


def _is_of_the_product() -> bool:
    """Whether code of ours sent it last, not a test; a query that a test only iterates over is the test's."""
    for frame, _ in walk_stack(sys._getframe(2)):
        path = frame.f_code.co_filename
        if path.startswith(f"{BASE_DIR}/") and "/.venv/" not in path:
            return "/tests/" not in path and not path.endswith("conftest.py")
    return True


def _without_varying(sql: str) -> str:
    for pattern, replacement in _VARYING:
        sql = pattern.sub(replacement, sql)
    return sql.strip()
