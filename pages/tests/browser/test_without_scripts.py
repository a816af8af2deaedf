"""A browser that runs no scripts: what destroys or buys asks on a page of its own."""

from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect

from accounts.models import Role, User
from rentals.models import Rental, Status
from rentals.tests.factories import make_person, make_rental, make_service, make_team, make_token, signed_in

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def manager() -> User:
    return make_person(make_team("Support"), Role.MANAGER, username="boss")


@pytest.fixture
def page(browser: Browser, live_server: Any, manager: User) -> Any:
    with browser.new_context(java_script_enabled=False, locale="en") as context:
        session = signed_in(manager).cookies["sessionid"].value
        context.add_cookies([{"name": "sessionid", "value": session, "url": live_server.url}])
        yield context.new_page()


def test_a_number_is_rented_again_after_a_yes(page: Page, live_server: Any, manager: User) -> None:
    team = manager.memberships.get().team
    service = make_service(name="Zalo", price=2500)
    make_rental(
        Status.RECEIVED, team=team, person=manager, token=make_token(team), service=service, phone="+84852222127",
        ended_at=timezone.now(),
    )  # fmt: skip
    for path in ("/rentals/?q=0852", "/"):
        page.goto(live_server.url + path)
        page.get_by_role("button", name="Rent again").first.click()
        expect(page.locator("main")).to_contain_text("Rent 0852 222 127 again for Zalo, at 2.500 ₫?")
        page.get_by_role("link", name="Back").click()
        assert page.url == live_server.url + path
        assert Rental.objects.count() == 1
    page.goto(f"{live_server.url}/rentals/")
    page.get_by_role("button", name="Rent again").click()
    page.get_by_role("button", name="Yes, do it").click()
    expect(page.locator(".notice")).to_contain_text("Ordered again")
    assert Rental.objects.latest("pk").agreed_price == 2500


def test_a_page_that_stands_still_says_so(page: Page, live_server: Any, manager: User) -> None:
    team = manager.memberships.get().team
    rental = make_rental(Status.WAITING, team=team, person=manager, token=make_token(team), phone="+84852222127")
    for path in ("/", "/rentals/", f"/rentals/{rental.pk}/"):
        page.goto(live_server.url + path)
        expect(page.get_by_text("Reload to see what is new.")).to_be_visible()


def test_a_person_is_removed_after_a_yes(page: Page, live_server: Any, manager: User) -> None:
    team = manager.memberships.get().team
    linh = make_person(team, username="linh")
    page.goto(f"{live_server.url}/team/people/{linh.pk}/")
    page.get_by_role("button", name="Remove from the team").click()
    expect(page.locator("main")).to_contain_text("Remove linh from Support?")
    page.get_by_role("link", name="Back").click()
    assert linh.memberships.exists()
    page.get_by_role("button", name="Remove from the team").click()
    page.get_by_role("button", name="Yes, do it").click()
    expect(page.locator(".notice")).to_be_visible()
    assert not linh.memberships.exists()
