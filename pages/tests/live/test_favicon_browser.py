"""The icon of the tab tells numbers that wait and codes that came, in a real browser."""

from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from accounts.models import Team
from pages.tests.live.browsing import open_desk
from pages.tests.live.conftest import Browser, SignIn
from pages.tests.live.test_tray_browser import receive
from rentals.models import Rental

pytestmark = pytest.mark.browser
# As another tab does that is chosen, or left.
HIDE = """(hidden) => {
  Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


@pytest.fixture
def operator(team: Team, sign_in: SignIn) -> Browser:
    return sign_in(team)


@pytest.fixture
def desk(context: BrowserContext, site: str, operator: Browser) -> Page:
    return open_desk(context, site, operator)


def test_the_icon_of_the_tab_tells_numbers_that_wait_and_codes_that_came(
    desk: Page, site: str, team: Team, operator: Browser, make_rental: Callable[..., Rental]
) -> None:
    icon = desk.locator("link[rel=icon]")
    expect(icon).to_have_attribute("href", "/static/favicon.svg")
    same = icon.element_handle()
    rental = make_rental(team, person=operator.person)
    rental.announce()
    expect(icon).to_have_attribute("href", f"{site}/static/favicon-waiting.svg")
    desk.evaluate(HIDE, True)
    receive(rental, "482913")
    expect(icon).to_have_attribute("href", f"{site}/static/favicon-code.svg")
    desk.evaluate(HIDE, False)  # the code is in sight then
    expect(icon).to_have_attribute("href", f"{site}/static/favicon.svg")
    assert same.evaluate("element => element.isConnected")  # one that is replaced flickers


def test_a_colleagues_number_that_waits_is_not_ones_own(
    desk: Page, team: Team, sign_in: SignIn, make_rental: Callable[..., Rental]
) -> None:
    colleague = sign_in(team)
    rental = make_rental(team, person=colleague.person)
    rental.announce()
    expect(desk.locator(f"#rental-{rental.pk}")).to_be_visible()
    expect(desk.locator("link[rel=icon]")).to_have_attribute("href", "/static/favicon.svg")
