"""The looks in which pages are judged, and the judge: axe, and whether a page is wider than its screen."""

from collections.abc import Iterator
from contextlib import contextmanager

from axe_playwright_python.sync_playwright import Axe
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, Page

from accounts.models import User

# Colours differ by theme, sizes by width, lengths by language: two looks show all of them.
LOOKS = [("en", "light", 1440), ("vi", "dark", 390)]
LOOK_NAMES = ["-".join(map(str, look)) for look in LOOKS]
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}

Look = tuple[str, str, int]


@contextmanager
def looking(browser: Browser, look: Look, address: str, client: Client | None = None) -> Iterator[BrowserContext]:
    """A browser in one look, signed in as the test client is."""
    language, scheme, width = look
    with browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme=scheme,  # type: ignore[arg-type]
        locale=language,
    ) as context:
        if client is not None:
            session = client.cookies["sessionid"].value
            context.add_cookies([{"name": "sessionid", "value": session, "url": address}])
        yield context


def signed_in(person: User) -> Client:
    """A test client of somebody who has just signed in."""
    client = Client()
    client.force_login(person)
    return client


def faults_of(page: Page, state: str) -> list[str]:
    """What axe finds on the page as it stands, and whether it is wider than the screen."""
    page.wait_for_timeout(150)  # the colours of a transition are not those to be judged
    found = [
        f"{state}: {fault['id']}: {node['html'][:200]} {node['failureSummary']}"
        for fault in Axe().run(page, options=RULES).response["violations"]
        for node in fault["nodes"]
    ]
    if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
        found.append(f"{state}: wider than the screen")
    return found
