"""The API's waits and event streams, held on the event loop: an ASGI application in front of Django's pages.

Django answers each such request on a page thread, as any other: with the key, the rights, the masking and the audit log of
that moment. Where the answer is "not yet", it carries the header `Desk-Hold`, and no client sees it: the request stays here,
without a thread and without a database connection, and Django is asked again when an announcement from Redis says that
the rental changed, that the person lost a right, or that messages may have been missed.
"""

import asyncio
import contextlib
import json
import logging
import random
import re
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import redis

from lib import announcements

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

WAIT = re.compile(r"/api/v1/rentals/([0-9]{1,18})/wait")
EVENTS = "/api/v1/events"
ENVIRON = "desk.environ"  # as `thuesim_site.wsgi_threads` reads it
HOLD = b"desk-hold"
# While Redis is away, the database is asked so often.
AWAY_SECONDS = 5.0
# After Redis came back, the waits ask within this time, not all at once.
SPREAD_SECONDS = 2.0
BEAT_SECONDS = 15.0  # of an event stream: it is written to, and its key is checked
GATHER_SECONDS = 0.1  # in which the events of a busy team are read together
BACK_OFF_SECONDS = (0.1, 0.5, 1.0, 2.0)
MAX_SENT = 1000  # events of the last seconds that a stream remembers

logger = logging.getLogger(__name__)


class Held:
    """A request that is held, and what wakes it."""

    __slots__ = ("person", "rental", "team", "woken")

    def __init__(self, rental: int | None = None) -> None:
        self.rental, self.team, self.person = rental, None, None
        self.woken = asyncio.Event()

    rental: int | None
    team: int | None
    person: int | None

    async def sleep(self, seconds: float) -> None:
        """Return when it is woken, or after `seconds`."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.woken.wait(), seconds)


class Answer:
    """What Django answered: `hold` is what `Desk-Hold` says, None where it is for the client."""

    def __init__(self, start: Message, body: bytes) -> None:
        self.start, self.body = start, body
        told = [value for name, value in start["headers"] if name == HOLD]
        self.hold: dict[str, Any] | None = json.loads(told[0]) if told else None

    async def send(self, send: Send) -> None:
        await send(self.start)
        await send({"type": "http.response.body", "body": self.body})


class Holding:
    """Holds waits and event streams; all other requests go to `pages` as they are."""

    def __init__(self, pages: Application, redis_url: str) -> None:
        self._pages, self._redis_url = pages, redis_url
        self._held: set[Held] = set()
        self._by_rental: dict[int, set[Held]] = {}
        self._listening = False
        self._stopping = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listener: asyncio.Task[None] | None = None

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        wait = WAIT.fullmatch(scope["path"]) if scope["method"] == "GET" else None
        if wait is not None:
            self._start()
            await self._wait(int(wait[1]), scope, receive, send)
        elif scope["path"] == EVENTS and scope["method"] == "GET":
            self._start()
            await self._events(scope, receive, send)
        else:
            await self._pages(scope, receive, send)

    @property
    def count(self) -> int:
        """How many requests are held."""
        return len(self._held)

    def stop(self) -> None:
        """Answer every wait as it is now, and end every stream: the process is about to exit. From any thread."""
        self._stopping = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._wake_all)

    async def _wait(self, rental: int, scope: Message, receive: Receive, send: Send) -> None:
        held, loop = Held(rental), asyncio.get_running_loop()
        began, turn = loop.time(), "first"
        gone = self._add(held, receive)
        try:
            while True:
                held.woken.clear()
                answer = await self._ask(scope, {"desk.held": turn})
                if answer.hold is None:
                    await answer.send(send)
                    return
                held.person = answer.hold["person"]
                left = began + answer.hold["seconds"] - loop.time()
                if left > 0 and not self._stopping:
                    await held.sleep(left if self._listening else min(left, AWAY_SECONDS * random.uniform(0.5, 1)))  # noqa: S311
                if gone.done():
                    return
                over = began + answer.hold["seconds"] <= loop.time() or self._stopping
                turn = "last" if over else "again"
        finally:
            self._discard(held, gone)

    async def _events(self, scope: Message, receive: Receive, send: Send) -> None:
        answer = await self._ask(scope, {"desk.held": "first"})
        if answer.hold is None:
            await answer.send(send)
            return
        headers = [(name, value) for name, value in answer.start["headers"] if name not in {HOLD, b"content-length"}]
        await send({**answer.start, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body, "more_body": True})
        start, sent = answer.hold["start"], deque[int](answer.hold["sent"], MAX_SENT)
        held = Held()
        held.team, held.person = answer.hold["team"], answer.hold["person"]
        gone = self._add(held, receive)
        try:
            # At once: something may have happened before it was added.
            while not gone.done() and not self._stopping:
                held.woken.clear()
                environ = {"desk.held": "again", "desk.start": start, "desk.sent": list(sent)}
                answer = await self._ask(scope, environ)
                if answer.hold is None:  # the key was revoked, or the desk is in trouble: its client comes back
                    break
                sent.extend(answer.hold["sent"])
                await send({"type": "http.response.body", "body": answer.body, "more_body": True})
                if not answer.hold["more"] and not gone.done() and not self._stopping:
                    await held.sleep(BEAT_SECONDS if self._listening else AWAY_SECONDS)
                    await asyncio.sleep(GATHER_SECONDS)
            await send({"type": "http.response.body", "body": b""})
        finally:
            self._discard(held, gone)

    async def _ask(self, scope: Message, environ: dict[str, Any]) -> Answer:
        """Have Django answer the request once more."""
        start: Message = {}
        body = bytearray()
        sent = False

        async def receive() -> Message:
            nonlocal sent
            if sent:
                await asyncio.get_running_loop().create_future()  # it never disconnects
            sent = True
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            else:
                body.extend(message.get("body", b""))

        await self._pages({**scope, ENVIRON: environ}, receive, send)
        return Answer(start, bytes(body))

    def _add(self, held: Held, receive: Receive) -> asyncio.Future[None]:
        """Hold a request. Returns what is done when its client is gone, which wakes it, too."""
        self._held.add(held)
        if held.rental is not None:
            self._by_rental.setdefault(held.rental, set()).add(held)
        gone = asyncio.ensure_future(_disconnected(receive))
        gone.add_done_callback(lambda _: held.woken.set())
        return gone

    def _discard(self, held: Held, gone: asyncio.Future[None]) -> None:
        gone.cancel()
        self._held.discard(held)
        if held.rental is not None and (others := self._by_rental.get(held.rental)) is not None:
            others.discard(held)
            if not others:
                del self._by_rental[held.rental]

    def _start(self) -> None:
        """Begin to listen at the first request, on the loop that serves it."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._listener = asyncio.create_task(self._listen(), name="api-listen")
            announcements.on_stop(self.stop)

    async def _listen(self) -> None:
        """Keep one subscription, and subscribe again when it breaks."""
        failures = 0
        while True:
            try:
                async for message in announcements.messages(self._redis_url):
                    failures = 0
                    self._heard(message)
            except (redis.RedisError, OSError) as error:
                if self._listening or not failures:
                    logger.warning("Waits of the API get no messages from Redis (%s).", type(error).__name__)
            if self._listening:
                self._listening = False
                self._wake_all()  # from now on they ask by themselves
            await asyncio.sleep(BACK_OFF_SECONDS[min(failures, len(BACK_OFF_SECONDS) - 1)])
            failures += 1

    def _heard(self, message: Message) -> None:
        if message["type"] == "subscribe":
            self._listening = True
            self._wake_all(spread=SPREAD_SECONDS)
        elif message["type"] == "message":
            self._take(json.loads(message["data"]))

    def _take(self, announced: Message) -> None:
        if "rental" in announced:
            for held in self._by_rental.get(announced["rental"], ()):
                held.woken.set()
            for held in self._held:
                if held.team is not None and held.team == announced["team"]:
                    held.woken.set()
        elif "person" in announced:
            for held in self._held:
                if held.person == announced["person"]:
                    held.woken.set()
        elif "event" not in announced and "handed_over" not in announced:
            self._wake_all(spread=SPREAD_SECONDS)

    def _wake_all(self, *, spread: float = 0.0) -> None:
        for held in list(self._held):
            if spread and self._loop is not None:
                self._loop.call_later(random.uniform(0, spread), held.woken.set)  # noqa: S311
            else:
                held.woken.set()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
