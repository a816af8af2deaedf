"""What `lib.announce` says, heard by a web process on its event loop; and what is done before the process stops."""

import signal
import threading
from collections.abc import AsyncIterator, Callable
from types import FrameType
from typing import Any

import redis
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from lib.announce import CHANNEL

SILENCE_SECONDS = 20.0  # without a message from Redis, it is pinged


async def messages(redis_url: str) -> AsyncIterator[dict[str, Any]]:
    """Yield the messages on our channel. Raises `redis.RedisError` or `OSError` when Redis is gone."""
    client = redis.asyncio.Redis.from_url(
        redis_url, socket_timeout=None, socket_connect_timeout=2, retry=Retry(NoBackoff(), 0)
    )
    async with client, client.pubsub() as subscription:
        await subscription.subscribe(CHANNEL)
        silent = False
        while True:
            message = await subscription.get_message(timeout=SILENCE_SECONDS)
            if message is None and silent:
                raise redis.ConnectionError("no answer")
            if message is None:
                await subscription.ping()
            else:
                yield message
            silent = message is None


def on_stop(work: Callable[[], object]) -> None:
    """Do `work` on SIGTERM and SIGINT, before the server's own handler, which waits for open streams."""
    if threading.current_thread() is not threading.main_thread():
        return
    for number in (signal.SIGTERM, signal.SIGINT):
        before = signal.getsignal(number)

        def stop(number: int, stack: FrameType | None, before: Any = before) -> None:
            work()
            if callable(before):
                before(number, stack)

        signal.signal(number, stop)
