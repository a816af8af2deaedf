"""A database cache that evicts no live entry: it holds the counts of failed sign-ins and the used one-time codes."""

import pickle
from base64 import b64encode
from datetime import UTC, datetime
from typing import Any

from django.core.cache import DEFAULT_CACHE_ALIAS, caches
from django.core.cache.backends.base import DEFAULT_TIMEOUT
from django.core.cache.backends.db import DatabaseCache
from django.db import connections, router
from django.utils import timezone

BATCH = 1000  # rows deleted in one statement


class LastingCache(DatabaseCache):
    """Django's database cache without eviction: an entry stays until it expires.

    Django's own deletes live rows past its option `MAX_ENTRIES`. An attacker could fill it with cheap requests, which resets
    the count of failed sign-ins and makes a used one-time code valid again. Here a job deletes the expired rows alone.

    `set` and `add` are one statement each, so that a code which two requests send at once is accepted once. Both raise
    `DatabaseError`, where Django's return as if all were well: a failed sign-in that is not counted helps a guesser.
    """

    _table: str

    def _base_set(self, mode: str, key: str, value: Any, timeout: Any = DEFAULT_TIMEOUT) -> bool:
        """Write a row. Returns False where `add` finds a live one, or `touch` none. `mode` is `set`, `add` or `touch`."""
        connection = connections[router.db_for_write(self.cache_model_class)]
        table, now = connection.ops.quote_name(self._table), _stored(connection, timezone.now())
        seconds = self.get_backend_timeout(timeout)
        ends = datetime.max.replace(tzinfo=UTC) if seconds is None else datetime.fromtimestamp(seconds, UTC)
        expires = _stored(connection, ends)
        with connection.cursor() as cursor:
            if mode == "touch":
                touch = f"UPDATE {table} SET expires = %s WHERE cache_key = %s AND expires >= %s"  # noqa: S608
                cursor.execute(touch, [expires, key, now])
                return bool(cursor.rowcount > 0)
            pickled = b64encode(pickle.dumps(value, self.pickle_protocol)).decode()
            write = (
                f"INSERT INTO {table} (cache_key, value, expires) VALUES (%s, %s, %s) "  # noqa: S608
                "ON CONFLICT (cache_key) DO UPDATE SET value = excluded.value, expires = excluded.expires"
            )
            if mode == "add":
                cursor.execute(f"{write} WHERE {table}.expires < %s", [key, pickled, expires, now])
            else:
                cursor.execute(write, [key, pickled, expires])
            return bool(cursor.rowcount > 0)

    def delete_expired(self) -> int:
        """Delete the rows whose time is over, in batches. Returns how many. May run at any time, twice and at once."""
        connection = connections[router.db_for_write(self.cache_model_class)]
        table, now = connection.ops.quote_name(self._table), _stored(connection, timezone.now())
        some = f"SELECT cache_key FROM {table} WHERE expires < %s ORDER BY expires LIMIT {BATCH}"  # noqa: S608
        deleted = 0
        with connection.cursor() as cursor:
            while True:
                # The time again: a row that was written anew since it was chosen stays.
                delete = f"DELETE FROM {table} WHERE cache_key IN ({some}) AND expires < %s"  # noqa: S608
                cursor.execute(delete, [now, now])
                deleted += int(cursor.rowcount)
                if cursor.rowcount < BATCH:
                    return deleted


def delete_expired() -> int:
    """Delete the expired rows of the project's cache. Returns how many."""
    backend = caches[DEFAULT_CACHE_ALIAS]
    return backend.delete_expired() if isinstance(backend, LastingCache) else 0


def _stored(connection: Any, at: datetime) -> Any:
    """Return a time as the database compares it with its own."""
    return connection.ops.adapt_datetimefield_value(at)
