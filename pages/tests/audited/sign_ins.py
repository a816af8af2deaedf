"""What comes by a sign-in provider, and by the emergency link."""

from dataclasses import replace
from typing import Any

from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.test import Client, override_settings
from django.urls import reverse

from accounts.models import GroupRule
from accounts.single_sign_on import break_glass
from accounts.tests.single_sign_on.fake_provider import two_providers
from pages.tests.audited.cases import ADDRESS, World, case


@case("provider_connected", "lan", detail={"single sign-on": "company"})
def connecting_with_a_provider(world: World) -> None:
    with two_providers() as providers:
        client = world.client("lan")
        client.post(reverse("account_reauthenticate"), {"password": "secret-enough"})
        providers["company"].begin(client, process="connect")
        assert providers["company"].come_back(client).url == "/account/#providers"


@case("provider_disconnected", "lan", "lan", {"single sign-on": "company"})
def disconnecting_from_a_provider(world: World) -> None:
    account = SocialAccount.objects.create(user=world.lan, provider="company", uid="sub-of-lan")
    with two_providers():
        world.client("lan").post(reverse("account_reauthenticate"), {"password": "secret-enough"})
        world.post("lan", "account_disconnect", account.pk)
    assert not SocialAccount.objects.exists()


@case("provider_linked", "lan", "lan", {"email": "lan@example.com"})
def being_found_by_a_verified_address(world: World) -> None:
    world.lan.email = "lan@example.com"
    world.lan.save()
    _come(world, trust_email=True)


@case("admin_by_group", "lan", "lan", {"is_staff": [False, True], "single sign-on": "company"})
def becoming_an_admin_by_a_group(world: World) -> None:
    SocialAccount.objects.create(user=world.lan, provider="company", uid="sub-of-linh")
    GroupRule.objects.create(provider="company", group="admins", right="admin")
    _come(world)


def _come(world: World, **entries: Any) -> None:
    with two_providers() as providers:
        company = providers["company"]
        company.settings = replace(company.settings, **entries)
        with override_settings(OIDC_PROVIDERS={**settings.OIDC_PROVIDERS, "company": company.settings}):
            client = Client(REMOTE_ADDR=ADDRESS)
            company.sign_in(client, email="lan@example.com", email_verified=True, groups=["admins"])


@case("break_glass_used", "root", "root")
def signing_in_by_an_emergency_link(world: World) -> None:
    secret = break_glass.make_secret(type(world.root).objects.get(pk=world.root.pk))
    Client(REMOTE_ADDR=ADDRESS).post(reverse("break_glass", args=[secret]))


def _rule(world: World, **over: Any) -> dict[str, Any]:
    return {"provider": "company", "group": "a", "right": "viewer", "team": world.house.team.pk, "is_on": "on", **over}


@case("grouprule_add", "root", "company · a · Support · viewer", {"group": [None, "a"], "right": [None, "viewer"]})
def adding_a_group_rule(world: World) -> None:
    with two_providers():
        world.post("root", "admin:accounts_grouprule_add", **_rule(world))
    assert GroupRule.objects.get().is_on


@case("grouprule_change", "root", "company", {"is_on": [True, False]})
def switching_a_group_rule_off(world: World) -> None:
    rule = GroupRule.objects.create(provider="company", group="a", right="viewer", team=world.house.team)
    form = _rule(world)
    del form["is_on"]
    with two_providers():
        world.post("root", "admin:accounts_grouprule_change", rule.pk, **form)
