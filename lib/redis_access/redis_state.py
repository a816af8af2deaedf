"""Whether Redis takes messages. A PING tells little: a full one answers it, too."""

from enum import StrEnum
from functools import cache

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

from lib.redis_access import redis_clients

TIMEOUT_SECONDS = 0.5


class Store(StrEnum):
    """How a store is, Redis or the database: `/readyz` says it in these words. A full one can be read and not written."""

    UP = "up"
    FULL = "full"
    DOWN = "down"


def client() -> redis.Redis:
    """Return the process's client, which does not wait long."""
    return _client(settings.REDIS_URL)


@cache
def _client(url: str) -> redis.Redis:
    # It asks twice only where Redis has closed the connection since the last time.
    return redis_clients.client(
        url,
        socket_timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
    )


def redis_state() -> Store:
    """Ask Redis to keep a small value for a second."""
    try:
        client().set("desk:probe", 1, px=1000)
    except redis.ResponseError:  # "OOM command not allowed", or a replica that is read-only
        return Store.FULL
    except (redis.RedisError, OSError):
        return Store.DOWN
    return Store.UP
