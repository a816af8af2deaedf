"""axe finds nothing in any state of the desk, of filtered lists, of the sign-in; nothing is wider than the screen."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Browser, Page

from accounts.models import Role, User
from pages.tests.browser.variants import VARIANT_NAMES, VARIANTS, in_variant, problems_of
from rentals.models import Message, Network, Prefix, Rental, Status
from rentals.tests.factories import make_person, make_rental, make_service, make_team, make_token, signed_in

pytestmark = pytest.mark.browser


@pytest.fixture
def operator(transactional_db: None, settings: Any) -> User:
    settings.DEMO = True
    team = make_team("Support")
    person = make_person(team, username="linh")
    person.memberships.create(team=make_team("Tests"), role=Role.OPERATOR)
    token = make_token(team, name="Main", balance=1_234_500, waiting_limit=10)
    make_token(team, name="Spare", paused=True)
    network = Network.objects.update_or_create(name="VIETTEL", defaults={"active": True})[0]
    Prefix.objects.get_or_create(digits="96", defaults={"network": network})
    service = make_service(name="Facebook", sv="02", upstream_id="97")
    now = timezone.now()
    reasons = {Status.REFUSED: "out_of_stock", Status.EXPIRED: "no_code"}
    for minutes, status in enumerate(Status):
        rental = make_rental(
            status, team=team, person=person, token=token, service=service, purpose="QA",
            queued_at=now - timedelta(minutes=minutes), reason=reasons.get(status, ""),
            unasked=["network"] if status == Status.RECEIVED else [],
        )  # fmt: skip
        rental.events.create(at=now, kind="ordered", after="queued", person=person)
    for owner in (person, make_person(team)):
        rental = make_rental(Status.RECEIVED, team=team, person=owner, token=token, service=service)
        Message.objects.create(rental=rental, at=now, code="059809", text="là 059809", source="poll", fingerprint="1")
    return person


@pytest.fixture(params=VARIANTS, ids=VARIANT_NAMES)
def page(request: Any, browser: Browser, live_server: Any, operator: User) -> Iterator[Page]:
    """A page of a signed-in operator, in one of the variants."""
    with in_variant(browser, request.param, live_server.url, signed_in(operator)) as context:
        yield context.new_page()


def open_keys(page: Page) -> None:
    page.keyboard.press("?")
    page.wait_for_selector("#keys[open]")


def find_service(page: Page) -> None:
    page.fill("#service", "face")
    page.wait_for_selector("[role=option]")


def list_services(page: Page) -> None:
    page.click("#service")
    page.wait_for_selector("#service-list [role=group]")


def come_back(page: Page) -> None:
    """Look at another tab for a minute, while a number expires."""
    hide = """hidden => {
        Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
        document.dispatchEvent(new Event("visibilitychange"));
    }"""
    page.clock.install()
    page.evaluate(hide, True)
    ended = {"status": Status.EXPIRED, "reason": "no_code", "ended_at": timezone.now()}
    Rental.objects.filter(pk=Rental.objects.filter(status=Status.WAITING)[:1]).update(**ended)
    page.clock.fast_forward(60_000)
    page.evaluate(hide, False)
    page.wait_for_selector("#away:not([hidden])")


def order_badly(page: Page) -> None:
    page.fill("#service", "nothing")
    if page.is_visible(".wishes > summary"):  # folded on a phone alone
        page.click(".wishes > summary")
    page.fill("#prefixes", "abc")
    page.click(".rent-go")
    page.wait_for_selector("#id_service_error")


def make_rows_dense(page: Page) -> None:
    page.click("details.view > summary")
    if not page.locator("#board.is-dense").count():
        page.click("#dense-board")
    page.wait_for_selector("#board.is-dense")


def lose_the_network(page: Page) -> None:
    page.context.set_offline(True)
    page.wait_for_selector("[data-state=offline]")
    page.wait_for_selector("#no-connection:not([hidden])")


def open_(selector: str) -> Callable[[Page], None]:
    return lambda page: page.click(f"{selector} > summary")


DESK_STATES: dict[str, Callable[[Page], None]] = {
    "plain": lambda page: None,
    "service list": find_service,
    "all services": list_services,
    "back again": come_back,
    "errors": order_badly,
    "menu": open_("details.menu"),
    "filter": open_("details.filter"),
    "keys": open_keys,
    "dense rows": make_rows_dense,
    "no connection": lose_the_network,
}


def test_the_desk(page: Page, live_server: Any) -> None:
    problems = []
    for state, reach in DESK_STATES.items():
        page.goto(live_server.url)
        page.wait_for_selector("service-picker input")
        reach(page)
        problems += problems_of(page, f"desk, {state}")
    assert not problems


FILTERED = ["/?mine=1&status=cancelled", "/rentals/", "/rentals/?status=received&q=059809", "/rentals/?q=nothing"]


def test_filtered_lists(page: Page, live_server: Any) -> None:
    problems = []
    for path in FILTERED:
        page.goto(live_server.url + path)
        problems += problems_of(page, path)
    assert not problems


def test_signing_in(page: Page, live_server: Any) -> None:
    page.context.clear_cookies()
    page.goto(f"{live_server.url}/accounts/login/")
    problems = problems_of(page, "sign-in")
    page.fill("[name=login]", "linh")
    page.fill("[name=password]", "wrong")
    page.click("button[type=submit]")
    page.wait_for_selector("[role=alert]")
    assert not problems + problems_of(page, "sign-in refused")
