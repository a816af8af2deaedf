"""What `lib.announce` says, heard by a web process on its event loop; and what is done before the process stops."""

import asyncio
import json
import logging
import signal
import threading
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from types import FrameType
from typing import Any

import redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from lib.announce import CHANNEL
from lib.redis_access import redis_clients

# Without a message from Redis, it is pinged; without an answer for as long again, it is gone, and the screens are told.
SILENCE_SECONDS = 4.0
BACK_OFF_SECONDS = (0.1, 0.5, 1.0, 2.0)

logger = logging.getLogger(__name__)


class Listener(ABC):
    """Keeps one subscription, on the event loop that serves the first request, and subscribes again when it breaks.

    A subclass says what a message means to it (`_take`), and what it does when messages may have been missed (`_missed`),
    when Redis goes away (`_lost`), and when the process is about to exit (`_end`).
    """

    def __init__(self, redis_url: str, who: str) -> None:
        self._redis_url, self._who = redis_url, who
        self._loop: asyncio.AbstractEventLoop | None = None
        self._subscribed = asyncio.Event()
        self._listening = False
        self._stopping = False

    def stop(self) -> None:
        """The process is about to exit: end what is open, and each new request at once. Callable from any thread."""
        self._stopping = True
        self._on_loop(self._end)

    @abstractmethod
    def _take(self, announced: dict[str, Any]) -> None: ...

    @abstractmethod
    def _missed(self) -> None: ...

    @abstractmethod
    def _lost(self) -> None: ...

    @abstractmethod
    def _end(self) -> None: ...

    def _on_loop(self, work: Callable[[], object]) -> None:
        """Do `work` on the loop, from any thread. Before the first request there is nothing to do."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(work)

    def _start(self) -> bool:
        """Begin to listen at the first request, on its loop. Returns whether it was that one."""
        if self._loop is not None:
            return False
        self._loop = asyncio.get_running_loop()
        self._listener = asyncio.create_task(self._listen(), name=f"listen for {self._who}")
        on_stop(self.stop)
        return True

    async def _listen(self) -> None:
        failures = 0
        while True:
            try:
                async for message in messages(self._redis_url):
                    failures = 0
                    self._heard(message)
            except (redis.RedisError, OSError) as error:
                if self._listening or not failures:
                    logger.warning("No messages from Redis for %s (%s).", self._who, type(error).__name__)
            if self._listening:
                self._listening = False
                self._lost()
            await asyncio.sleep(BACK_OFF_SECONDS[min(failures, len(BACK_OFF_SECONDS) - 1)])
            failures += 1

    def _heard(self, message: dict[str, Any]) -> None:
        if message["type"] == "subscribe":
            self._listening = True
            self._subscribed.set()
            self._missed()
        elif message["type"] == "message":
            try:
                self._take(json.loads(message["data"]))
            except (ValueError, LookupError, TypeError):
                # As of another version, while the desk is upgraded. Here it would end the subscription for good.
                logger.exception(
                    "A message from Redis is not understood by %s, which reads everything again.", self._who
                )
                self._missed()


async def messages(redis_url: str) -> AsyncIterator[dict[str, Any]]:
    """Yield the messages on our channel. Raises `redis.RedisError` or `OSError` when Redis is gone."""
    client = redis_clients.async_client(
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
