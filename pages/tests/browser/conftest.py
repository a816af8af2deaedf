"""What the browser tests share: a page that reports every complaint of the browser, and people to sign in as."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import ConsoleMessage, Page, expect

from thuesim_site.testing import RunningDesk


@pytest.fixture
def page(page: Page) -> Iterator[Page]:
    """Fails the test when a script throws, a resource is missing, or the page breaks its own CSP."""
    complaints: list[str] = []

    def listen(message: ConsoleMessage) -> None:
        # A form sent back with what is wrong in it, and pages that are meant to be refused, are no errors of the page.
        meant = any(status in message.text for status in ("status of 422", "status of 404", "status of 403"))
        if message.type == "error" and not meant:
            complaints.append(message.text)

    page.on("console", listen)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.set_default_timeout(60_000)
    yield page
    assert not complaints


@pytest.fixture(scope="session")
def sessions() -> dict[str, Any]:
    """The cookies of who has signed in to the running desk, by user name."""
    return {}


@pytest.fixture
def sign_in(running_desk: RunningDesk, sessions: dict[str, Any]) -> Callable[[Page, str], None]:
    """Sign in to the running desk, as `linh` (operator) or `admin`: once by the form, then by the cookies it gave."""

    def do(page: Page, person: str = "linh") -> None:
        page.context.add_cookies(sessions.get(person, []))
        page.goto(f"{running_desk.base_url}/")
        if person not in sessions:
            expect(page.locator("[name=login]")).to_be_focused()  # else Chromium says that something else has the focus
            page.fill("[name=login]", person)
            page.fill("[name=password]", running_desk.passwords[person])
            page.click("button[type=submit]")
            page.wait_for_url(f"{running_desk.base_url}/")
            sessions[person] = page.context.cookies()
        expect(page.locator("#no-services")).to_have_count(0)  # read within seconds of the first start

    return do
