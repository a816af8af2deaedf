"""A desk below a path in a real browser: every request keeps to the path, from the sign-in to the code."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIHandler
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page, expect

from accounts.models import Team
from lib.web.asgi import Message, Receive, Send
from pages.live.hub import Hub
from pages.tests.live.conftest import SignIn
from pages.tests.live.server import serving
from pages.tests.live.test_live_browser import receive
from pages.tests.test_below_a_path import below_the_path
from rentals.models import Rental, Status
from rentals.tests.factories import make_service, make_token
from thuesim_site.asgi import web
from thuesim_site.serving.proxies import below_path
from thuesim_site.serving.wsgi_threads import Pages
from thuesim_site.testing import RedisServer

pytestmark = pytest.mark.browser


@pytest.fixture
def asked() -> list[str]:
    """The paths that the server was asked for, by whatever of the browser: a shared worker holds the stream."""
    return []


@pytest.fixture
def site(real_redis: RedisServer, transactional_db: None, settings: Any, asked: list[str]) -> Iterator[str]:
    settings.WHITENOISE_USE_FINDERS = settings.WHITENOISE_AUTOREFRESH = True
    with below_the_path():
        hub = Hub(real_redis.url)
        desk = below_path("/desk", web(hub, Pages(WSGIHandler())))

        async def noting(scope: Message, receive: Receive, send: Send) -> None:
            asked.append(scope["path"])
            await desk(scope, receive, send)

        with serving(noting, hub) as port:
            yield f"http://127.0.0.1:{port}"


def _sign_in(page: Page, site: str, person: Any) -> None:
    person.set_password("kỳ lạ lắm 42")
    person.save()
    page.goto(f"{site}/desk")
    page.fill("[name=login]", person.username)
    page.fill("[name=password]", "kỳ lạ lắm 42")
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url(f"{site}/desk/")


def test_a_number_is_rented_and_its_code_comes_live(
    browser: Chromium, site: str, asked: list[str], team: Team, sign_in: SignIn
) -> None:
    make_service(name="Viber", sv="02", upstream_id="97")
    make_token(team)
    person = sign_in(team).person
    complaints: list[str] = []
    with browser.new_context(locale="en") as context:  # with the service worker
        page = context.new_page()
        page.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
        _sign_in(page, site, person)
        expect(page.locator("#live-state")).to_have_attribute("data-state", "live")
        page.fill("#service", "02.97")
        page.click("#rent-go")
        expect(page.get_by_test_id("rental")).to_have_count(1)
        rental = Rental.objects.get()
        Rental.objects.filter(pk=rental.pk).update(status=Status.WAITING, phone="+84852220001", upstream_key="1")
        rental.announce()
        card = page.locator(f"#rental-{rental.pk}")
        expect(card).to_have_attribute("data-status", "waiting")
        receive(rental, "059809")
        expect(card.get_by_test_id("code")).to_have_text("059809")
        card.get_by_role("link").first.click()
        page.wait_for_url(f"{site}/desk/rentals/{rental.pk}/")
        assert page.evaluate("navigator.serviceWorker.ready.then(({ scope }) => scope)") == f"{site}/desk/"
        cookies = {cookie["name"]: cookie["path"] for cookie in context.cookies()}
    assert {path for path in asked if not path.startswith("/desk/")} == {"/desk"}
    assert {"/desk/live/", "/desk/rent/", "/desk/service-worker.js"} <= set(asked)
    assert {"desk_sessionid", "desk_csrftoken"} <= set(cookies)
    assert {path for path in cookies.values() if not path.startswith("/desk/")} == set()
    assert complaints == []
