"""What a person finds again: the order as it was typed after a sign-out, and a board without the cards they dismissed."""

from collections.abc import Callable

import pytest
from django.utils import timezone
from playwright.sync_api import BrowserContext, Page, expect

from accounts.models import Team
from lib import announce
from pages.tests.live.conftest import Browser
from pages.tests.live.test_live_browser import Site, card, expect_live, operator, site
from rentals.models import Network, Rental, Status
from rentals.tests.factories import make_service, make_token

__all__ = ["operator", "site"]  # the fixtures
pytestmark = pytest.mark.browser


def test_who_is_signed_out_is_told_so_and_finds_the_order_as_it_was_typed(
    page: Page, context: BrowserContext, site: Site, operator: Browser, team: Team
) -> None:
    make_service(name="Viber", sv="02", upstream_id="97")
    make_token(team)
    Network.objects.update_or_create(name="VIETTEL", defaults={"active": True})
    page.goto(f"{site.url}/?mine=1")
    expect_live(page)
    page.fill("#service", "02.97")
    page.locator("label.chip", has_text="VIETTEL").click()
    page.fill("#prefixes", "96, 97")
    page.fill("#purpose", "Kiểm thử")
    operator.logout()
    announce.person(operator.person.pk)
    page.wait_for_url("**/accounts/login/**")
    expect(page.locator(".notice")).to_contain_text("You were signed out")
    operator.person.set_password("kỳ lạ lắm 42")
    operator.person.save()
    page.fill("[name=login]", operator.person.username)
    page.fill("[name=password]", "kỳ lạ lắm 42")
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url(f"{site.url}/?mine=1")
    expect_live(page)
    expect(page.locator("#service")).to_have_value("Viber")
    expect(page.locator("#purpose")).to_have_value("Kiểm thử")
    assert page.locator("[name=networks][value=VIETTEL]").is_checked()
    page.click(".rent-go")
    expect(page.locator("#board > [data-rental-id]")).to_have_count(1)
    order = Rental.objects.get()
    assert (order.service.key, order.networks, order.prefixes) == ("02.97", ["VIETTEL"], ["96", "97"])
    assert order.purpose == "Kiểm thử"
    page.reload()
    assert not page.locator("[name=networks][value=VIETTEL]").is_checked()  # the draft is given back once


def test_a_dismissed_card_stays_away_until_something_happens_to_it(
    page: Page, site: Site, operator: Browser, team: Team, make_rental: Callable[..., Rental]
) -> None:
    expired, waiting = make_rental(team, person=operator.person), make_rental(team, person=operator.person)
    Rental.objects.filter(pk=expired.pk).update(status=Status.EXPIRED, ended_at=timezone.now(), reason="no_code")
    page.goto(site.url)
    expect_live(page)
    card(page, expired).get_by_role("button", name="Dismiss").click()
    expect(card(page, expired)).to_have_count(0)
    expect(card(page, waiting)).to_be_focused()
    expired.announce()
    page.evaluate("dispatchEvent(new Event('online'))")  # the whole board is read again
    page.wait_for_timeout(1500)
    expect(card(page, expired)).to_have_count(0)
    page.reload()
    expect(card(page, waiting)).to_be_visible()
    expect(card(page, expired)).to_have_count(0)
    Rental.objects.filter(pk=expired.pk).update(
        status=Status.RECEIVED, received_at=timezone.now(), ended_at=timezone.now()
    )
    expired.announce()  # a message that came late
    expect(card(page, expired)).to_be_visible()
