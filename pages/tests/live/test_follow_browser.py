"""The page of a rental and the history follow what happens, by the same stream as the desk."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import BrowserContext, Page, expect

from accounts.models import Role, Team
from pages.tests.live.conftest import Browser, SignIn
from pages.tests.live.test_live_browser import Site, expect_live, operator, site
from rentals.models import Message, Rental, Status

__all__ = ["operator", "site"]  # the fixtures
pytestmark = pytest.mark.browser


def receive(rental: Rental, code: str) -> None:
    now = timezone.now()
    Message.objects.create(rental=rental, at=now, code=code, text=f"Code {code}", source="poll", fingerprint=code)
    Rental.objects.filter(pk=rental.pk).update(status=Status.RECEIVED, received_at=now, ended_at=now)
    rental.events.create(at=now, kind="received", after="received")
    rental.announce()


@pytest.fixture
def rental(team: Team, operator: Browser, make_rental: Callable[..., Rental]) -> Rental:
    return make_rental(team, person=operator.person, expires_at=timezone.now() + timedelta(minutes=8))


def test_the_page_of_a_rental_shows_its_code_as_it_comes(page: Page, site: Site, rental: Rental) -> None:
    page.goto(f"{site.url}/rentals/{rental.pk}/")
    expect_live(page)
    expect(page.get_by_test_id("expires")).to_be_visible()
    page.get_by_test_id("phone").focus()
    receive(rental, "529310")
    expect(page.get_by_test_id("code")).to_have_text("529310")
    expect(page.locator("[data-testid=rental]")).to_have_attribute("data-status", "received")
    expect(page.get_by_test_id("expires")).to_have_count(0)
    expect(page.locator(".timeline")).to_contain_text("Message arrived")
    expect(page.locator(".message-code")).to_have_text("529310")
    expect(page.get_by_test_id("phone")).to_be_focused()
    expect(page.locator("#live-state")).to_contain_text("Live")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("copy the code")


def test_the_history_shows_codes_and_new_orders_as_they_come(
    page: Page, site: Site, rental: Rental, team: Team, make_rental: Callable[..., Rental]
) -> None:
    page.goto(f"{site.url}/rentals/")
    expect_live(page)
    receive(rental, "529310")
    row = page.locator(f"#rental-{rental.pk}")
    expect(row.get_by_test_id("code")).to_have_text("529310")
    expect(row).to_have_attribute("data-status", "received")
    expect(page.locator("#live-state")).to_contain_text("Live")
    later = make_rental(team)
    later.announce()
    expect(page.locator("#history-rows > tr").first).to_have_attribute("data-rental-id", str(later.pk))
    page.goto(f"{site.url}/rentals/?status=expired")
    expect_live(page)  # an empty page follows as well
    Rental.objects.filter(pk=later.pk).update(status=Status.EXPIRED, ended_at=timezone.now())
    later.announce()
    expect(page.locator("#history-rows > tr")).to_have_count(1)


def test_a_page_with_a_revealed_code_stands_still_and_says_so(
    page: Page, context: BrowserContext, site: Site, team: Team, sign_in: SignIn, make_rental: Callable[..., Rental]
) -> None:
    Team.objects.update(codes_fade_minutes=1)
    rental = make_rental(team, person=sign_in(team).person, code="529310")
    earlier = timezone.now() - timedelta(minutes=5)
    Message.objects.update(at=earlier)
    Rental.objects.filter(pk=rental.pk).update(status=Status.RECEIVED, received_at=earlier, ended_at=earlier)
    manager = sign_in(team, Role.MANAGER)
    context.add_cookies([{"name": "sessionid", "value": manager.cookies["sessionid"].value, "url": site.url}])
    page.goto(f"{site.url}/rentals/{rental.pk}/")
    expect_live(page)
    page.get_by_role("button", name="Reveal").click()
    expect(page.locator(".message-code")).to_have_text("529310")
    expect(page.locator("#live-state")).to_have_count(0)
    expect(page.get_by_text("This page stands still")).to_be_visible()
    rental.announce()
    page.wait_for_timeout(3500)
    expect(page.locator(".message-code")).to_have_text("529310")
    page.get_by_role("link", name="Hide the code").click()
    expect_live(page)
    assert "529310" not in page.content()
