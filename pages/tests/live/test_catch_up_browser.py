"""Coming back to a desk that could hear nothing: asleep, without a network, or behind another tab."""

import contextlib
import gc
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import BrowserContext, Page, expect

from accounts.models import Team
from pages.tests.live.conftest import Browser, SignIn
from pages.tests.live.test_live_browser import Site, card, expect_live, receive, site
from rentals.models import Rental, Status

__all__ = ["site"]  # the fixture
pytestmark = [
    pytest.mark.browser,
    # A picture that was on its way when the cable was cut: whitenoise closes its file when it is forgotten.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


class Cable:
    """A way to the server that can be cut: what is open breaks, and nothing new gets through. Or it falls silent: nothing
    breaks, and nothing comes through."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._whole = True
        self._flows = threading.Event()
        self._flows.set()
        self._ends: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def cut(self) -> None:
        self._whole = False
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        self._whole = True

    def fall_silent(self) -> None:
        self._flows.clear()

    def speak(self) -> None:
        self._flows.set()

    def close(self) -> None:
        self.speak()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self.cut()
        for thread in self._threads:
            thread.join(60)
        for end in [*self._ends, self._listener]:
            end.close()

    def _start(self, target: Callable[..., None], *args: socket.socket) -> None:
        self._threads.append(threading.Thread(target=target, args=args, daemon=True))
        self._threads[-1].start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                here, _ = self._listener.accept()
                if not self._whole:
                    here.close()
                    continue
                there = socket.create_connection(("127.0.0.1", self._to))
                self._ends += [here, there]
                for one, other in ((here, there), (there, here)):
                    self._start(self._carry, one, other)

    def _carry(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                self._flows.wait()
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)


@pytest.fixture
def cable(site: Site) -> Iterator[Cable]:
    cable = Cable(int(site.url.rpartition(":")[2]))
    yield cable
    cable.close()
    gc.collect()  # here, where what it finds is known


@pytest.fixture
def desk(page: Page, cable: Cable, team: Team, sign_in: SignIn, context: BrowserContext) -> Page:
    """The desk, open and live over the cable, with a clock that can be put forward as a sleeping machine's is."""
    browser: Browser = sign_in(team)
    url = f"http://127.0.0.1:{cable.port}"
    context.add_cookies([{"name": "sessionid", "value": browser.cookies["sessionid"].value, "url": url}])
    page.clock.install()
    page.goto(url)
    expect_live(page)
    return page


def end(rental: Rental, status: Status) -> None:
    Rental.objects.filter(pk=rental.pk).update(status=status, ended_at=timezone.now())
    rental.announce()


def arrive(rental: Rental, code: str) -> None:
    receive(rental, code)
    Rental.objects.filter(pk=rental.pk).update(received_at=timezone.now(), ended_at=timezone.now())


def line(page: Page) -> Any:
    return page.locator("#away")


def test_what_came_while_it_slept_is_said_once_it_wakes(
    desk: Page, cable: Cable, team: Team, make_rental: Callable[..., Rental]
) -> None:
    rentals = [make_rental(team) for _ in range(4)]
    rentals[0].announce()
    expect(card(desk, rentals[0])).to_be_visible()
    desk.locator("#service").focus()
    cable.cut()
    for number, rental in enumerate(rentals[:3]):
        arrive(rental, f"52931{number}")
    end(rentals[3], Status.EXPIRED)
    desk.clock.fast_forward(60_000)
    cable.mend()
    expect(line(desk)).to_contain_text("3 codes, 1 expired.")
    expect(line(desk)).to_contain_text("While you were away (since ")
    expect(desk.locator("#announce")).to_contain_text("3 codes, 1 expired.")
    assert desk.get_attribute("#announce", "aria-live") == "polite"
    expect(card(desk, rentals[3])).to_have_attribute("data-status", "expired")
    expect(desk.locator("#service")).to_be_focused()  # nothing moved the focus
    line(desk).get_by_role("button").click()
    expect(line(desk)).to_be_hidden()


def test_a_tab_that_was_behind_another_says_what_it_showed_to_nobody(
    desk: Page, team: Team, make_rental: Callable[..., Rental]
) -> None:
    rental = make_rental(team)
    hide = """hidden => {
        Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
        document.dispatchEvent(new Event("visibilitychange"));
    }"""
    desk.evaluate(hide, True)
    arrive(rental, "059809")
    expect(card(desk, rental)).to_have_attribute("data-status", "received")
    desk.clock.fast_forward(60_000)
    desk.evaluate(hide, False)
    expect(line(desk)).to_contain_text("1 code.")


def test_a_short_break_is_not_worth_a_word(
    desk: Page, cable: Cable, team: Team, make_rental: Callable[..., Rental]
) -> None:
    rental = make_rental(team)
    cable.cut()
    expect(desk.locator("#live-state")).not_to_have_attribute("data-state", "live")
    arrive(rental, "059809")
    cable.mend()
    expect(card(desk, rental)).to_have_attribute("data-status", "received")
    expect(line(desk)).to_be_hidden()


def test_the_sign_tells_how_old_the_page_is(desk: Page, cable: Cable) -> None:
    # Else, within a second, it would say that there is no connection.
    desk.clock.pause_at(desk.evaluate("Date.now()") / 1000 + 60)
    cable.cut()
    expect(desk.locator("#live-state")).not_to_have_attribute("data-state", "live")
    desk.clock.fast_forward(45_000)
    expect(desk.locator("[data-live-age]")).to_contain_text("last answer")
    desk.clock.resume()
    cable.mend()
    expect(desk.locator("[data-live-age]")).to_have_text("")
    expect_live(desk)
