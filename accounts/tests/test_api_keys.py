"""API keys: their form, who may make and revoke them, and what ends them."""

from datetime import timedelta

import pytest
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone

from accounts import api_keys, memberships
from accounts.memberships import NotDone
from accounts.models import ApiKey, AuditRecord, Role, Scope, Team, User
from accounts.policy import access_for
from rentals.tests.factories import make_person, make_team
from thuesim_site.redaction import clean

pytestmark = pytest.mark.django_db


@pytest.fixture
def team() -> Team:
    return make_team("QA")


@pytest.fixture
def lan(team: Team) -> User:
    return make_person(team, username="lan")


def _made(person: User, team: Team, **over: object) -> tuple[ApiKey, str]:
    access = access_for(person, team_id=team.pk)
    return api_keys.make(person, access, **{"name": "CI", "scopes": Scope.values, **over})  # type: ignore[arg-type]


def _calls(secret: str, address: str = "192.0.2.7") -> api_keys.Caller:
    return api_keys.authenticate(secret, RequestFactory().get("/", REMOTE_ADDR=address))


def test_a_secret_has_a_prefix_and_a_checksum_and_is_redacted() -> None:
    secret = api_keys.new_secret()
    assert secret.startswith("desk_")
    assert len(secret) == len("desk_") + 43
    assert api_keys.has_form(secret)
    other = "A" if secret[10] != "A" else "B"
    assert not api_keys.has_form(secret[:10] + other + secret[11:])
    assert secret not in clean(f"sent {secret} there")


def test_only_the_digest_is_kept(team: Team, lan: User) -> None:
    key, secret = _made(lan, team)
    kept = str(ApiKey.objects.filter(pk=key.pk).values().get())
    assert secret not in kept
    assert secret[: api_keys.SHOWN_LENGTH] in kept


def test_a_key_acts_as_its_person_in_its_team_wherever_they_work_now(team: Team, lan: User) -> None:
    key, secret = _made(lan, team)
    lan.team = make_team("Another")
    lan.save()
    caller = _calls(secret)
    assert (caller.key, caller.access.team, caller.access.role) == (key, team, Role.OPERATOR)
    key.refresh_from_db()
    assert key.last_used_from == "192.0.2.7"


@pytest.mark.parametrize("end", ["revoked", "removed", "deactivated", "expired"])
def test_a_key_ends(team: Team, lan: User, end: str) -> None:
    manager = make_person(team, Role.MANAGER, username="boss")
    key, secret = _made(lan, team)
    access = access_for(manager, team_id=team.pk)
    if end == "revoked":
        assert api_keys.revoke(manager, access, key)
    elif end == "removed":
        memberships.remove(manager, access, lan.memberships.get())
        make_person(team, username="other")  # that lan joins again does not bring the key back
        lan.memberships.create(team=team)
    elif end == "deactivated":
        memberships.deactivate(manager, access, lan)
    else:
        ApiKey.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    with pytest.raises(api_keys.KeyRefused):
        _calls(secret)
    action = "key_expired" if end == "expired" else "key_revoked"
    assert AuditRecord.objects.filter(action=action, target=str(key)).count() == 1


def test_an_ipv4_address_in_the_form_of_ipv6_is_that_ipv4_address() -> None:
    assert api_keys.parse_addresses("::ffff:127.0.0.1 ::ffff:10.0.0.0/104 2001:db8::/32") == [
        "127.0.0.1/32",
        "10.0.0.0/8",
        "2001:db8::/32",
    ]
    with pytest.raises(NotDone):
        api_keys.parse_addresses("fe80::1%eth0")


def test_a_key_works_from_its_addresses_alone(team: Team, lan: User) -> None:
    _key, secret = _made(lan, team, addresses=api_keys.parse_addresses("10.0.0.0/8, 2001:db8::/32"))
    for address in ("10.1.2.3", "::ffff:10.1.2.3", "2001:db8::7"):
        assert _calls(secret, address)
    for address in ("11.0.0.1", "2001:db9::1", ""):
        with pytest.raises(api_keys.KeyRefused):
            _calls(secret, address)
    with pytest.raises(NotDone):
        api_keys.parse_addresses("10.0.0.0/40")


def test_nobody_makes_a_key_who_may_not_rent(team: Team) -> None:
    with pytest.raises(NotDone):
        _made(make_person(team, Role.VIEWER), team)


def test_an_operator_sees_and_revokes_their_own_keys_alone(team: Team, lan: User, client: Client) -> None:
    own, _secret = _made(lan, team, name="own")
    others, _secret = _made(make_person(team), team, name="of another")
    client.force_login(lan)
    page = client.get(reverse("team_keys")).content.decode()
    assert "own" in page
    assert "of another" not in page
    assert client.post(reverse("key_revoke", args=[others.pk])).status_code == 404
    client.post(reverse("key_revoke", args=[own.pk]))
    assert set(ApiKey.objects.filter(revoked_at=None)) == {others}


def test_a_key_is_shown_once(team: Team, lan: User, client: Client) -> None:
    client.force_login(lan)
    sent = {"name": "CI", "scopes": ["rentals:read"], "days": "30", "budget_day": "15.000", "form_key": "once"}
    page = client.post(reverse("key_make"), sent).content.decode()
    key = ApiKey.objects.get()
    assert key.start in page
    assert "export THUESIM_DESK_URL=http://testserver\nexport THUESIM_DESK_KEY=desk_" in page  # ready to be pasted
    assert (key.person, key.scopes, key.budget_day) == (lan, ["rentals:read"], 15_000)
    assert client.post(reverse("key_make"), sent).status_code == 302  # a second click makes no second key
    assert ApiKey.objects.count() == 1
    assert AuditRecord.objects.get(action="key_made").detail["scopes"] == ["rentals:read"]


def test_a_wrong_field_of_the_form_is_named(team: Team, lan: User, client: Client) -> None:
    client.force_login(lan)
    answer = client.post(reverse("key_make"), {"name": "CI", "addresses": "10.0.0.0/40"})
    assert answer.status_code == 422
    assert {"scopes", "addresses"} <= set(answer.context["form"].errors)
