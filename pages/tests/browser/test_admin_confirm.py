"""What cannot be undone in the Django admin asks first."""

from typing import Any

import pytest
from django.urls import reverse
from playwright.sync_api import Browser, expect

from accounts.models import Role
from pages.tests.browser.variants import VARIANTS, in_variant
from rentals.tests.factories import make_person, make_team, make_token, signed_in

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_a_replaced_callback_address_is_revoked_only_after_a_question(browser: Browser, live_server: Any) -> None:
    team = make_team()
    token = make_token(team)
    admin = signed_in(make_person(team, Role.MANAGER, is_staff=True, is_superuser=True))
    for _ in range(2):
        admin.post(reverse("admin:rentals_token_callback", args=[token.pk]))
    path = live_server.url + reverse("admin:rentals_token_change", args=[token.pk])
    with in_variant(browser, VARIANTS[0], live_server.url, admin) as context:
        page = context.new_page()
        page.goto(path)
        revoke = page.get_by_role("button", name="Revoke the replaced address now")
        page.once("dialog", lambda dialog: dialog.dismiss())
        revoke.click()
        expect(revoke).to_be_visible()
        page.once("dialog", lambda dialog: dialog.accept())
        revoke.click()
        expect(page.locator(".messagelist")).to_be_visible()
        page.goto(path)
        expect(revoke).to_have_count(0)
