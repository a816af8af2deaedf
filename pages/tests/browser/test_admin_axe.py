"""axe finds nothing on the lists and forms of the Django admin."""

from typing import Any

import pytest
from django.urls import reverse
from playwright.sync_api import Browser

from accounts.models import Role
from pages.tests.browser.variants import VARIANT_NAMES, VARIANTS, Variant, in_variant, problems_of, signed_in
from rentals.models import Status
from rentals.tests.factories import make_person, make_rental, make_team, make_token

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
LISTS = ("rentals_token", "rentals_rental", "rentals_service", "accounts_team", "accounts_user", "accounts_auditrecord")


@pytest.mark.parametrize("variant", VARIANTS, ids=VARIANT_NAMES)
def test_the_admin(browser: Browser, live_server: Any, variant: Variant) -> None:
    team = make_team()
    token = make_token(team)
    admin = make_person(team, Role.MANAGER, is_staff=True, is_superuser=True)
    make_rental(Status.RECEIVED, team=team, person=admin, token=token)
    addresses = [reverse("admin:index"), reverse("admin:rentals_token_change", args=[token.pk])]
    addresses += [reverse(f"admin:{name}_changelist") for name in LISTS]
    problems: list[str] = []
    with in_variant(browser, variant, live_server.url, signed_in(admin)) as context:
        page = context.new_page()
        for address in addresses:
            page.goto(live_server.url + address)
            problems += [problem for problem in problems_of(page, address) if "wider than" not in problem]
    assert problems == []
