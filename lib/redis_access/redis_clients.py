"""Clients of the Redis that REDIS_URL names: one server, or the master that Sentinels know at the moment.

Each new connection asks a Sentinel where the master is, so a fail-over is followed by connecting again.
"""

from typing import Any

import redis
import redis.asyncio
import redis.asyncio.sentinel
import redis.sentinel
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from lib.redis_access.redis_address import Sentinels, sentinels

# A Sentinel that does not answer is passed over for the next one, at once.
_SENTINEL_TIMEOUT_SECONDS = 0.5


class _Sentinels(redis.sentinel.Sentinel):
    """Keeps no connection to a Sentinel: it is asked when there is a new one to Redis, which is seldom."""

    def discover_master(self, service_name: str) -> Any:
        try:
            return super().discover_master(service_name)  # type: ignore[no-untyped-call]
        finally:
            for sentinel in self.sentinels:
                sentinel.close()


class _AsyncSentinels(redis.asyncio.sentinel.Sentinel):
    """As above, on the event loop."""

    async def discover_master(self, service_name: str) -> Any:
        try:
            return await super().discover_master(service_name)
        finally:
            for sentinel in self.sentinels:
                await sentinel.aclose()


def sentinel_options(found: Sentinels) -> dict[str, Any]:
    """Return how the Sentinels themselves are asked: the options of their `redis.Redis`."""
    timeouts = dict.fromkeys(("socket_timeout", "socket_connect_timeout"), _SENTINEL_TIMEOUT_SECONDS)
    return {**timeouts, "retry": Retry(NoBackoff(), 0), **found.own_login}


def client(url: str, **options: Any) -> redis.Redis:
    """Return a client; `options` are those of `redis.Redis`."""
    if (found := sentinels(url)) is None:
        return redis.Redis.from_url(url, **options)
    asked = _Sentinels(found.hosts, sentinel_kwargs=sentinel_options(found))  # type: ignore[no-untyped-call]
    options |= {"db": found.database, **found.login}
    master: redis.Redis = asked.master_for(found.master, **options)  # type: ignore[no-untyped-call]
    return master


def async_client(url: str, **options: Any) -> redis.asyncio.Redis:
    """Return a client for the event loop; `options` are those of `redis.asyncio.Redis`."""
    if (found := sentinels(url)) is None:
        return redis.asyncio.Redis.from_url(url, **options)
    once = {"retry": AsyncRetry(NoBackoff(), 0)}
    asked = _AsyncSentinels(found.hosts, sentinel_kwargs=sentinel_options(found) | once)  # type: ignore[no-untyped-call]
    options |= {"db": found.database, **found.login}
    master: redis.asyncio.Redis = asked.master_for(found.master, **options)
    return master
