"""What groups give at each sign-in, what they take away, and what they leave alone."""

from datetime import timedelta
from typing import Any, Literal
from unicodedata import normalize

import pytest
from allauth.socialaccount.models import SocialAccount
from django.db import IntegrityError, transaction
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts import api_keys, memberships
from accounts.api_keys import KeyRefused
from accounts.audit import Action
from accounts.models import ApiKey, AuditRecord, GroupRule, Invitation, Membership, Right, Role, Scope, Team, User
from accounts.policy import access_for
from accounts.single_sign_on import claims, groups
from accounts.single_sign_on.failures import Failure, Refused
from accounts.single_sign_on.groups import Granted
from accounts.tests.single_sign_on.fake_provider import FakeProvider
from accounts.tests.single_sign_on.test_sign_in import LINH, failure, signed_in_person
from lib.network.oidc_providers import Provider
from rentals.tests.factories import make_person, make_team

pytestmark = pytest.mark.django_db


def give(group: str, right: str, team: Team | None = None, provider: str = "company") -> GroupRule:
    return GroupRule.objects.create(provider=provider, group=group, right=right, team=team)


def roles(person: User) -> dict[str, tuple[str, str]]:
    return {m.team.name: (m.role, m.source) for m in person.memberships.select_related("team")}


@pytest.fixture
def linh(team: Team) -> User:
    return make_person(username="linh")


def apply(person: User, *names: str, provider: str = "company") -> None:
    groups.apply(person, provider, groups.granted(provider, names))


def test_the_best_of_several_roles_counts_and_others_rules_do_not(team: Team, linh: User) -> None:
    sales = make_team("Sales")
    give("a", "viewer", team)
    give("b", "manager", team)
    give("c", "operator", team)
    give("*", "viewer", sales)
    give("b", "manager", sales, provider="other")
    apply(linh, "a", "b", "c")
    assert roles(linh) == {"Support": ("manager", "company"), "Sales": ("viewer", "company")}


def test_a_group_is_compared_as_it_is_written(team: Team, linh: User) -> None:
    give("Operators", "operator", team)
    apply(linh, "operators", "Operators ", "Op%")
    assert roles(linh) == {}


@pytest.mark.parametrize(("in_rule", "at_provider"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_a_name_with_accents_is_the_same_however_it_is_composed(
    company: FakeProvider, team: Team, in_rule: Literal["NFC", "NFD"], at_provider: Literal["NFC", "NFD"]
) -> None:
    give(normalize(in_rule, "Vận hành"), "operator", team)
    client = Client()
    company.sign_in(client, **LINH, groups=[normalize(at_provider, "Vận hành")])
    person = signed_in_person(client)
    assert person is not None
    assert roles(person) == {"Support": ("operator", "company")}


def test_a_lost_group_takes_membership_keys_and_invitations_and_another_changes_the_role(
    team: Team, linh: User
) -> None:
    give("a", "manager", team)
    give("b", "operator", team)
    apply(linh, "a")
    key, secret = api_keys.make(linh, access_for(linh), name="ci", scopes=Scope.values)
    Invitation.objects.create(
        team=team, invited_by=linh, secret_digest="x", expires_at=timezone.now() + timedelta(days=1)
    )
    apply(linh, "b")
    assert roles(linh) == {"Support": ("operator", "company")}
    assert Invitation.objects.get().revoked_at is not None
    assert ApiKey.objects.get().revoked_at is None
    apply(linh)
    assert roles(linh) == {}
    with pytest.raises(KeyRefused):
        api_keys.authenticate(secret, _request())
    assert ApiKey.objects.get(pk=key.pk).revoked_at is not None
    actions = list(AuditRecord.objects.filter(target=f"linh #{linh.pk}").values_list("action", flat=True))
    assert actions == [Action.REMOVED, Action.ROLE_CHANGED, Action.ADDED]
    assert AuditRecord.objects.get(action=Action.REMOVED).detail == {
        "role": ["operator", None],
        "single sign-on": "company",
    }


def _request() -> Any:
    from django.test import RequestFactory

    return RequestFactory().get("/api/v1/rentals")


def test_what_was_given_by_hand_or_by_another_provider_stays(team: Team, linh: User) -> None:
    sales = make_team("Sales")
    Membership.objects.create(user=linh, team=team, role=Role.VIEWER)
    Membership.objects.create(user=linh, team=sales, role=Role.VIEWER, source="other")
    give("a", "manager", team)
    give("a", "manager", sales)
    apply(linh, "a")
    apply(linh)
    assert roles(linh) == {"Support": ("viewer", ""), "Sales": ("viewer", "other")}


def test_a_rule_that_is_off_gives_nothing_and_takes_away_what_it_gave(team: Team, linh: User) -> None:
    rule = give("a", "operator", team)
    apply(linh, "a")
    rule.is_on = False
    rule.save()
    apply(linh, "a")
    assert roles(linh) == {}


def test_admins_come_and_go_with_an_explicit_rule_alone(team: Team, linh: User) -> None:
    make_person(username="root", is_staff=True, is_superuser=True)
    give("staff", "manager", team)
    apply(linh, "staff", "admin", "superuser")
    assert not linh.is_staff
    give("admins", "admin")
    give("owners", "superuser")
    for names, expected in (
        (("admins",), (True, False)),
        (("admins", "owners"), (True, True)),
        (("admins",), (True, False)),
        ((), (False, False)),
    ):
        apply(linh, *names)
        fresh = User.objects.get(pk=linh.pk)
        assert (fresh.is_staff, fresh.is_superuser) == expected
    assert AuditRecord.objects.filter(action=Action.ADMIN_BY_GROUP).count() == 4


def test_an_admin_by_hand_stays_one(linh: User) -> None:
    User.objects.filter(pk=linh.pk).update(is_staff=True)
    give("admins", "superuser")
    linh.refresh_from_db()
    apply(linh, "admins")
    apply(linh)
    fresh = User.objects.get(pk=linh.pk)
    assert (fresh.is_staff, fresh.is_superuser, fresh.admin_source) == (True, False, "")


def test_the_last_admin_is_never_removed(linh: User) -> None:
    give("owners", "superuser")
    apply(linh, "owners")
    apply(linh)
    fresh = User.objects.get(pk=linh.pk)
    assert (fresh.is_staff, fresh.is_superuser, fresh.admin_source) == (True, True, "company")
    assert AuditRecord.objects.filter(detail__kept="last admin").count() == 1
    other = make_person(username="root", is_staff=True)
    apply(linh)
    fresh.refresh_from_db()
    assert (fresh.is_staff, fresh.is_superuser) == (True, True)  # the last who appoints admins
    User.objects.filter(pk=other.pk).update(is_superuser=True)
    apply(linh)
    fresh.refresh_from_db()
    assert (fresh.is_staff, fresh.is_superuser, fresh.admin_source) == (False, False, "")


def test_a_person_who_lost_every_group_is_signed_out_and_refused_and_comes_back_with_it(
    company: FakeProvider, team: Team
) -> None:
    give("a", "operator", team)
    client, again = Client(), Client()
    company.sign_in(client, **LINH, groups=["a"])
    person = User.objects.get()
    api_keys.make(person, access_for(person), name="ci", scopes=Scope.values)
    assert failure(company.sign_in(again, **LINH, groups=[])) == "no_team"
    assert signed_in_person(again) is None
    assert client.get("/").headers["Location"].startswith("/accounts/login/")
    assert ApiKey.objects.get().revoked_at is not None
    assert company.sign_in(again, **LINH, groups=["a"]).url == "/"
    assert User.objects.count() == 1


def test_a_role_by_groups_is_changed_at_the_provider_alone(team: Team, manager: User, linh: User) -> None:
    give("a", "operator", team)
    apply(linh, "a")
    membership = Membership.objects.select_related("user", "team").get(user=linh)
    with pytest.raises(memberships.NotDone, match="company"):
        memberships.change_role(manager, access_for(manager), membership, Role.MANAGER)
    client = Client()
    client.force_login(manager)
    page = client.get(f"/team/people/{linh.pk}/").content.decode()
    assert "<fieldset disabled>" in page
    assert "Save the role" not in page
    memberships.set_budgets(manager, access_for(manager), membership, {"budget_day": 5})
    apply(linh, "a")
    assert Membership.objects.get(user=linh).budget_day == 5


def test_who_does_not_sign_in_for_long_loses_what_groups_gave(
    company: FakeProvider, team: Team, settings: Settings
) -> None:
    give("a", "operator", team)
    company.sign_in(Client(), **LINH, groups=["a"])
    person = User.objects.get()
    _key, secret = api_keys.make(person, access_for(person), name="ci", scopes=Scope.values)
    assert groups.end_lapsed() == 0
    SocialAccount.objects.update(last_login=timezone.now() - timedelta(days=settings.OIDC_DAYS, minutes=1))
    assert groups.end_lapsed() == 1
    assert roles(person) == {}
    with pytest.raises(KeyRefused):
        api_keys.authenticate(secret, _request())
    assert groups.end_lapsed() == 0


def test_the_last_admin_outlasts_the_days_without_a_record_each_time(linh: User) -> None:
    give("owners", "superuser")
    apply(linh, "owners")
    before = AuditRecord.objects.count()
    for _ in range(2):
        groups.end_lapsed()
    assert User.objects.get(pk=linh.pk).is_superuser
    assert AuditRecord.objects.count() == before
    make_person(username="root", is_staff=True, is_superuser=True)
    groups.end_lapsed()
    assert not User.objects.get(pk=linh.pk).is_staff


def test_a_rule_has_a_team_exactly_where_it_gives_a_role(team: Team) -> None:
    for right, of_team in ((Right.ADMIN, team), (Right.OPERATOR, None)):
        with pytest.raises(IntegrityError), transaction.atomic():
            give("a", right, of_team)


def test_groups_are_read_from_lists_texts_and_inside_of_other_claims() -> None:
    def read(name: str, **told: Any) -> set[str]:
        return set(claims.groups(Provider("a", "a", "https://a.invalid", "a", "s", groups_claim=name), told))

    assert read("groups", groups=["x", 5, None, "", "y"]) == {"x", "y"}
    assert read("hd", hd="example.com") == {"example.com"}
    assert read("realm_access.roles", realm_access={"roles": ["x"]}) == {"x"}
    assert read("https://example.com/groups", **{"https://example.com/groups": ["x"]}) == {"x"}
    assert read("groups") == set()


def test_an_address_with_a_letter_that_only_looks_like_another_is_none() -> None:
    told = {"email_verified": True}
    assert claims.verified_email({**told, "email": "Mike@Example.com"}) == "mike@example.com"
    for address in (
        "mi\u212ae@example.com",
        "m\u0131ke@example.com",
        "mike@ex\u0430mple.com",
        "mike",
        "",
        None,
        ["a@b.vn"],
    ):
        assert claims.verified_email({**told, "email": address}) == ""
    unclear: list[Any] = [False, None, "false", 0, {}]
    for unverified in unclear:
        assert claims.verified_email({"email": "mike@example.com", "email_verified": unverified}) == ""


def test_groups_that_the_provider_did_not_send_take_nothing_away(company: FakeProvider, team: Team) -> None:
    give("a", "operator", team)
    company.sign_in(Client(), **LINH, groups=["a"])
    response = company.sign_in(Client(), **LINH, _claim_names={"groups": "src1"})
    assert failure(response) == Failure.TOO_MANY_GROUPS.name.lower()
    assert Membership.objects.count() == 1
    with pytest.raises(Refused):
        claims.groups(company.settings, {"groups": [str(n) for n in range(claims.MAX_GROUPS + 1)]})


def test_granted_says_whether_it_gives_anything(team: Team) -> None:
    assert not Granted()
    assert Granted(is_staff=True)
    assert Granted(roles={team.pk: Role.VIEWER})
