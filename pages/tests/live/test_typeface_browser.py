"""The typeface in a real browser: asked for at once, from the desk itself, no more than a page needs; nothing moves."""

from collections.abc import Callable
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from django.utils import timezone
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import BrowserContext, Page

from accounts.models import Team
from pages.tests.live.browsing import open_desk
from pages.tests.live.conftest import Browser, SignIn
from pages.tests.live.test_tray_browser import receive
from rentals.models import Rental
from rentals.tests.factories import make_token

pytestmark = pytest.mark.browser
SHIFTS = """
  window.shifts = [];
  new PerformanceObserver((list) => {
    for (const { value, sources } of list.getEntries())
      window.shifts.push([value, ...sources.map(({ node }) => node?.id || node?.className || node?.nodeName)]);
  })
    .observe({ type: "layout-shift", buffered: true });
"""
WIDTHS_OF = """(text) => {
  const canvas = document.createElement("canvas").getContext("2d");
  canvas.font = getComputedStyle(document.body).font;
  return [...text].map((letter) => canvas.measureText(letter).width);
}"""


@pytest.fixture
def operator(team: Team, sign_in: SignIn, make_rental: Callable[..., Rental]) -> Browser:
    person = sign_in(team)
    for _ in range(12):
        rental = make_rental(team, person=person.person)
        Rental.objects.filter(pk=rental.pk).update(expires_at=timezone.now() + timedelta(minutes=10))
    receive(rental, "482913")
    make_token(team)
    return person


def test_a_page_loads_each_file_of_the_typeface_once_and_from_the_desk(
    context: BrowserContext, site: str, operator: Browser
) -> None:
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    page = open_desk(context, site, operator)
    page.evaluate("document.fonts.ready")
    fonts = sorted(urlsplit(address).path for address in asked if address.endswith(".woff2"))
    assert fonts == [
        f"/static/fonts/{name}.woff2" for name in ("plex-mono-latin-600", "plex-sans-latin", "plex-sans-vietnamese")
    ]
    assert {urlsplit(address).netloc for address in asked} == {urlsplit(site).netloc}


def test_figures_are_of_one_width_and_letters_that_look_alike_differ(
    context: BrowserContext, site: str, operator: Browser
) -> None:
    page = open_desk(context, site, operator)
    page.evaluate("document.fonts.ready")
    assert page.evaluate("getComputedStyle(document.querySelector('[data-testid=code]')).fontFamily").startswith(
        '"Plex Mono"'
    )
    assert page.evaluate("[...document.fonts].filter((face) => face.status === 'loaded').map((face) => face.family)")
    assert len({round(width, 2) for width in page.evaluate(WIDTHS_OF, "0123456789")}) == 1
    one, letter_l, letter_i = page.evaluate(WIDTHS_OF, "1lI")
    assert len({one, letter_l, letter_i}) == 3


@pytest.mark.parametrize("width", [1440, 390])
def test_nothing_moves_while_the_desk_arrives(browser: Chromium, site: str, operator: Browser, width: int) -> None:
    with browser.new_context(viewport={"width": width, "height": 900}, locale="vi", service_workers="block") as context:
        context.add_init_script(SHIFTS)
        page: Page = open_desk(context, site, operator)
        page.wait_for_timeout(500)
        shifts = page.evaluate("window.shifts")
        assert sum(value for value, *_parts in shifts) < 0.002, shifts
