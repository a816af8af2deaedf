"""The API's waits and event streams, held on the event loop: an ASGI application in front of Django's pages.

Django answers each such request on a page thread, as any other: with the key, the rights, the masking and the audit log
of that moment. The answer "not yet" carries the header `Desk-Hold`, and no client sees it: the request stays here,
without a thread and a database connection. Django is asked again after an announcement from Redis: the rental changed,
the person lost a right, or messages may have been missed.
"""

import asyncio
import contextlib
import json
import random
import re
from collections import deque
from typing import Any

from lib.announcement_listener import Listener
from lib.web import leaving
from lib.web.asgi import Application, Message, Receive, Send, disconnected

WAIT = re.compile(r"/api/v1/rentals/([0-9]{1,18})/wait")
EVENTS = "/api/v1/events"
ENVIRON = "desk.environ"  # as `thuesim_site.serving.wsgi_threads` reads it
HOLD = b"desk-hold"
# While Redis is away, the database is asked so often.
AWAY_SECONDS = 5.0
# When Redis went away or came back, all ask within this time, not at once.
SPREAD_SECONDS = 2.0
# What is asked for all that are held: thousands of them leave the page threads to the pages now and then.
MAX_ASKS_A_SECOND = 100
BEAT_SECONDS = 15.0  # of an event stream: it is written to, and its key is checked
GATHER_SECONDS = 0.1  # in which the events of a busy team are read together
MAX_SENT = 1000  # events of the last seconds that a stream remembers


# The answers to equal requests that one announcement woke, by what tells them apart.
Shared = dict[tuple[Any, ...], "asyncio.Task[Answer]"]


class Held:
    """A request that is held, and what wakes it."""

    __slots__ = ("_shared", "_woken", "person", "rental", "team")

    def __init__(self, rental: int | None = None) -> None:
        self.rental = rental
        self.team: int | None = None
        self.person: int | None = None
        self._woken = asyncio.Event()
        self._shared: Shared | None = None

    def wake(self, shared: Shared | None = None) -> None:
        """Have Django asked again. Those woken with the same `shared` share the answer, if they ask the same."""
        self._shared = shared
        self._woken.set()

    def taken(self) -> Shared | None:
        """What woke it has been seen: return what it shares, and sleep again until the next time."""
        self._woken.clear()
        shared, self._shared = self._shared, None
        return shared

    async def sleep(self, seconds: float) -> None:
        """Return when it is woken, or after `seconds`."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._woken.wait(), seconds)


class Answer:
    """What Django answered: `hold` is what `Desk-Hold` says, None where it is for the client."""

    def __init__(self, start: Message, body: bytes) -> None:
        self.start, self.body = start, body
        holds = [value for name, value in start["headers"] if name == HOLD]
        self.hold: dict[str, Any] | None = json.loads(holds[0]) if holds else None

    async def send(self, send: Send) -> None:
        await send(self.start)
        await send({"type": "http.response.body", "body": self.body})


class Holding(Listener):
    """Holds waits and event streams; all other requests go to `pages` as they are."""

    def __init__(self, pages: Application, redis_url: str) -> None:
        super().__init__(redis_url, "the waits of the API")
        self._pages = pages
        self._held: set[Held] = set()
        self._by_rental: dict[int, set[Held]] = {}

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

    async def _wait(self, rental: int, scope: Message, receive: Receive, send: Send) -> None:
        held, loop = Held(rental), asyncio.get_running_loop()
        began, turn = loop.time(), "first"
        gone = self._add(held, receive)
        try:
            while True:
                shared = held.taken()
                answer = await self._ask_once(scope, {"desk.held": turn}, shared if turn == "again" else None)
                if answer.hold is None:
                    await answer.send(send)
                    return
                held.person = answer.hold["person"]
                left = began + answer.hold["seconds"] - loop.time()
                if left > 0 and not self._stopping:
                    seconds = left if self._listening else min(left, self._random_within(AWAY_SECONDS, 0.5))
                    await held.sleep(seconds)
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
                held.taken()
                environ = {"desk.held": "again", "desk.start": start, "desk.sent": list(sent)}
                answer = await self._ask(scope, environ)
                if answer.hold is None:  # the key was revoked, or the desk is in trouble: its client comes back
                    break
                sent.extend(answer.hold["sent"])
                await send({"type": "http.response.body", "body": answer.body, "more_body": True})
                if not answer.hold["more"] and not gone.done() and not self._stopping:
                    await held.sleep(BEAT_SECONDS if self._listening else self._random_within(AWAY_SECONDS, 0.5))
                    await asyncio.sleep(GATHER_SECONDS)
            await send({"type": "http.response.body", "body": leaving.RETRY if self._stopping else b""})
        finally:
            self._discard(held, gone)

    async def _ask_once(self, scope: Message, environ: dict[str, Any], shared: Shared | None) -> Answer:
        """Have Django answer the request once more; once for all that are equal, where an announcement woke them."""
        if shared is None:
            return await self._ask(scope, environ)
        equal = (scope["query_string"], (scope.get("client") or ("",))[0], scope["scheme"], *scope["headers"])
        if equal not in shared:
            shared[equal] = asyncio.create_task(self._ask(scope, environ))
        return await asyncio.shield(shared[equal])  # one that is cut off does not cut the others off

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
        gone = asyncio.ensure_future(disconnected(receive))
        gone.add_done_callback(lambda _: held.wake())
        return gone

    def _discard(self, held: Held, gone: asyncio.Future[None]) -> None:
        gone.cancel()
        self._held.discard(held)
        if held.rental is not None and (others := self._by_rental.get(held.rental)) is not None:
            others.discard(held)
            if not others:
                del self._by_rental[held.rental]

    def _random_within(self, seconds: float, least: float = 0) -> float:
        """Return a number of seconds in which one of all that are held asks: thousands take longer than `seconds`."""
        return max(seconds, len(self._held) / MAX_ASKS_A_SECOND) * random.uniform(least, 1)  # noqa: S311

    def _missed(self) -> None:
        """All ask again."""
        assert self._loop is not None
        for held in self._held:
            self._loop.call_later(self._random_within(SPREAD_SECONDS), held.wake)

    _lost = _missed  # from now on they ask by themselves

    def _end(self) -> None:
        """Every wait is answered as it is now, and every stream ends."""
        for held in self._held:
            held.wake()

    def _take(self, announced: Message) -> None:
        if "rental" in announced:
            shared: Shared = {}
            for held in self._by_rental.get(announced["rental"], ()):
                held.wake(shared)
            for held in self._held:
                if held.team is not None and held.team == announced["team"]:
                    held.wake()
        elif "person" in announced:
            for held in self._held:
                if held.person == announced["person"]:
                    held.wake()
        elif "event" not in announced and "handed_over" not in announced:
            self._missed()
