"""What the tests of the live pages do in a real browser."""

from playwright.sync_api import BrowserContext, Page, expect

from pages.tests.live.conftest import Browser


def open_desk(context: BrowserContext, site: str, person: Browser) -> Page:
    """A page of a person's browser, at the desk, with its stream open."""
    context.add_cookies([{"name": "sessionid", "value": person.cookies["sessionid"].value, "url": site}])
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.goto(site)
    expect(page.locator("#live-state")).to_have_attribute("data-state", "live")
    return page
