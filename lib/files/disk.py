"""Whether there is room: what a database says when it can write no more, and how much the data directory has left."""

import logging
import shutil
import sqlite3
from pathlib import Path

from django.db import DatabaseError

# Below this a disk counts as full: SQLite needs some for its log, and a page for its file.
MIN_FREE_BYTES = 20_000_000
# PostgreSQL: disk_full, read_only_sql_transaction (as some hosts set it when theirs is nearly full).
_SQLSTATES = {"53100", "25006"}
_SQLITE_CODES = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY}


def refuses_writes(error: BaseException | None) -> bool:
    """Whether an error of the database means that it can be read and not written: its disk is full, or read-only."""
    if not isinstance(error, DatabaseError):
        return False
    cause = error.__cause__
    if isinstance(cause, sqlite3.Error):
        code = getattr(cause, "sqlite_errorcode", 0) & 0xFF  # the rest of it says more exactly where
        return code in _SQLITE_CODES or (code == sqlite3.SQLITE_IOERR and "disk" in str(cause))
    return getattr(cause, "sqlstate", None) in _SQLSTATES


def is_busy(error: BaseException | None) -> bool:
    """Whether an error means that SQLite was locked by another writer for longer than its time-out."""
    code = getattr(error.__cause__, "sqlite_errorcode", 0) if isinstance(error, DatabaseError) else 0
    return code & 0xFF == sqlite3.SQLITE_BUSY


def free_bytes(folder: Path) -> int:
    """Return how many bytes this process may still write in `folder`."""
    return shutil.disk_usage(folder).free


class NoTraceback(logging.Filter):
    """Logs one line instead of a traceback for what fails because the disk is full: it fails each second, and the log may
    be on the same disk."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if refuses_writes(error):
            record.msg, record.args = f"the disk of the database is full: {record.name} goes on when there is room", ()
            record.exc_info = record.exc_text = None
        return True
