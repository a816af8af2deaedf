"""Group rules in the Django admin: who makes which, and which hold together."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import GroupRule, Team
from accounts.tests.single_sign_on.fake_provider import two_providers
from rentals.tests.factories import make_person

pytestmark = pytest.mark.django_db

ADD = reverse("admin:accounts_grouprule_add")


@pytest.fixture
def root() -> Client:
    client = Client()
    client.force_login(make_person(username="root", is_staff=True, is_superuser=True))
    return client


def add(client: Client, **sent: Any) -> int:
    with two_providers():
        client.post(ADD, {"provider": "company", "group": "a", "is_on": "on", **sent})
    return GroupRule.objects.count()


def test_an_admin_gives_roles_and_only_a_superuser_gives_admin_rights(
    as_admin: Client, root: Client, team: Team
) -> None:
    assert add(as_admin, right="manager", team=team.pk) == 1
    assert add(as_admin, right="admin") == 1
    assert add(root, right="admin") == 2
    of_admins = GroupRule.objects.get(right="admin")
    address = reverse("admin:accounts_grouprule_change", args=[of_admins.pk])
    with two_providers():
        as_admin.post(address, {"provider": "company", "group": "everybody", "right": "admin", "is_on": "on"})
    of_admins.refresh_from_db()
    assert of_admins.group == "a"


def test_a_role_needs_a_team_an_admin_has_none_and_the_provider_must_be_there(root: Client, team: Team) -> None:
    assert add(root, right="operator") == 0
    assert add(root, right="admin", team=team.pk) == 0
    assert add(root, right="operator", team=team.pk, provider="nowhere") == 0
    assert add(root, right="operator", team=team.pk) == 1


def test_no_rule_is_deleted(root: Client, team: Team) -> None:
    rule = GroupRule.objects.create(provider="company", group="a", right="viewer", team=team)
    assert root.post(reverse("admin:accounts_grouprule_delete", args=[rule.pk]), {"post": "yes"}).status_code == 403


def test_without_a_provider_the_form_says_where_one_is_set_up(root: Client, settings: Any) -> None:
    settings.OIDC_PROVIDERS = {}
    assert "DESK_OIDC_FILE" in root.get(ADD, headers={"accept-language": "en"}).content.decode()
