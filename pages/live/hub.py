"""The live stream: an ASGI application in front of Django that holds thousands of open screens on one event loop.

A screen costs neither a thread nor a database connection. One subscription to Redis per process wakes it; what
changed is then read from the database once for all screens.
"""

import asyncio
import contextlib
import json
import logging
import signal
import threading
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from types import FrameType
from typing import Any, ParamSpec, TypeVar
from urllib.parse import urlsplit

import redis
import redis.asyncio
from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.core.handlers.asgi import ASGIRequest
from django.db import close_old_connections
from django.http import HttpRequest
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from lib.announce import CHANNEL
from pages.live.screens import Screen, Viewer, compose, frame, open_screen, read, recheck, warm_up
from rentals.models import Rental

P = ParamSpec("P")
T = TypeVar("T")
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

BEAT_SECONDS = 15.0  # how often a silent stream is written to, which is also how soon a dead one is noticed
CHECK_SECONDS = 10.0  # how often the viewers of silent streams are checked; others are at every event
ROUND = 25  # rentals that are read together
PART = 250  # screens that are checked together
SILENCE_SECONDS = 20.0  # without a word from Redis, it is asked whether it is there
BACK_OFF_SECONDS = (0.1, 0.5, 1.0, 2.0)

_BEAT = b": beat\n" + frame("beat")
_REFRESH = frame("refresh")
_EXPIRED = frame("session-expired")
_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
    (b"x-content-type-options", b"nosniff"),
]

logger = logging.getLogger(__name__)
_hubs: "weakref.WeakSet[Hub]" = weakref.WeakSet()


def open_streams() -> int:
    """How many streams this process holds open."""
    return sum(len(hub._screens) for hub in _hubs)


class Hub:
    """Answers `GET /live/` with an endless stream of events, told in `static/js/live.js`.

    `hello` (data: `live`, or `waiting` while Redis is away), `rental` (the card's HTML), `gone` (a rental's id: not in
    this screen's filter), `refresh` (read the board again), `waiting` (Redis went away: ask now and then),
    `session-expired`, `beat` every 15 s, and what `announce_team` names.
    """

    def __init__(self, redis_url: str) -> None:
        self._redis_url = redis_url
        self._screens: set[Screen] = set()
        self._changed: dict[int, int] = {}  # rental id: team id
        self._team_events: set[tuple[int, str]] = set()
        self._people: set[int] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._listening = False
        self._ending = False
        # Apart, so that a thousand browsers coming back at once do not hold up the events of those that are here.
        self._doorkeepers = ThreadPoolExecutor(2, "live-door")
        self._reader = ThreadPoolExecutor(1, "live-read")
        _hubs.add(self)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        request = ASGIRequest(scope, BytesIO())
        if (status := _refusal(request)) is not None:
            await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body"})
            return
        await self._start()
        session_key = request.COOKIES.get(settings.SESSION_COOKIE_NAME)
        screen = await self._in_thread(self._doorkeepers, open_screen, request, session_key)
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        if screen is None:
            await send({"type": "http.response.body", "body": _EXPIRED})
        else:
            await self._stream(screen, receive, send)

    def end_all(self) -> None:
        """End every stream, and from now on each new one at once: the process is about to go."""
        self._ending = True
        for screen in self._screens:
            screen.end()

    async def _stream(self, screen: Screen, receive: Receive, send: Send) -> None:
        # In the set before `hello`: what changes after the browser reads its board reaches it.
        self._screens.add(screen)
        screen.offer(frame("hello", "live" if self._listening else "waiting"))
        watch = asyncio.ensure_future(_disconnected(receive))
        watch.add_done_callback(lambda _: screen.end())
        if self._ending:
            screen.end()
        try:
            while data := await screen.next():
                await send({"type": "http.response.body", "body": data, "more_body": True})
            await send({"type": "http.response.body"})
        finally:
            self._screens.discard(screen)
            watch.cancel()

    async def _start(self) -> None:
        """Begin listening at the first request, on the loop that serves it."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._wake, self._subscribed = asyncio.Event(), asyncio.Event()
            jobs = (self._listen, self._deliver, self._beat, self._check)
            self._tasks = [asyncio.create_task(job(), name=f"live{job.__name__}") for job in jobs]
            self._tasks.append(asyncio.create_task(self._warm_up()))
            _on_stop(lambda: self._loop.call_soon_threadsafe(self.end_all) if self._loop else None)
        with contextlib.suppress(TimeoutError):  # the screen is told that it is `waiting`
            await asyncio.wait_for(self._subscribed.wait(), 2)

    async def _warm_up(self) -> None:
        try:
            await self._in_thread(self._reader, warm_up)
        except Exception:  # it only makes the first card slower
            logger.exception("No card could be drawn.")

    async def _listen(self) -> None:
        """Keep one subscription, coming back by itself. Events may have been missed meanwhile: every screen rereads."""
        failures = 0
        while True:
            try:
                async for message in _messages(self._redis_url):
                    failures = 0
                    self._heard(message)
            except (redis.RedisError, OSError) as error:
                if self._listening or not failures:
                    logger.warning("The live stream does not hear Redis (%s).", type(error).__name__)
            if self._listening:
                self._listening = False
                self._offer_all(frame("waiting"))
            await asyncio.sleep(BACK_OFF_SECONDS[min(failures, len(BACK_OFF_SECONDS) - 1)])
            failures += 1

    def _heard(self, message: Message) -> None:
        if message["type"] == "subscribe":
            self._listening = True
            self._subscribed.set()
            self._offer_all(_REFRESH)
        elif message["type"] == "message":
            self._take(json.loads(message["data"]))

    def _take(self, said: Message) -> None:
        if "rental" in said:
            self._changed[said["rental"]] = said["team"]
        elif "event" in said:
            self._team_events.add((said["team"], said["event"]))
        elif "person" in said:
            self._people.add(said["person"])
        else:
            self._offer_all(_REFRESH)
            return
        self._wake.set()

    async def _deliver(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            rentals = dict(list(self._changed.items())[:ROUND])
            for rental_id in rentals:
                del self._changed[rental_id]
            if self._changed:
                self._wake.set()
            events, self._team_events = self._team_events, set()
            people, self._people = self._people, set()
            teams = {*rentals.values(), *(team for team, _ in events)}
            screens = [
                screen
                for screen in self._screens
                if screen.viewer.access.team_id in teams or screen.viewer.access.person_id in people
            ]
            await self._round(screens, rentals)
            for team, event in events:
                self._offer_all(frame(event), team)

    async def _check(self) -> None:
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            await self._round(list(self._screens), {})

    async def _round(self, screens: Sequence[Screen], rental_ids: Collection[int]) -> None:
        """Check the viewers of `screens`, then send what became of the rentals to those who may go on looking.

        In parts: the loop sends one while the next is checked.
        """
        made: dict[object, bytes] = {}
        try:
            rentals = await self._in_thread(self._reader, read, rental_ids) if rental_ids and screens else []
            for start in range(0, len(screens), PART):
                part = screens[start : start + PART]
                changed, frames = await self._in_thread(self._reader, _look, part, rentals, made)
                for screen, viewer in changed.items():
                    _change(screen, viewer)
                for group, data in frames:
                    for screen in group:
                        screen.offer(data)
        except Exception:  # a broken card or a database that is away must not end the stream of all others
            logger.exception("Live changes could not be read.")
            for screen in screens:
                screen.offer(_REFRESH)

    async def _beat(self) -> None:
        """Each second a part of the screens, so that thousands are never written to at once."""
        turn, turns = 0, int(BEAT_SECONDS)
        while True:
            await asyncio.sleep(BEAT_SECONDS / turns)
            turn = (turn + 1) % turns
            for screen in [screen for screen in self._screens if hash(screen) // 64 % turns == turn]:
                screen.offer(_BEAT)

    def _offer_all(self, data: bytes, team_id: int | None = None) -> None:
        for screen in self._screens:
            if team_id is None or screen.viewer.access.team_id == team_id:
                screen.offer(data)

    async def _in_thread(self, pool: ThreadPoolExecutor, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        def with_database() -> T:
            try:
                return work(*args, **kwargs)
            finally:
                close_old_connections()

        return await asyncio.get_running_loop().run_in_executor(pool, with_database)


def _look(
    screens: Collection[Screen], rentals: Collection[Rental], made: dict[object, bytes]
) -> tuple[dict[Screen, Viewer | None], list[tuple[list[Screen], bytes]]]:
    changed = recheck(screens)
    return changed, compose(rentals, [screen for screen in screens if screen not in changed], made)


def _change(screen: Screen, viewer: Viewer | None) -> None:
    if viewer is None:
        screen.offer(_EXPIRED)
        screen.end()
    else:
        screen.seen_by(viewer)
        screen.offer(_REFRESH)


async def _messages(redis_url: str) -> AsyncIterator[Message]:
    """What Redis says on our channel, until it is gone. Raises `redis.RedisError` or `OSError` then."""
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


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _refusal(request: HttpRequest) -> int | None:
    """The HTTP status to refuse a request with that no browser of ours would send."""
    if request.method != "GET":
        return 405
    try:
        host = request.get_host()
    except DisallowedHost:
        return 400
    origin = request.headers.get("Origin")
    if origin and urlsplit(origin).netloc != host and origin not in settings.CSRF_TRUSTED_ORIGINS:
        return 403
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in {"same-origin", "none"}:
        return 403
    return None


def _on_stop(work: Callable[[], object]) -> None:
    """Do `work` when the process is asked to stop, before what the server does then: it waits for open streams."""
    if threading.current_thread() is not threading.main_thread():
        return
    for number in (signal.SIGTERM, signal.SIGINT):
        before = signal.getsignal(number)

        def stop(number: int, stack: FrameType | None, before: Any = before) -> None:
            work()
            if callable(before):
                before(number, stack)

        signal.signal(number, stop)
