"""What is shown only once: a double click makes one, shows it, and one click copies it."""

import re
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from accounts.models import ApiKey, Role, User
from pages.tests.browser.variants import VARIANTS, in_variant
from rentals.models import Destination
from rentals.tests.factories import make_person, make_team, signed_in

pytestmark = pytest.mark.browser


@pytest.fixture
def manager(transactional_db: None) -> User:
    return make_person(make_team("Support"), Role.MANAGER, username="boss")


@pytest.fixture
def page(browser: Browser, live_server: Any, manager: User) -> Any:
    with in_variant(browser, VARIANTS[0], live_server.url, signed_in(manager)) as context:
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        yield context.new_page()


def _copied(page: Page) -> str:
    expect(page.locator("#toasts")).to_contain_text("Copied")
    assert "desk_" not in page.locator("#toasts").inner_text()
    text: str = page.evaluate("navigator.clipboard.readText()")
    return text


def test_a_double_click_makes_one_key_which_is_copied_with_its_export_lines(page: Page, live_server: Any) -> None:
    page.goto(f"{live_server.url}/team/keys/")
    page.get_by_label("Name").fill("CI")
    page.get_by_role("button", name="Make a key").dblclick()
    page.get_by_role("button", name=re.compile("Copy.*shell")).click()
    assert re.fullmatch(
        rf"export THUESIM_DESK_URL={live_server.url}\nexport THUESIM_DESK_KEY=desk_[\w-]{{43}}", _copied(page)
    )
    assert ApiKey.objects.count() == 1


def test_a_double_click_adds_one_destination_and_shows_its_secret(page: Page, live_server: Any) -> None:
    page.goto(f"{live_server.url}/team/destinations/")
    page.get_by_label("Name").fill("CI")
    page.get_by_label("Address").fill("https://1.1.1.1/hook")
    page.get_by_role("button", name="Add", exact=True).dblclick()
    page.get_by_role("button", name="Copy").click()
    assert _copied(page) == Destination.objects.get().secret.reveal()


def test_a_mistake_in_a_form_below_a_long_list_is_in_sight(page: Page, live_server: Any, manager: User) -> None:
    team = manager.memberships.get().team
    for number in range(12):
        ApiKey.objects.create(team=team, person=manager, name=f"CI {number}", secret_digest=str(number), scopes=[])
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto(f"{live_server.url}/team/keys/")
    page.get_by_role("button", name="Make a key").click()
    expect(page.get_by_text("This field is required.")).to_be_in_viewport()
