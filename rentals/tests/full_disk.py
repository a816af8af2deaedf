"""A database that can be read and takes no writes, as its disk is full. The whole desk on a real one: `bench.disk_full`."""

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from django.db import OperationalError, connection

_WRITE = re.compile(r"\s*(INSERT|UPDATE|DELETE|WITH)\b", re.IGNORECASE)


def cause() -> Exception:
    """Return what the driver of the database in use raises when its disk is full."""
    if connection.vendor == "postgresql":
        return psycopg.errors.DiskFull('could not extend file "base/5/16384": No space left on device')
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode = sqlite3.SQLITE_FULL
    return error


@contextmanager
def full_disk() -> Iterator[None]:
    """Refuse each write inside the block."""

    def refuse(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        if _WRITE.match(sql):
            raise OperationalError("no room") from cause()
        return execute(sql, params, many, context)

    with connection.execute_wrapper(refuse):
        yield
