"""The service worker in a real browser: a page of its own without a connection, and no part in anything else."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import BrowserContext, Page, expect

from accounts.models import Team
from pages.tests.live.browsing import open_desk
from pages.tests.live.conftest import Browser, SignIn
from pages.tests.live.test_tray_browser import receive
from pages.views import installable
from rentals.models import Rental
from thuesim_site.testing import wait_until

pytestmark = pytest.mark.browser
OFFLINE = "The desk cannot be reached"
KEPT = """async () => {
  const found = {};
  for (const name of await caches.keys())
    found[name] = (await (await caches.open(name)).keys()).map(({ url }) => new URL(url).pathname + new URL(url).search);
  return found;
}"""

# As if its hour in the browser's cache were over.
UPDATE = """async () => {
  const { scriptURL } = navigator.serviceWorker.controller;
  await fetch(scriptURL, { cache: "reload" });
  await (await navigator.serviceWorker.ready).update();
}"""


@pytest.fixture
def operator(team: Team, sign_in: SignIn) -> Browser:
    return sign_in(team)


@pytest.fixture
def context(browser: Chromium) -> Iterator[BrowserContext]:
    """A browser as people have it: with the service worker."""
    with browser.new_context(locale="en") as context:
        yield context


@pytest.fixture
def complaints() -> list[str]:
    return []


@pytest.fixture
def page(context: BrowserContext, site: str, operator: Browser, complaints: list[str]) -> Page:
    """The desk, under the service worker."""
    page = open_desk(context, site, operator)
    page.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    wait_until(lambda: page.evaluate("navigator.serviceWorker.controller !== null"), "the service worker is there")
    return page


def test_without_a_connection_a_page_says_so_and_shows_nothing_of_anybody(
    page: Page, context: BrowserContext, site: str, operator: Browser
) -> None:
    page.reload()
    expect(page.locator(".menu-who")).to_contain_text(operator.person.username)
    context.set_offline(True)
    page.goto(f"{site}/rentals/")
    expect(page.locator("h1")).to_have_text(OFFLINE)
    assert operator.person.username not in page.content()
    assert page.url == f"{site}/rentals/"  # and so, with a connection, it comes back to where one was
    assert page.evaluate("document.fonts.check('16px \"Plex Sans\"')")
    assert page.locator(".problem-icon .icon").bounding_box()
    context.set_offline(False)
    expect(page.locator("h1")).to_have_text("History")  # by itself


def test_only_the_offline_page_and_its_files_are_kept(page: Page, site: str) -> None:
    for path in ("/rentals/", "/team/", "/accounts/sessions/", "/"):
        page.goto(site + path)
    (kept,) = page.evaluate(KEPT).values()
    assert kept == ["/offline/?language=en", *(f"/static/{file}" for file in installable.OFFLINE_FILES)]


def test_a_code_arrives_and_an_order_is_refused_as_without_it(
    page: Page, team: Team, operator: Browser, make_rental: Callable[..., Rental], complaints: list[str]
) -> None:
    rental = make_rental(team, person=operator.person)
    page.reload()
    expect(page.locator("#live-state")).to_have_attribute("data-state", "live")
    receive(rental, "482913")
    expect(page.locator(f"#rental-{rental.pk}").get_by_test_id("code")).to_have_text("482913")
    with page.expect_response("**/rent/") as answer:
        page.evaluate("document.getElementById('rent').requestSubmit()")
    assert answer.value.status == 422
    assert not answer.value.from_service_worker
    assert [line for line in complaints if "422" not in line] == []


def test_signing_out_leaves_nothing_behind(page: Page, site: str) -> None:
    page.goto(f"{site}/rentals/")
    page.locator(".menu > summary").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.locator("[name=password]")).to_be_visible()
    page.goto(f"{site}/rentals/")
    expect(page.locator("[name=password]")).to_be_visible()


def test_a_new_release_replaces_what_is_kept(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    before = list(page.evaluate(KEPT))
    monkeypatch.setattr(installable, "OFFLINE_FILES", ("favicon.svg",))

    def is_replaced() -> bool:
        page.evaluate(UPDATE)
        names = list(page.evaluate(KEPT))
        return len(names) == 1 and names != before

    # Not at once again: the new worker begins when the former one is asked nothing.
    wait_until(is_replaced, "it is replaced", every=1)
    ((_name, kept),) = page.evaluate(KEPT).items()
    assert kept == ["/offline/?language=en", "/static/favicon.svg"]
