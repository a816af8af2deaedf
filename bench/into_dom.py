"""Milliseconds from a callback to its code in the DOM: `python -m bench.into_dom [screens ...]`, by default 1 200.

The whole desk as `./run` starts it, on the sandbox and SQLite. One of the screens is a real Chromium on the desk's
page; the others are streams, each with a session and a person of its own. The numbers are rented, the callbacks are sent
one after the other. Chromium, the streams and the desk share the machine's cores.
"""

import asyncio
import os
import statistics
import sys
import tempfile
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import requests
from playwright.sync_api import Page, sync_playwright

from bench.live import Client, sessions_for
from thuesim_site.testing import RunningDesk, find_chromium, wait_until

CODES = 25  # with each number of screens; a person may order so many in a minute, twice
MAX_MILLISECONDS = 100.0  # for 95 of a hundred, with 200 screens
PAUSE_SECONDS = 0.5

# Notes when each code is in the page, by the clock that the machine shares.
WATCH = """() => {
    window.arrivals = {};
    new MutationObserver(() => {
        for (const { textContent: code } of document.querySelectorAll("#board [data-testid=code]"))
            window.arrivals[code] ??= performance.timeOrigin + performance.now();
    }).observe(document.getElementById("board"), { childList: true, subtree: true });
}"""


class Streams:
    """Screens without a browser, held open by an event loop in a thread of its own."""

    def __init__(self, port: int, sessions: list[str]) -> None:
        self._loop = asyncio.new_event_loop()
        self._clients: list[Client] = []
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        asyncio.run_coroutine_threadsafe(self._open(port, sessions), self._loop).result(120)

    async def _open(self, port: int, sessions: list[str]) -> None:
        for session in sessions:
            lines = ["GET /live/ HTTP/1.1", "Host: localhost", f"Cookie: sessionid={session}", "", ""]
            request = "\r\n".join(lines).encode()
            _, client = await self._loop.create_connection(partial(Client, request), "127.0.0.1", port)
            await client.greeted
            self._clients.append(client)

    def close(self) -> None:
        """Hang up."""
        for client in self._clients:
            self._loop.call_soon_threadsafe(client.transport.abort)
        self._loop.call_soon_threadsafe(self._loop.stop)


def rent(desk: RunningDesk, count: int) -> tuple[list[str], str]:
    """Rent numbers for the first team; return the upstream's ids of those that wait, and where callbacks go."""
    from accounts.models import Team, User
    from rentals import orders
    from rentals.models import CallbackAddress, Rental, Service, Status, Token

    team, person = Team.objects.get(), User.objects.get(username="linh")
    wait_until(lambda: Service.objects.filter(active=True).exists(), "the services are read", 60)
    Team.objects.update(shares_codes=True)
    for _ in range(count):
        orders.take_order(orders.Order(person=person, team=team, service=Service.objects.filter(active=True)[0]))
    waiting = Rental.objects.filter(status=Status.WAITING)
    wait_until(lambda: waiting.count() >= count, "the numbers wait", 120)
    secret = CallbackAddress.issue(Token.objects.get()).secret.reveal()
    return list(waiting.values_list("upstream_id", flat=True)), f"{desk.base_url}/callback/{secret}/"


def measure(page: Page, ids: list[str], callback: str, first_code: int) -> list[float]:
    """Send a callback for each id and return how long each code took into the page, in ms."""
    took = []
    for number, upstream_id in enumerate(ids, first_code):
        code = f"{number:06}"
        body = {
            "data": {
                "status": 1,
                "requestId": upstream_id,
                "code": code,
                "smsContent": f"{code} la ma",
                "isSound": "false",
            }
        }
        sent = time.time()
        requests.post(callback, json=body, timeout=10).raise_for_status()
        arrived = page.wait_for_function("code => window.arrivals[code]", arg=code, polling=50).json_value()
        took.append(arrived - sent * 1000)
        time.sleep(PAUSE_SECONDS)
    return took


def main(*sizes: int) -> int:
    """Measure with each number of screens, and print what came of it; returns 1 where it takes too long."""
    sizes = sizes or (1, 200)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        desk = RunningDesk(Path(folder), THUESIM_RENT_GAP="0.2")
        os.environ.update(DESK_DATA_DIR=str(desk.data_dir), DJANGO_SETTINGS_MODULE="thuesim_site.settings")
        os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"  # Playwright runs an event loop in this thread
        desk.start(seconds=240)
        browser = playwright.chromium.launch(
            executable_path=find_chromium(),
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        try:
            import django

            django.setup()
            from accounts.models import Team

            desk.sandbox("settings", gap=0.0, message_after=None, waiting_limit=1000)
            ids, callback = rent(desk, CODES * len(sizes))
            sessions = sessions_for(Team.objects.get(), max(sizes))
            kept = [
                report(browser, desk, sessions[:size], ids[turn * CODES : (turn + 1) * CODES], callback, turn)
                for turn, size in enumerate(sizes)
            ]
        finally:
            browser.close()
            desk.stop()
    return 0 if all(kept) else 1


def report(browser: Any, desk: RunningDesk, sessions: list[str], ids: list[str], callback: str, turn: int) -> bool:
    """Open a page and the other screens, measure, and print one line. Returns whether it was quick enough."""
    streams = Streams(desk.port, sessions[1:])
    with browser.new_context(locale="en") as context:
        context.add_cookies([{"name": "sessionid", "value": sessions[0], "url": desk.base_url}])
        page = context.new_page()
        page.goto(desk.base_url)
        page.wait_for_selector("#live-state[data-state=live]")
        page.evaluate(WATCH)
        took = sorted(measure(page, ids, callback, 100_000 * (turn + 1)))
    streams.close()
    p95 = took[min(len(took) - 1, int(len(took) * 0.95))]
    kept = p95 <= MAX_MILLISECONDS
    figures = f"median {statistics.median(took):5.0f} ms  p95 {p95:5.0f} ms  worst {took[-1]:5.0f} ms"
    notes = f"at most {MAX_MILLISECONDS:g}, {len(took)} callbacks, load {os.getloadavg()[0]:.1f}"
    print(f"{'ok    ' if kept else 'BROKEN'} {len(sessions):5} screens: {figures}  ({notes})", flush=True)
    return kept


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
