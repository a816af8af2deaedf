"""Whether Redis takes messages. A PING tells little: a full one answers it, too."""

from enum import StrEnum

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

from lib import redis_clients

TIMEOUT_SECONDS = 0.5


class Store(StrEnum):
    """How a store is, Redis or the database: `/readyz` says it in these words. A full one can be read and not written."""

    UP = "up"
    FULL = "full"
    DOWN = "down"


def client() -> redis.Redis:
    """Return a client that asks once and does not wait long."""
    return redis_clients.client(
        settings.REDIS_URL,
        socket_timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )


def redis_state() -> Store:
    """Ask Redis to keep a small value for a second."""
    try:
        with client() as asking:
            asking.set("desk:probe", 1, px=1000)
    except redis.ResponseError:  # "OOM command not allowed", or a replica that is read-only
        return Store.FULL
    except (redis.RedisError, OSError):
        return Store.DOWN
    return Store.UP
