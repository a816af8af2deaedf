"""The set-up in a browser, against the whole desk with a stand-in for the true service: from its token to a code."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from accounts.models import Role
from pages.tests.browser.variants import VARIANT_NAMES, VARIANTS, Variant, in_variant, problems_of
from rentals.models import CallbackAddress, Token
from rentals.tests.factories import make_person, make_service, make_team, make_token, signed_in
from sandbox.server import Sandbox
from thuesim_site.testing import RunningDesk

pytestmark = pytest.mark.browser


@pytest.fixture
def true_service() -> Iterator[Sandbox]:
    with Sandbox(gap=0.0, message_after=(2.0, 3.0)) as sandbox:
        yield sandbox


@pytest.fixture
def desk_of_the_true_service(tmp_path: Path, true_service: Sandbox, migrated_file: str) -> Iterator[RunningDesk]:
    desk = RunningDesk(tmp_path, migrated=migrated_file, THUESIM_BASE_URL=true_service.url)
    desk.start()
    yield desk
    desk.stop()


@pytest.mark.long
def test_from_the_token_to_the_first_code(
    page: Page, desk_of_the_true_service: RunningDesk, true_service: Sandbox
) -> None:
    desk = desk_of_the_true_service
    assert "No token yet" in desk.output()
    page.goto(f"{desk.base_url}/")
    page.fill("[name=login]", "admin")
    page.fill("[name=password]", desk.passwords["admin"])
    page.keyboard.press("Enter")
    page.wait_for_url("**/setup/token/")
    # The token: the field has the focus, so that pasting is enough.
    page.keyboard.type("7-" + "7" * 32)
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("ThueSim refuses the token.")
    expect(page.get_by_label("API token")).to_be_focused()
    page.keyboard.type(true_service.token)
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("answer")).to_contain_text("Balance: 500.000 ₫")
    page.get_by_test_id("next").click()
    # The callback address, which ThueSim's people enter.
    page.get_by_role("button", name="Make a callback address").click()
    address = page.get_by_test_id("callback-address").input_value()
    true_service.set_callback_url(address)
    expect(page.get_by_test_id("callback-state")).to_contain_text("Waiting for ThueSim's first call.")
    waiting = page
    page = page.context.new_page()
    page.goto(f"{desk.base_url}/setup/")  # left, and found again
    page.wait_for_url("**/people/")
    page.get_by_label("For whom").fill("Mai")
    page.get_by_role("button", name="Make a link").click()
    expect(page.get_by_test_id("link")).to_have_value(re.compile("/join/"))
    expect(page.get_by_test_id("step").nth(2)).to_have_attribute("data-progress", "waiting")
    page.get_by_test_id("next").click()
    # The first number.
    page.get_by_role("button", name="Rent for 350 ₫").first.click()
    page.wait_for_url(f"{desk.base_url}/")
    expect(page.locator("#tour")).to_have_count(0)  # it does not come over the first number
    expect(page.get_by_test_id("code")).to_be_visible()
    expect(waiting.get_by_test_id("callback-state")).to_contain_text("ThueSim's first call came at")
    expect(waiting.get_by_test_id("step").nth(1)).to_have_attribute("data-progress", "done")
    for text in (desk.output(), page.content(), waiting.content()):
        assert true_service.token not in text


@pytest.mark.parametrize("variant", VARIANTS, ids=VARIANT_NAMES)
def test_axe_finds_nothing_on_any_step(
    browser: Browser, live_server: Any, transactional_db: None, variant: Variant, settings: Any
) -> None:
    team = make_team("Support")
    admin = make_person(team, Role.MANAGER, is_staff=True)
    make_service()
    problems = []
    with Sandbox() as upstream, in_variant(browser, variant, live_server.url, signed_in(admin)) as context:
        settings.THUESIM_BASE_URL = upstream.url
        page = context.new_page()
        page.goto(f"{live_server.url}/")
        problems += problems_of(page, "no token")
        for value in ("7-" + "7" * 32, upstream.token):
            page.fill("[name=new_value]", value)
            page.locator(".token-form button").click()
            page.locator("[role=alert], [data-testid=answer]").first.wait_for()
            page.locator("details").last.evaluate("details => details.open = true")
            problems += problems_of(page, f"token {value[:2]}")
        token = Token.objects.get()
        CallbackAddress.issue(token)
        make_token(name="Other", hold="invalid")
        for path in ("token/", f"{token.pk}/callback/", f"{token.pk}/number/"):
            page.goto(f"{live_server.url}/setup/{path}")
            problems += problems_of(page, path)
        make_team("Sales")
        page.goto(f"{live_server.url}/setup/{token.pk}/people/")
        page.uncheck("[name=teams]")
        page.locator("main form button").first.click()
        problems += problems_of(page, "people")
        page.goto(f"{live_server.url}/setup/{token.pk}/callback/")
        page.locator("main form button").first.click()
        page.get_by_test_id("callback-address").wait_for()
        problems += problems_of(page, "address")
    assert not problems
