"""axe finds nothing on any page of the Django admin: lists, forms, rows, and what the desk adds. The addresses come from the
URL configuration."""

from datetime import timedelta
from typing import Any

import pytest
import requests
from django.contrib import admin
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Browser

from accounts.models import Role
from pages.tests.browser.variants import VARIANTS, in_variant, problems_of
from pages.tests.world import address_of, addresses, furnish
from rentals.lifecycle import reasons
from rentals.models import BalanceReading, EventKind, JobName, JobRun, Status
from rentals.tests.factories import make_person, make_rental, make_team, signed_in

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

# Every registered model has a list and the page of a row; these can be added, too.
ADDED_BY_HAND = {"accounts_team", "accounts_user", "rentals_token"}
# One template draws the history of the rows of every model, so that of one is checked.
HISTORY = "admin:rentals_token_history"


@pytest.fixture
def things(settings: Any, tmp_path: Any) -> dict[str, Any]:
    settings.MEDIA_ROOT = tmp_path
    things = furnish(make_team("Support"), "own")
    refused = make_rental(
        Status.REFUSED, team=things["team"], person=things["user"], token=things["token"], reason=reasons.OUT_OF_STOCK
    )
    for kind in EventKind:
        things["rental"].events.create(at=refused.queued_at, kind=kind, before="queued", after="placing")
    JobRun.objects.create(name=JobName.RECONCILE, token=things["token"], at=refused.queued_at, fault="refused")
    return things


@pytest.fixture
def as_admin(things: dict[str, Any]) -> Client:
    return signed_in(make_person(things["team"], Role.MANAGER, is_staff=True, is_superuser=True))


def _pages(site: str, client: Client, things: dict[str, Any]) -> dict[str, str]:
    """The addresses at which an admin gets a whole page, by the view's name."""
    found: dict[str, str] = {}
    cookies = {name: cookie.value for name, cookie in client.cookies.items()}
    for name, patterns in addresses().items():
        if not name.startswith("admin:") or (name.endswith("_history") and name != HISTORY):
            continue
        for pattern in patterns:
            address = site + address_of(pattern, name, things, things["rental"])
            # Not by the client: Playwright's event loop, which runs in this thread, lets it make no request.
            answer = requests.get(address, cookies=cookies, allow_redirects=False, timeout=60)
            if answer.ok and "<html" in answer.text:
                found[name] = address
    return found


@pytest.mark.long
def test_the_admin(browser: Browser, live_server: Any, things: dict[str, Any], as_admin: Client) -> None:
    pages = _pages(live_server.url, as_admin, things)
    models = {f"{model._meta.app_label}_{model._meta.model_name}" for model in admin.site._registry}
    expected = {f"admin:{model}_{page}" for model in models for page in ("changelist", "change")}
    assert pages.keys() >= expected | {f"admin:{model}_add" for model in ADDED_BY_HAND} | {"admin:index", HISTORY}
    problems: list[str] = []
    for variant in VARIANTS:
        with in_variant(browser, variant, live_server.url, as_admin) as context:
            page = context.new_page()
            for name, address in pages.items():
                page.goto(address)
                state = f"{name}, {variant}"
                problems += [problem for problem in problems_of(page, state) if "wider than" not in problem]
    assert not problems


def test_a_table_that_scrolls_sideways_can_be_scrolled_by_the_keyboard(
    browser: Browser, live_server: Any, things: dict[str, Any], as_admin: Client
) -> None:
    token = things["token"]
    for hours in range(3):
        at = timezone.now() - timedelta(hours=hours)
        BalanceReading.objects.create(token=token, at=at, balance=987_654_321 + hours, expected=123_456_789)
    with in_variant(browser, ("vi", "light", 320), live_server.url, as_admin) as context:
        page = context.new_page()
        page.goto(f"{live_server.url}/admin/rentals/token/{token.pk}/change/")
        assert page.evaluate(
            "[...document.querySelectorAll('.desk-table')].some((box) => box.scrollWidth > box.clientWidth)"
        )
        assert [problem for problem in problems_of(page, "token") if "wider than" not in problem] == []


def test_no_field_of_the_admin_is_out_of_reach_on_a_phone(
    browser: Browser, live_server: Any, things: dict[str, Any], as_admin: Client
) -> None:
    """A field ends within the box that it stands in, or the box scrolls to it."""
    cut = """() => [...document.querySelectorAll("#content :is(input, select, textarea, .help)")].filter((field) => {
      const right = field.getBoundingClientRect().right;
      for (let box = field.parentElement; field.offsetWidth > 1 && box.id !== "content"; box = box.parentElement) {
        const overflow = getComputedStyle(box).overflowX;
        if (["auto", "scroll"].includes(overflow)) return false;
        if (overflow !== "visible" && right > box.getBoundingClientRect().right + 1) return true;
      }
      return false;
    }).map((field) => field.id || field.name)"""
    with in_variant(browser, ("vi", "dark", 390), live_server.url, as_admin) as context:
        page = context.new_page()
        for path in (
            "grouprule/add/",
            "user/add/",
            f"user/{things['user'].pk}/change/",
            f"team/{things['team'].pk}/change/",
        ):
            page.goto(f"{live_server.url}/admin/accounts/{path}")
            assert page.evaluate(cut) == [], path
