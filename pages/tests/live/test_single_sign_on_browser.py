"""Signing in through a true provider, Canaille, in Chromium: there, back, and out again by the provider's word."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect
from pytest_django import Settings

from accounts.models import GroupRule, Membership, Team
from bench.provider.office import PEOPLE, Office
from lib.network import oidc_documents, oidc_providers
from pages.tests.live import server
from thuesim_site.testing import RedisServer, free_port

pytestmark = [pytest.mark.alone, pytest.mark.browser]


@pytest.fixture
def site(real_redis: RedisServer, transactional_db: None, settings: Settings) -> Iterator[str]:
    with server.pages(real_redis) as address:
        yield address


@pytest.fixture
def office(site: str, settings: Settings) -> Iterator[Office]:
    office = Office(free_port(), site)
    office.start()
    settings.OIDC_PROVIDERS = oidc_providers.parse(office.setting())
    oidc_documents.forget()
    yield office
    office.stop()


def _sign_in_there(page: Page, name: str) -> None:
    page.fill("[name=login]", name)
    page.get_by_role("button", name="Continue").click()
    page.fill("[name=password]", PEOPLE[name]["password"])
    page.get_by_role("button", name="Sign in").click()


def test_a_person_of_a_group_signs_in_works_and_is_signed_out_from_there(
    office: Office, site: str, page: Page, team: Team
) -> None:
    GroupRule.objects.create(provider="office", group="operators", right="operator", team=team)
    page.set_default_timeout(60_000)
    page.goto(site)
    expect(page.get_by_test_id("provider")).to_have_text(["Sign in with Office", "Sign in with Branch"])
    page.get_by_role("button", name="Sign in with Office").press("Enter")
    _sign_in_there(page, "linh")
    expect(page.locator("#live-state")).to_have_attribute("data-state", "live")
    membership = Membership.objects.get(team=team)
    assert (str(membership.user), membership.role, membership.source) == ("Linh Trần (linh)", "operator", "office")

    # The other client of the same provider: she is known there, her groups have no rule for it.
    token = office.logout_token("branch", "linh")
    assert page.request.post(f"{site}/accounts/oidc/office/logout/", form={"logout_token": token}).status == 400
    token = office.logout_token("office", "linh")
    assert page.request.post(f"{site}/accounts/oidc/office/logout/", form={"logout_token": token}).status == 200
    page.wait_for_url(f"{site}/accounts/login/?**")  # the open screen, by its stream

    page.get_by_role("button", name="Sign in with Branch").click()
    expect(page.get_by_test_id("sign-in-failed")).to_have_attribute("data-failure", "email_taken")
    page.get_by_role("link", name="Back to the sign-in").click()
    page.get_by_role("button", name="Sign in with Office").click()  # without a word: the session there goes on
    page.wait_for_url(f"{site}/")
    page.locator("summary[aria-label^=Account]").click()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(f"{site}/accounts/login/")  # by way of the provider, whose session ended as well
    page.get_by_role("button", name="Sign in with Office").click()
    expect(page.locator("[name=login]")).to_be_visible()
    assert page.url.startswith(office.issuer)
