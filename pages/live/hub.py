"""The event stream: an ASGI application in front of Django that holds thousands of open screens on one event loop.

A screen costs neither a thread nor a database connection. One subscription to Redis per process wakes it; what
changed is then read from the database once for all screens.
"""

import asyncio
import contextlib
import itertools
import logging
import time
import weakref
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any, ParamSpec, TypeVar
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.core.handlers.asgi import ASGIRequest
from django.db import Error as DatabaseError
from django.db import close_old_connections
from django.http import HttpRequest
from django.urls import set_script_prefix

from accounts.audit import OncePerDay
from lib.announcement_listener import Listener
from lib.web import leaving
from lib.web.asgi import Message, Receive, Send, disconnected
from pages.live.screens import (
    Screen,
    StreamRequest,
    Viewer,
    compose,
    frame,
    handed_over_frames,
    open_screens,
    read,
    recheck,
    shown_codes,
    warm_up,
)
from rentals import code_access
from rentals.models import Rental

P = ParamSpec("P")
T = TypeVar("T")

# How often a stream is written to, with the server's time in ms since 1970. Browsers take two beats' silence for a lost
# connection (`SILENCE` in stream-worker.js and stream.js).
BEAT_SECONDS = 4.0
CHECK_SECONDS = 10.0  # how often the viewers of silent streams are checked; others are at every event
MAX_RENTALS = 25  # that are read together
MAX_SCREENS = 250  # that are checked together

_REFRESH = frame("refresh")
_EXPIRED = frame("session-expired")
_TEAM_SWITCHED = frame("team-switched")
_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store, private, no-transform"),  # compressed by a proxy, events would come late
    (b"x-accel-buffering", b"no"),
    (b"x-content-type-options", b"nosniff"),
]

_NOTHING = [(b"content-length", b"0"), (b"cache-control", b"no-store")]

logger = logging.getLogger(__name__)
_hubs: "weakref.WeakSet[Hub]" = weakref.WeakSet()


def open_streams() -> int:
    """Return how many streams this process holds open."""
    return sum(hub.open_streams for hub in _hubs)


class Hub(Listener):
    """Answers `GET /live/` with an endless stream of events, which `static/js/stream-worker.js` reads.

    `hello` (data: `live`, or `waiting` while Redis is away), `rental` (the card's HTML), `gone` (a rental's id: not in
    this screen's filter), `refresh` (read the board again), `waiting` (Redis went away: read the board now and then),
    `session-expired`, `team-switched` (the person switched to another one than the page's), `notice` (a sentence for one
    person), `beat` every 4 s (the server's time, ms since 1970), and the names that `lib.announce.team` is given.
    """

    def __init__(self, redis_url: str) -> None:
        super().__init__(redis_url, "the open screens")
        self._screens: set[Screen] = set()
        self._changed: dict[int, int] = {}  # rental id: team id
        self._team_events: set[tuple[int, str]] = set()
        self._people: set[int] = set()
        self._handed_over: set[tuple[int, int]] = set()  # the ids of a rental and a person who is told
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._to_open: dict[asyncio.Future[Screen | None], StreamRequest] = {}
        self._has_to_open = asyncio.Event()
        # Apart, so that a thousand browsers coming back at once do not hold up the events of the open streams.
        self._opener = ThreadPoolExecutor(1, "live-open")
        self._reader = ThreadPoolExecutor(1, "live-read")
        # Nobody waits for the records of who read a code.
        self._recorder = ThreadPoolExecutor(1, "live-record")
        _hubs.add(self)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        request = ASGIRequest(scope, BytesIO())
        if (status := _refusal(request)) is not None:
            await send({"type": "http.response.start", "status": status, "headers": _NOTHING})
            await send({"type": "http.response.body"})
            return
        wanted = StreamRequest.read(request, request.COOKIES.get(settings.SESSION_COOKIE_NAME))
        await self._begin()
        opening: asyncio.Future[Screen | None] = asyncio.get_running_loop().create_future()
        self._to_open[opening] = wanted
        self._has_to_open.set()
        gone = asyncio.ensure_future(disconnected(receive))
        try:
            if await self._waited(opening, gone, send):
                await self._answer(opening.result(), gone, send)
        finally:
            opening.cancel()
            gone.cancel()

    async def _waited(self, opening: "asyncio.Future[Screen | None]", gone: "asyncio.Future[None]", send: Send) -> bool:
        """Wait until the screen is open, and send the head. Returns False where the client is gone before.

        Hundreds come back at once from a machine that is gone. A client that waits hears a beat now and then: it would take
        a silent stream for dead and ask anew, and each would be opened again and again, for nobody.
        """
        begun = False
        either: set[asyncio.Future[Any]] = {opening, gone}
        while not opening.done() and not gone.done():
            await asyncio.wait(either, timeout=BEAT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if not begun and not gone.done() and not (opening.done() and opening.exception()):
                begun = True
                await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            if not opening.done() and not gone.done():
                await send({"type": "http.response.body", "body": _beat(), "more_body": True})
        return opening.done() and not gone.done()

    async def _open(self) -> None:
        """Open the screens that wait for it together: hundreds ask the database as little as one."""
        while True:
            await self._has_to_open.wait()
            self._has_to_open.clear()
            openings = list(self._to_open)[:MAX_SCREENS]
            wanted = {opening: self._to_open.pop(opening) for opening in openings}
            if self._to_open:
                self._has_to_open.set()
            await self._open_together({opening: each for opening, each in wanted.items() if not opening.done()})

    async def _open_together(self, wanted: "dict[asyncio.Future[Screen | None], StreamRequest]") -> None:
        opened = self._in_thread(self._opener, open_screens, list(wanted.values()))
        [screens] = await asyncio.gather(opened, return_exceptions=True)
        if isinstance(screens, BaseException) and len(wanted) > 1 and not isinstance(screens, DatabaseError):
            for opening, each in wanted.items():  # what breaks one of them keeps no other out
                await self._open_together({opening: each})
            return
        for number, opening in enumerate(wanted):
            if opening.done():
                continue  # its browser is gone
            if isinstance(screens, BaseException):
                opening.set_exception(screens)
            else:
                opening.set_result(screens[number])

    async def _answer(self, screen: Screen | None, gone: "asyncio.Future[None]", send: Send) -> None:
        if screen is None:
            await send({"type": "http.response.body", "body": _EXPIRED})
        elif screen.is_of_another_team:
            await send({"type": "http.response.body", "body": _TEAM_SWITCHED})
        else:
            await self._stream(screen, gone, send)

    @property
    def open_streams(self) -> int:
        return len(self._screens)

    def end_streams(self) -> None:
        """End every stream; their browsers come back. Callable from any thread."""
        self._on_loop(self._end)

    def _end(self) -> None:
        for screen in self._screens:
            screen.offer(leaving.RETRY)
            screen.end()

    async def _stream(self, screen: Screen, gone: "asyncio.Future[None]", send: Send) -> None:
        # Added before `hello`, so that every change after the browser reads its board reaches it.
        self._screens.add(screen)
        screen.offer(frame("hello", "live" if self._listening else "waiting"))
        gone.add_done_callback(lambda _: screen.end())
        if self._stopping:
            screen.end()
        try:
            while data := await screen.next():
                await send({"type": "http.response.body", "body": data, "more_body": True})
            await send({"type": "http.response.body"})
        finally:
            self._screens.discard(screen)

    async def _begin(self) -> None:
        """Begin listening and sending at the first request; wait a moment for the subscription."""
        if self._start():
            jobs = (self._open, self._deliver, self._beat, self._check, self._warm_up)
            self._tasks = [asyncio.create_task(job(), name=f"live{job.__name__}") for job in jobs]
        with contextlib.suppress(TimeoutError):  # the screen is told that it is `waiting`
            await asyncio.wait_for(self._subscribed.wait(), 2)

    async def _warm_up(self) -> None:
        try:
            await self._in_thread(self._reader, warm_up)
        except Exception:  # it only makes the first card slower
            logger.exception("No card could be rendered.")

    def _missed(self) -> None:
        """Every screen reads its board again."""
        self._offer_all(_REFRESH)

    def _lost(self) -> None:
        self._offer_all(frame("waiting"))

    def _take(self, announced: Message) -> None:
        if "handed_over" in announced:
            self._handed_over.add((announced["handed_over"], announced["person"]))
        elif "rental" in announced:
            self._changed[announced["rental"]] = announced["team"]
        elif "event" in announced:
            self._team_events.add((announced["team"], announced["event"]))
        elif "person" in announced:
            self._people.add(announced["person"])
        else:
            self._offer_all(_REFRESH)
            return
        self._wake.set()

    async def _deliver(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            rentals = dict(list(self._changed.items())[:MAX_RENTALS])
            for rental_id in rentals:
                del self._changed[rental_id]
            if self._changed:
                self._wake.set()
            events, self._team_events = self._team_events, set()
            people, self._people = self._people, set()
            handed_over, self._handed_over = self._handed_over, set()
            people |= {person for _rental, person in handed_over}
            teams = {*rentals.values(), *(team for team, _ in events)}
            screens = [
                screen
                for screen in self._screens
                if screen.viewer.access.team_id in teams or screen.viewer.access.person_id in people
            ]
            await self._round(screens, rentals, handed_over)
            for team, event in events:
                self._offer_all(frame(event), team)

    async def _check(self) -> None:
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            await self._round(list(self._screens), {})

    async def _round(
        self, screens: Sequence[Screen], rental_ids: Collection[int], handed_over: Collection[tuple[int, int]] = ()
    ) -> None:
        """Check the viewers of `screens`, then send the rentals' cards to those whose rights have not changed.

        In parts of `MAX_SCREENS`: the loop sends one while the next is checked.
        """
        rendered: dict[object, bytes] = {}
        try:
            rentals = await self._in_thread(self._reader, read, rental_ids) if rental_ids and screens else []
            for start in range(0, len(screens), MAX_SCREENS):
                part = screens[start : start + MAX_SCREENS]
                changed, frames, reads = await self._in_thread(self._reader, _checked_frames, part, rentals, rendered)
                for screen, viewer in changed.items():
                    _change(screen, viewer)
                for group, data in frames:
                    for screen in group:
                        screen.offer(data)
                if reads:
                    self._recorder.submit(_record, reads)
            notices = (
                await self._in_thread(self._reader, handed_over_frames, handed_over, screens) if handed_over else []
            )
            for group, data in notices:
                for screen in group:
                    screen.offer(data)
        except Exception:  # neither a broken card nor a missing database may end the other streams
            logger.exception("Live changes could not be read.")
            for screen in screens:
                screen.offer(_REFRESH)

    async def _beat(self) -> None:
        """Write to a fourth of the screens each second, so that thousands are never written to at once."""
        turns = int(BEAT_SECONDS)
        for turn in itertools.cycle(range(turns)):
            await asyncio.sleep(BEAT_SECONDS / turns)
            beat = _beat()
            for screen in self._screens:
                if screen.serial % turns == turn:
                    screen.offer(beat)

    def _offer_all(self, data: bytes, team_id: int | None = None) -> None:
        for screen in self._screens:
            if team_id is None or screen.viewer.access.team_id == team_id:
                screen.offer(data)

    async def _in_thread(self, pool: ThreadPoolExecutor, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        def with_database() -> T:
            set_script_prefix(f"{settings.FORCE_SCRIPT_NAME or ''}/")  # each thread has its own
            try:
                return work(*args, **kwargs)
            finally:
                close_old_connections()

        return await asyncio.get_running_loop().run_in_executor(pool, with_database)


def _checked_frames(
    screens: Collection[Screen], rentals: Collection[Rental], rendered: dict[object, bytes]
) -> tuple[dict[Screen, Viewer | None], list[tuple[list[Screen], bytes]], set[OncePerDay]]:
    """Return the screens whose viewers changed, the frames for the others, and which codes these show to whom."""
    changed = recheck(screens)
    others = [screen for screen in screens if screen not in changed]
    return changed, compose(rentals, others, rendered), shown_codes(rentals, others)


def _record(reads: set[OncePerDay]) -> None:
    try:
        code_access.record_shown(reads)
    finally:
        close_old_connections()


def _change(screen: Screen, viewer: Viewer | None) -> None:
    if viewer is None:
        screen.offer(_EXPIRED)
        screen.end()
        return
    screen.seen_by(viewer)
    screen.offer(_TEAM_SWITCHED if screen.is_of_another_team else _REFRESH)
    if screen.is_of_another_team:
        screen.end()


def _beat() -> bytes:
    return frame("beat", str(round(time.time() * 1000)))


def _refusal(request: HttpRequest) -> int | None:
    """Return the HTTP status that refuses a request which none of our pages sends, None for one of theirs."""
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
