"""Who copied a code is known, whichever way the browser copies it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page, expect

from accounts.models import AuditRecord, Team
from pages.tests.live.browsing import open_desk
from pages.tests.live.conftest import SignIn
from rentals.models import Status
from thuesim_site.testing import wait_until

pytestmark = pytest.mark.browser

SELECT = """part => {
  const range = document.createRange();
  range.selectNodeContents(document.querySelector(part));
  getSelection().removeAllRanges();
  getSelection().addRange(range);
}"""


def copied() -> int:
    return AuditRecord.objects.filter(action="copy").count()


@pytest.fixture
def desk(browser: Chromium, site: str, team: Team, sign_in: SignIn, make_rental: Callable[..., Any]) -> Iterator[Page]:
    """The desk of a person with one code on it."""
    client, now = sign_in(team), timezone.now()
    make_rental(team, code="749216", person=client.person, status=Status.RECEIVED, received_at=now, ended_at=now)
    context = browser.new_context(locale="en")
    page = open_desk(context, site, client)
    expect(page.get_by_test_id("code")).to_have_text("749216")
    yield page
    context.close()


@pytest.mark.parametrize("path", ["", "rentals/", "rentals/{}/"])
def test_a_click_that_copies_a_code_is_recorded_and_one_that_copies_the_number_is_not(desk: Page, path: str) -> None:
    rental = desk.locator("[data-rental-id]").first.get_attribute("data-rental-id")
    desk.goto(desk.url + path.format(rental))
    desk.get_by_test_id("phone").first.click()
    expect(desk.locator("#toasts")).to_contain_text("Copied")
    assert copied() == 0
    desk.locator("[data-copy]:visible").last.click()
    wait_until(lambda: copied() == 1, "the copy is recorded")


def test_a_code_selected_and_copied_by_hand_is_recorded_too(desk: Page) -> None:
    for part, expected in ((".rental-service", 0), ("[data-testid=sms]", 1)):
        desk.evaluate(SELECT, part)
        desk.keyboard.press("Control+c")
        wait_until(lambda expected=expected: copied() == expected, "the copy is recorded")  # type: ignore[misc]


def test_a_code_copied_from_the_tray_is_recorded_too(desk: Page, make_rental: Callable[..., Any], team: Team) -> None:
    owner = AuditRecord.objects.filter(action="read").values_list("person", flat=True).first()
    now = timezone.now()
    make_rental(team, code="529310", person_id=owner, status=Status.RECEIVED, received_at=now, ended_at=now).announce()
    desk.set_viewport_size({"width": 1280, "height": 120})  # no card is in sight
    desk.locator("#tray .tray-code").first.click()
    wait_until(lambda: copied() == 1, "the copy is recorded")
