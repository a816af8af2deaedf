"""Work that one process at a time does, over all machines that share a PostgreSQL. SQLite is one machine's own."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

RETRY_SECONDS = 0.5


@contextmanager
def alone(number: int) -> Iterator[None]:
    """Do the block while no other process is in one with the same `number`; wait for it.

    The lock is asked for again and again. Waiting inside PostgreSQL would be a running statement, for whose end
    `CREATE INDEX CONCURRENTLY` of the one that has the lock waits: both for ever.
    """
    if connection.vendor != "postgresql":
        yield
        return
    import psycopg  # 5 MB, which a desk on SQLite need not load

    # A connection of its own: migrations close theirs, and the lock would go with it. In one transaction, which PgBouncer
    # leaves on one connection of the database; between its statements nothing waits for it.
    with psycopg.connect(**connection.get_connection_params()) as holder:
        holder.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        while holder.execute("SELECT pg_try_advisory_xact_lock(%s)", [number]).fetchone() != (True,):
            time.sleep(RETRY_SECONDS)
        yield
