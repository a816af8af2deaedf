"""People before the load balancer: open screens, readers of pages, customers who order. They note when what came."""

import asyncio
import contextlib
import itertools
import json
import random
import re
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import requests
import uvloop

SILENCE_SECONDS = 8.5  # as stream-worker.js takes a stream for dead
RETRY_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0)
POLL_SECONDS = 4.0  # as stream.js reads its part while Redis is away
READER_PAUSE_SECONDS, READER_PATIENCE_SECONDS = 0.5, 30.0
ORDER_PATIENCE_SECONDS = 10.0
_CODE = re.compile(rb'data-testid="code"[^>]*>([^<]+)<')


@dataclass
class Times:
    """When something went well, as times of the wall clock. `longest` is for how long it did not."""

    good: dict[object, list[float]] = field(default_factory=lambda: defaultdict(list))

    def note(self, who: object) -> None:
        """It went well for `who` now."""
        self.good[who].append(time.time())

    def longest(self, since: float, until: float) -> float:
        """The longest that anyone waited between two good times, of those waits that reach into the span."""
        worst = 0.0
        for times in list(self.good.values()):
            for before, after in itertools.pairwise([*times, until] if not times or times[-1] < until else list(times)):
                if after > since and before < until:
                    worst = max(worst, after - before)
        return worst


@dataclass
class Return:
    """A screen that lost its stream and came back, in times of the wall clock."""

    heard: float  # the last event before
    noticed: float  # the connection ended, or was silent for too long
    greeted: float
    attempts: int


class Screens:
    """Open streams that come back as a browser's do. The first `readers` also read their board when a browser would,
    and `codes` says when each of those had which code first."""

    def __init__(self, host: str, sessions: Sequence[str], readers: int) -> None:
        self.host, self.sessions = host, sessions
        self.heard = Times()
        self.codes: dict[int, dict[str, float]] = {number: {} for number in range(readers)}
        self.reconnects = 0
        self.returns: list[Return] = []
        self._lost: dict[int, tuple[float, float]] = {}  # when it was last heard, and when that was noticed
        self._attempts: dict[int, int] = defaultdict(int)
        self._loop = uvloop.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="screens", daemon=True).start()
        for number in range(len(sessions)):
            asyncio.run_coroutine_threadsafe(self._keep_open(number), self._loop)

    def all_open(self) -> bool:
        """Whether each has had something from its stream."""
        return len(self.heard.good) == len(self.sessions)

    async def _keep_open(self, number: int) -> None:
        await asyncio.sleep(number * 0.02)
        failures = 0
        while True:
            failures += 1
            with contextlib.suppress(OSError, TimeoutError):
                connecting = self._loop.create_connection(lambda: _Screen(self, number), self.host, 80)
                _transport, screen = await asyncio.wait_for(connecting, SILENCE_SECONDS)
                await screen.ended()
                failures = 0 if screen.greeted else failures
            if failures == 0:
                self._lost[number] = (self.heard.good[number][-1], time.time())
            self._attempts[number] += 1
            self.reconnects += 1
            await asyncio.sleep(RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)] * random.uniform(0.5, 1.5))

    def greeted(self, number: int) -> None:
        """Note that the stream of a screen is there."""
        if lost := self._lost.pop(number, None):
            self.returns.append(Return(*lost, time.time(), self._attempts[number]))
        self._attempts[number] = 0

    def codes_in(self, number: int, html: bytes) -> None:
        """Note the codes that a screen has."""
        now = time.time()
        for code in _CODE.findall(html):
            self.codes[number].setdefault(re.sub(r"\W", "", code.decode()), now)

    async def read_board(self, number: int, *, again: bool) -> None:
        """Read the board until it came; `again` and again while there are no events."""
        await asyncio.sleep(random.uniform(0, 0.8))
        while True:
            with contextlib.suppress(OSError, TimeoutError):
                reader, writer = await asyncio.open_connection(self.host, 80)
                try:
                    writer.write(self.request(number, "/board/"))
                    page = await asyncio.wait_for(reader.read(-1), SILENCE_SECONDS)
                finally:
                    writer.close()
                self.codes_in(number, page)
                if page.startswith((b"HTTP/1.0 200", b"HTTP/1.1 200")) and not again:
                    return
            await asyncio.sleep(POLL_SECONDS)

    def request(self, number: int, path: str) -> bytes:
        """A GET by a script of one of the people. By HTTP/1.0, so that the answer is not cut into chunks."""
        lines = [f"GET {path} HTTP/1.0", f"Host: {self.host}", f"Cookie: sessionid={self.sessions[number]}"]
        return "\r\n".join([*lines, "Accept: */*", "", ""]).encode()


class _Screen(asyncio.Protocol):
    """One connection of one screen. It looks at bytes, not at lines: there are hundreds of them."""

    def __init__(self, screens: Screens, number: int) -> None:
        self._screens, self._number = screens, number
        self._heard_at, self._tail = time.monotonic(), b""
        self._reading: asyncio.Task[None] | None = None
        self._lost = asyncio.Event()
        self._transport: asyncio.Transport | None = None
        self.greeted = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._screens.request(self._number, "/live/?lang=en"))

    def data_received(self, data: bytes) -> None:
        self._heard_at = time.monotonic()
        if not self.greeted and b"event: hello" not in data:
            return  # the head, or the page of an outage
        if not self.greeted:
            self._screens.greeted(self._number)
        self.greeted = True
        self._screens.heard.note(self._number)
        if self._number not in self._screens.codes:
            return
        text = self._tail + data
        self._tail = text[-200:]
        self._screens.codes_in(self._number, text)
        if b"event: waiting" in data or b"data: waiting" in data:
            self._read_board(again=True)
        elif b"event: refresh" in data or b"event: hello" in data:
            self._read_board(again=False)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost.set()
        if self._reading:
            self._reading.cancel()

    async def ended(self) -> None:
        """Wait until the stream ends, or is silent for so long that a browser gives it up."""
        while not self._lost.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._lost.wait(), 0.5)
            if time.monotonic() - self._heard_at > SILENCE_SECONDS and self._transport:
                self._transport.abort()

    def _read_board(self, *, again: bool) -> None:
        if self._reading:
            self._reading.cancel()
        self._reading = asyncio.ensure_future(self._screens.read_board(self._number, again=again))


class Readers:
    """People who open the desk's page again and again."""

    def __init__(self, host: str, sessions: Sequence[str]) -> None:
        self._host, self._stopped = host, threading.Event()
        self.pages = Times()
        for session in sessions:
            threading.Thread(target=self._read, args=(session,), name="reader", daemon=True).start()

    def _read(self, session: str) -> None:
        while not self._stopped.wait(READER_PAUSE_SECONDS):
            with contextlib.suppress(requests.RequestException):
                answer = requests.get(
                    f"http://{self._host}/", cookies={"sessionid": session}, timeout=READER_PATIENCE_SECONDS
                )
                if answer.status_code == 200 and 'id="live-state"' in answer.text:
                    self.pages.note(session)

    def stop(self) -> None:
        """End them."""
        self._stopped.set()


class Customers:
    """Programs that order by the API, each with its own key, steadily. `ordered` has the rental of each one-time key: an
    order that was not answered is sent again with the same one, as the client library does."""

    def __init__(self, host: str, api_keys: Sequence[str], every: float, service: str, first_label: int) -> None:
        self._host, self._every, self._service = host, every, service
        self._labels = itertools.count(first_label)
        self._stopped = threading.Event()
        self.taken = Times()
        self.ordered: dict[int, int] = {}
        self.odd: list[str] = []
        self._threads = [threading.Thread(target=self._order, args=(key,), daemon=True) for key in api_keys]
        for thread in self._threads:
            thread.start()

    def _order(self, api_key: str) -> None:
        while not self._stopped.wait(self._every * random.uniform(0.7, 1.3)):
            label = next(self._labels)
            while label not in self.ordered and not self._attempt(api_key, label):
                if self._stopped.wait(0.5):
                    self._attempt(api_key, label)
                    break

    def _attempt(self, api_key: str, label: int) -> bool:
        """Send an order. Returns whether it was answered for good."""
        # No number begins with the label: it filters nothing, and tells the order in the sandbox's books.
        order = {"service": self._service, "exclude_prefixes": [str(label)], "keep_trying_minutes": 10}
        headers = {"Authorization": f"Bearer {api_key}", "Idempotency-Key": f"bench-{label}"}
        try:
            answer = requests.post(
                f"http://{self._host}/api/v1/rentals", json=order, headers=headers, timeout=ORDER_PATIENCE_SECONDS
            )
        except requests.RequestException:
            return False
        if answer.status_code == 201:
            self.ordered[label] = json.loads(answer.content)["id"]
            self.taken.note(api_key)
            return True
        if answer.status_code < 500:
            self.odd.append(f"{answer.status_code} {answer.text[:200]}")
            return answer.status_code not in {409, 429}
        return False

    def stop(self) -> None:
        """End them, each after its order is answered or has been sent twice."""
        self._stopped.set()
        for thread in self._threads:
            thread.join(3 * ORDER_PATIENCE_SECONDS)
