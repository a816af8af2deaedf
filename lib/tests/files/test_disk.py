"""What a full disk looks like in each database, and in the log."""

import logging
import sqlite3

import psycopg
import pytest
from django.db import DatabaseError, OperationalError

from lib.files import disk


def raised(cause: Exception) -> DatabaseError:
    try:
        raise OperationalError("refused") from cause
    except DatabaseError as error:
        return error


@pytest.mark.parametrize(
    ("cause", "full"),
    [
        (psycopg.errors.DiskFull("no space"), True),
        (psycopg.errors.ReadOnlySqlTransaction("cannot execute INSERT in a read-only transaction"), True),
        (psycopg.errors.DeadlockDetected("deadlock"), False),
        (ValueError("something else"), False),
    ],
)
def test_postgresql_says_it_by_its_code(cause: Exception, full: bool) -> None:
    assert disk.refuses_writes(raised(cause)) is full


def test_sqlite_says_it_by_its_code() -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute("PRAGMA max_page_count = 2")
    with pytest.raises(sqlite3.OperationalError) as caught:
        connection.executescript("CREATE TABLE a (x); CREATE TABLE b (x);")
    connection.close()
    assert disk.refuses_writes(raised(caught.value))


def test_a_locked_sqlite_is_not_full() -> None:
    error = sqlite3.OperationalError("database is locked")
    error.sqlite_errorcode = sqlite3.SQLITE_BUSY
    assert not disk.refuses_writes(raised(error))


def test_the_log_has_one_line_for_it_instead_of_a_traceback() -> None:
    error = raised(psycopg.errors.DiskFull("no space"))
    record = logging.LogRecord("celery", logging.ERROR, "", 0, "Task %s raised", ("tick",), (type(error), error, None))
    assert disk.NoTraceback().filter(record)
    assert record.exc_info is None
    assert "disk" in record.getMessage()


def test_another_error_keeps_its_traceback() -> None:
    error = ValueError("no")
    record = logging.LogRecord("celery", logging.ERROR, "", 0, "Task %s raised", ("tick",), (type(error), error, None))
    disk.NoTraceback().filter(record)
    assert record.exc_info is not None
