"""The sign says what is true: a network that falls silent, a computer's clock that is set, many tabs of any browser."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import BrowserContext, Page, expect

from accounts.models import Team
from pages.tests.live.conftest import Browser
from pages.tests.live.test_catch_up_browser import Cable, cable
from pages.tests.live.test_live_browser import Site, card, expect_live, operator, receive, site
from rentals.models import Rental
from rentals.tests.factories import make_service, make_token
from thuesim_site.testing import wait_until

__all__ = ["cable", "operator", "site"]  # the fixtures
pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")]

OFFLINE = re.compile(r"No connection since \d\d:\d\d")
WITHOUT_SHARED_WORKERS = "delete window.SharedWorker"
# Counts tenths of a second, none while the machine stands still, until the page says that there is no connection.
COUNT_TENTHS = """() => {
    const sign = document.getElementById("live-state");
    let tenths = 0;
    setInterval(() => tenths++, 100);
    const look = () => { if (sign.dataset.state === "offline") window.toldAfter ??= tenths; };
    new MutationObserver(look).observe(sign, { attributes: true });
    look();
}"""


def open_desk(page: Page, context: BrowserContext, person: Browser, url: str) -> Page:
    context.add_cookies([{"name": "sessionid", "value": person.cookies["sessionid"].value, "url": url}])
    page.goto(url)
    expect_live(page)
    return page


@pytest.mark.parametrize("script", ["", WITHOUT_SHARED_WORKERS])
def test_a_network_that_falls_silent_is_told_within_ten_seconds(
    page: Page, context: BrowserContext, cable: Cable, operator: Browser, team: Team, script: str
) -> None:
    make_service(name="Viber", sv="02", upstream_id="97")
    make_token(team)
    page.add_init_script(script)
    open_desk(page, context, operator, f"http://127.0.0.1:{cable.port}")
    cable.fall_silent()
    page.evaluate(COUNT_TENTHS)
    expect(page.locator("#live-state")).to_contain_text(OFFLINE)
    assert page.evaluate("toldAfter") < 105
    expect(page.locator("#no-connection")).to_be_visible()
    page.fill("#service", "02.97")
    page.click(".rent-go")
    expect(page.get_by_role("alert")).to_contain_text("nothing was sent")
    assert not Rental.objects.exists()
    page.wait_for_timeout(6000)
    expect(page.locator("#live-state")).to_contain_text(OFFLINE)  # still, and not "checking every few seconds"
    cable.speak()
    expect_live(page)
    expect(page.locator("#no-connection")).to_be_hidden()
    assert not Rental.objects.exists()  # what was refused is not sent later


def test_setting_the_computers_clock_changes_nothing(
    page: Page, context: BrowserContext, site: Site, operator: Browser, team: Team, make_rental: Callable[..., Rental]
) -> None:
    now = timezone.now()
    waiting = make_rental(team, person=operator.person, expires_at=now + timedelta(minutes=8))
    for n in range(12):
        make_rental(team, status="expired", upstream_key=f"x{n}", ended_at=now)
    open_desk(page, context, operator, site.url)
    page.evaluate("hours => { const now = Date.now; Date.now = () => now() + hours * 3600e3 }", 2)
    page.wait_for_timeout(7000)
    assert page.locator("#board > [data-rental-id]").count() == 13
    assert re.fullmatch(r"7:\d\d", card(page, waiting).get_by_test_id("expires").text_content() or "")
    expect_live(page)


def test_a_wrong_clock_of_the_page_is_put_right_by_the_next_beat(
    page: Page, context: BrowserContext, site: Site, operator: Browser, team: Team, make_rental: Callable[..., Rental]
) -> None:
    waiting = make_rental(team, expires_at=timezone.now() + timedelta(minutes=8))
    # As after a sleep in which the page's clock stood still.
    page.add_init_script(
        "performance.now = (now => () => now.call(performance) - (window.slept ?? 0))(performance.now)"
    )
    open_desk(page, context, operator, site.url)
    page.evaluate("window.slept = 180_000")
    expect(card(page, waiting).get_by_test_id("expires")).to_have_text(re.compile(r"7:\d\d"))


def test_seven_tabs_without_shared_workers_share_one_stream(
    page: Page, context: BrowserContext, site: Site, operator: Browser, team: Team, make_rental: Callable[..., Rental]
) -> None:
    context.add_init_script(WITHOUT_SHARED_WORKERS)
    tabs = [page] + [context.new_page() for _ in range(6)]
    for tab in tabs:
        tab.goto(site.url)
        expect_live(tab)
    wait_until(lambda: site.hub.open_streams == 1, "all have one stream")
    rental = make_rental(team, person=operator.person)
    rental.announce()
    for tab in tabs:
        expect(card(tab, rental)).to_be_visible()
    tabs.pop(0).close()  # the one that has the stream
    for tab in tabs:
        expect_live(tab)
    receive(rental, "529310")
    for tab in tabs:
        expect(card(tab, rental).get_by_test_id("code")).to_have_text("529310")
    wait_until(lambda: site.hub.open_streams == 1, "one tab has the stream")


def test_a_tab_that_hangs_with_the_stream_is_followed_by_another(
    page: Page, context: BrowserContext, site: Site, operator: Browser, team: Team, make_rental: Callable[..., Rental]
) -> None:
    context.add_init_script(WITHOUT_SHARED_WORKERS)
    first = open_desk(page, context, operator, site.url)
    second = open_desk(context.new_page(), context, operator, site.url)
    wait_until(lambda: site.hub.open_streams == 1, "all have one stream")
    first.evaluate("BroadcastChannel.prototype.postMessage = () => {}")  # as a tab that the browser froze
    wait_until(lambda: site.hub.open_streams == 2, "the other tab has a stream of its own")
    rental = make_rental(team)
    rental.announce()
    expect(card(second, rental)).to_be_visible()
    expect_live(second)
