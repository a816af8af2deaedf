"""Work that one process at a time does, by an advisory lock of PostgreSQL. SQLite is one machine's own: none there."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

RETRY_SECONDS = 0.5


@contextmanager
def advisory_lock(number: int) -> Iterator[None]:
    """Do the block while no other process is in one with the same `number`; wait for it.

    The lock is asked for again and again, each time in a transaction that ends at once. `CREATE INDEX CONCURRENTLY` of the
    one that has the lock waits for the end of every transaction that it meets in a statement: both would wait for ever.
    """
    if connection.vendor != "postgresql":
        yield
        return
    import psycopg  # 5 MB, which a desk on SQLite need not load

    # A connection of its own: migrations close theirs, and the lock would go with it. In one transaction, which PgBouncer
    # leaves on one connection of the database; between its statements nothing waits for it.
    with psycopg.connect(**connection.get_connection_params()) as holder:
        while holder.execute("SELECT pg_try_advisory_xact_lock(%s)", [number]).fetchone() != (True,):
            holder.rollback()
            time.sleep(RETRY_SECONDS)
        holder.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        yield
