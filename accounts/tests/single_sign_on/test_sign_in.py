"""Signing in through a provider: who comes in, who does not, and on which page a failure ends."""

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth as totp
from allauth.socialaccount.models import SocialAccount
from allauth.usersessions.models import UserSession
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from accounts import api_keys, invitations
from accounts.audit import Action
from accounts.models import ApiKey, AuditRecord, GroupRule, Membership, Role, Team, User
from accounts.policy import access_for, has_two_factor
from accounts.tests.single_sign_on.fake_provider import SECRET, FakeProvider
from rentals.tests.factories import make_person, make_team

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]

LINH = {"email": "linh@example.com", "email_verified": True, "name": "Linh Trần", "preferred_username": "linh"}
Configure = Callable[..., None]


@pytest.fixture
def rule(team: Team) -> GroupRule:
    return GroupRule.objects.create(provider="company", group="operators", right="operator", team=team)


def failure(response: Any) -> str:
    """Which failure the page is about; `""` for another page."""
    context = response.context or {}
    return str(context.get("failure", ""))


def signed_in_person(client: Client) -> User | None:
    pk = client.session.get("_auth_user_id")
    return User.objects.get(pk=pk) if pk else None


def test_a_new_person_gets_an_account_and_the_team_of_their_group(company: FakeProvider, rule: GroupRule) -> None:
    client = Client()
    response = company.sign_in(client, **LINH, groups=["operators", "football"])
    assert (response.status_code, response.url) == (302, "/")
    person = signed_in_person(client)
    assert person is not None
    assert (person.username, str(person), person.email) == ("linh", "Linh Trần (linh)", "linh@example.com")
    assert not person.has_usable_password()
    membership = Membership.objects.get(user=person)
    assert (membership.role, membership.source) == (Role.OPERATOR, "company")
    records = AuditRecord.objects.order_by("pk").values_list("action", flat=True)
    assert list(records) == [Action.USER_ADD, Action.ADDED, Action.SIGN_IN]
    assert AuditRecord.objects.get(action=Action.SIGN_IN).detail == {"by": ["company"]}


def test_state_nonce_and_a_challenge_are_sent_and_the_address_adds_nothing(company: FakeProvider) -> None:
    client = Client()
    response = client.post("/accounts/oidc/company/login/?scope=admin&auth_params=prompt%3Dnone")
    asked = company.begin(client)
    assert "admin" not in response.context["address"]
    assert "prompt" not in response.context["address"]
    assert asked["code_challenge_method"] == "S256"
    assert len(asked["nonce"]) >= 40
    assert asked["state"]
    assert set(asked["scope"].split()) == {"openid", "profile", "email"}
    assert SECRET not in response.content.decode()


def test_who_comes_again_is_the_same_person_and_the_queries_are_few(
    company: FakeProvider, rule: GroupRule, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    company.sign_in(Client(), **LINH, groups=["operators"])
    with django_assert_max_num_queries(60):
        company.sign_in(Client(), **{**LINH, "email": "other@example.com"}, groups=["operators"])
    assert User.objects.count() == 1
    assert SocialAccount.objects.get().extra_data["email"] == "other@example.com"


def test_a_new_person_whose_groups_have_no_rule_is_sent_to_their_admin_and_gets_no_account(
    company: FakeProvider, rule: GroupRule
) -> None:
    client = Client()
    response = company.sign_in(client, **LINH, groups=["football"])
    assert (response.status_code, failure(response)) == (403, "no_team")
    assert "Ask your admin" in response.content.decode()
    assert not User.objects.exists()
    assert signed_in_person(client) is None
    record = AuditRecord.objects.get()
    assert record.detail == {"single sign-on": "company", "why": "no_team"}


def test_an_invitation_lets_a_new_person_in_through_the_provider(
    company: FakeProvider, team: Team, manager: User, settings: Settings
) -> None:
    settings.PASSWORDS = False
    _invitation, secret = invitations.invite(manager, team, role=Role.VIEWER)
    client = Client()
    page = client.get(f"/join/{secret}/").content.decode()
    assert "Sign in with Company" in page
    assert "password1" not in page
    assert client.post(f"/join/{secret}/", {"username": "lan", "password1": "long-enough-1"}).status_code == 200
    company.claims = LINH
    company.begin(client, next=f"/join/{secret}/")
    response = company.come_back(client)
    assert response.url == f"/join/{secret}/"
    client.post(response.url)
    membership = Membership.objects.get(team=team, role=Role.VIEWER)
    assert (membership.user.username, membership.source) == ("linh", "")


def test_an_existing_person_is_not_taken_over_by_an_e_mail_address(
    company: FakeProvider, team: Team, configure: Configure
) -> None:
    make_person(team, username="linh", email="linh@example.com")
    assert failure(company.sign_in(Client(), **LINH)) == "email_taken"  # not a trusted provider
    configure(trust_email=True)
    assert failure(company.sign_in(Client(), **{**LINH, "email_verified": False})) == "email_taken"
    assert not SocialAccount.objects.exists()


def test_a_verified_address_of_a_trusted_provider_connects_and_ends_what_was_set_up_before(
    company: FakeProvider, team: Team, configure: Configure
) -> None:
    configure(trust_email=True)
    person = make_person(team, username="linh", email="Linh@Example.com")
    api_keys.make(person, access_for(person), name="old", scopes=["rentals:read"])
    Authenticator.objects.create(user=person, type="webauthn", data={})
    before = Client()
    before.post("/accounts/login/", {"login": "linh", "password": "secret-enough"})
    client = Client()
    assert company.sign_in(client, **LINH).status_code == 302
    assert signed_in_person(client) == person
    person.refresh_from_db()
    assert not person.has_usable_password()
    assert ApiKey.objects.get().revoked_at is not None
    assert not Authenticator.objects.exists()
    assert before.get("/").status_code == 302
    assert Membership.objects.get(user=person).source == ""
    assert AuditRecord.objects.filter(action=Action.PROVIDER_LINKED, person=person).exists()


@pytest.mark.database
def test_connecting_by_e_mail_ends_what_the_groups_at_another_provider_gave(
    providers: dict[str, FakeProvider], team: Team, configure: Configure
) -> None:
    User.objects.create_superuser("admin", email="admin@example.com")  # the last one would stay
    GroupRule.objects.create(provider="other", group="managers", right="manager", team=team)
    GroupRule.objects.create(provider="other", group="managers", right="admin")
    providers["other"].sign_in(Client(), **LINH, groups=["managers"])
    person = User.objects.get(email="linh@example.com")
    assert person.admin_source == "other"
    configure(trust_email=True)
    assert failure(providers["company"].sign_in(Client(), **{**LINH, "sub": "linh-there"}, groups=[])) == "no_team"
    person.refresh_from_db()
    assert (person.is_staff, person.admin_source) == (False, "")
    assert not person.memberships.exists()


def test_an_address_that_the_desk_has_verified_keeps_the_password(
    company: FakeProvider, team: Team, configure: Configure
) -> None:
    configure(trust_email=True)
    person = make_person(team, username="linh", email="linh@example.com")
    EmailAddress.objects.create(user=person, email="linh@example.com", verified=True, primary=True)
    company.sign_in(Client(), **LINH)
    person.refresh_from_db()
    assert person.has_usable_password()


def test_names_that_are_taken_or_look_like_another_get_a_number(
    company: FakeProvider, rule: GroupRule, team: Team
) -> None:
    make_person(team, username="Linh")
    client = Client()
    company.sign_in(client, **LINH, groups=["operators"])
    person = signed_in_person(client)
    assert person is not None
    assert person.username == "linh-2"


def test_names_that_are_no_texts_are_left_out(company: FakeProvider, rule: GroupRule) -> None:
    claims = {**LINH, "name": ["Linh"], "preferred_username": {"linh": 1}, "given_name": "Linh", "family_name": "Trần"}
    company.sign_in(Client(), **claims, groups=["operators"])
    person = User.objects.get()
    assert (person.username, person.first_name) == ("linh", "Linh Trần")
    assert SocialAccount.objects.get().extra_data == {"email": "linh@example.com"}


def test_a_new_account_needs_an_e_mail_address(company: FakeProvider, rule: GroupRule) -> None:
    assert failure(company.sign_in(Client(), name="Linh", groups=["operators"])) == "email_missing"
    assert not User.objects.exists()


def test_a_deactivated_person_is_told_so(company: FakeProvider, rule: GroupRule) -> None:
    company.sign_in(Client(), **LINH, groups=["operators"])
    User.objects.update(is_active=False)
    client = Client()
    assert failure(company.sign_in(client, **LINH, groups=["operators"])) == "deactivated"
    assert signed_in_person(client) is None


def test_claims_that_the_setting_requires_are_asked_for(
    company: FakeProvider, rule: GroupRule, configure: Configure
) -> None:
    configure(require={"hd": "example.com"})
    assert failure(company.sign_in(Client(), **LINH, groups=["operators"], hd="gmail.com")) == "not_allowed"
    assert company.sign_in(Client(), **LINH, groups=["operators"], hd="example.com").status_code == 302


def test_what_was_denied_there_says_so(company: FakeProvider) -> None:
    client = Client()
    company.begin(client)
    response = client.get(
        "/accounts/oidc/company/login/callback/", {"error": "access_denied", "state": company._asked["state"]}
    )
    assert failure(response) == "denied"


def test_a_lost_state_says_so_and_fills_no_audit_log(company: FakeProvider, rule: GroupRule) -> None:
    client = Client()
    company.begin(client)
    company.claims = {**LINH, "groups": ["operators"]}
    assert failure(company.come_back(Client())) == "state_lost"  # another browser
    assert failure(company.come_back(client, state="made-up")) == "state_lost"
    assert company.come_back(client).status_code == 302
    assert failure(company.come_back(client)) == "state_lost"  # used
    assert not AuditRecord.objects.filter(action=Action.SIGN_IN_FAILED).exists()


def test_a_used_link_says_to_who_is_signed_in_that_they_are(company: FakeProvider, rule: GroupRule) -> None:
    client = Client()
    company.sign_in(client, **LINH, groups=["operators"])
    page = company.come_back(client).content.decode()
    assert "You are signed in already" in page
    assert "The sign-in failed" not in page
    assert 'class="button primary wide" href="/"' in page
    assert "The sign-in failed" in company.come_back(Client()).content.decode()


def test_a_provider_that_is_down_says_so_before_and_after(
    company: FakeProvider, rule: GroupRule, caplog: pytest.LogCaptureFixture
) -> None:
    client = Client()
    company.is_down = True
    response = client.post("/accounts/oidc/company/login/")
    assert (response.status_code, failure(response)) == (503, "provider_down")
    assert "it cannot be reached" in caplog.text
    company.is_down = False
    company.begin(client)
    company.is_down = True
    assert failure(company.come_back(client)) == "provider_down"
    assert SECRET not in caplog.text


def test_the_answer_of_one_provider_is_none_of_another(providers: dict[str, FakeProvider], rule: GroupRule) -> None:
    company, other = providers["company"], providers["other"]
    client = Client()
    company.begin(client)
    response = client.get(
        "/accounts/oidc/other/login/callback/", {"code": "the-code", "state": company._asked["state"]}
    )
    assert failure(response) == "state_lost"
    company.names_issuer = True
    company.begin(client)
    assert failure(company.come_back(client, iss=other.issuer)) == "answer_wrong"
    company.begin(client)
    company.names_issuer = False
    assert failure(company.come_back(client, iss=other.issuer)) == "answer_wrong"


def test_an_id_token_that_does_not_hold_signs_nobody_in(company: FakeProvider, rule: GroupRule) -> None:
    forged: list[dict[str, Any]] = [
        {"nonce": "another"},
        {"nonce": None},
        {"aud": "another-client"},
        {"aud": ["desk", "another-client"]},
        {"iss": "https://other.invalid/sso"},
        {"exp": 1},
        {"sub": None},
        {"sub": "x" * 200},
        {"sub": "sub-of-lan"},  # the userinfo endpoint says another one
    ]
    client = Client()
    for signed in forged:
        company.signed = signed
        assert failure(company.sign_in(client, **LINH, groups=["operators"])) == "answer_wrong", signed
        assert signed_in_person(client) is None
    assert not User.objects.exists()


def test_a_page_of_the_desk_is_gone_back_to_and_no_other_site(company: FakeProvider, rule: GroupRule) -> None:
    company.claims = {**LINH, "groups": ["operators"]}
    for wanted, reached in (
        ("/rentals/?q=1", "/rentals/?q=1"),
        ("https://evil.invalid/", "/"),
        ("//evil.invalid", "/"),
    ):
        client = Client()
        company.begin(client, next=wanted)
        assert company.come_back(client).url == reached


@pytest.mark.database
def test_the_desks_two_factor_is_asked_for_unless_the_provider_answers_for_it(
    company: FakeProvider, rule: GroupRule, configure: Configure
) -> None:
    company.sign_in(Client(), **LINH, groups=["operators"])
    person = User.objects.get()
    Authenticator.objects.create(user=person, type="totp", data={"secret": "JBSWY3DPEHPK3PXP"})
    client = Client()
    assert (
        company.sign_in(client, **LINH, groups=["operators"], amr=["pwd", "mfa"]).url == "/accounts/2fa/authenticate/"
    )
    assert signed_in_person(client) is None
    configure(two_factor=("mfa",))
    client = Client()
    assert company.sign_in(client, **LINH, groups=["operators"], amr=["pwd"]).url == "/accounts/2fa/authenticate/"
    assert company.sign_in(client, **LINH, groups=["operators"], amr=["pwd", "mfa"]).url == "/"
    assert signed_in_person(client) == person


def test_the_providers_second_factor_counts_for_a_team_that_requires_one_and_ends_sessions_without_it(
    company: FakeProvider, rule: GroupRule, configure: Configure, team: Team
) -> None:
    configure(two_factor=("mfa",))
    Team.objects.update(requires_second_step=True)
    weak, strong = Client(), Client()
    company.sign_in(weak, **LINH, groups=["operators"], amr=["pwd"])
    assert weak.get("/").headers["Location"] == "/accounts/2fa/"
    company.sign_in(strong, **LINH, groups=["operators"], amr=["pwd", "mfa"])
    assert strong.get("/").status_code == 200
    assert weak.get("/").headers["Location"].startswith("/accounts/login/")  # it was begun without
    person = User.objects.get()
    assert has_two_factor(person)
    person.set_password("secret-enough")
    person.save()
    Client().post("/accounts/login/", {"login": "linh", "password": "secret-enough"})
    assert not has_two_factor(User.objects.get())


def test_a_session_that_the_desks_own_two_factor_began_ends_by_the_providers_word_too(
    company: FakeProvider, rule: GroupRule, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(totp, "yield_hotp_counters_from_time", lambda: iter([1]))  # a period that does not end
    company.sign_in(Client(), **LINH, groups=["operators"])
    secret = "JBSWY3DPEHPK3PXP"
    Authenticator.objects.create(user=User.objects.get(), type="totp", data={"secret": secret})
    client = Client()
    company.signed = {"sid": "session-7"}
    company.sign_in(client, **LINH, groups=["operators"])
    code = totp.format_hotp_value(totp.hotp_value(secret, 1))
    assert client.post("/accounts/2fa/authenticate/", {"code": code}).headers["Location"] == "/"
    assert UserSession.objects.get(data__provider__sid="session-7").session_key == client.session.session_key


def test_connecting_and_disconnecting_ask_for_a_fresh_sign_in(
    company: FakeProvider, team: Team, settings: Settings
) -> None:
    person = make_person(team, username="linh", email="linh@example.com")
    client = Client()
    with time_machine.travel(timezone.now() - timedelta(minutes=6)):
        client.post("/accounts/login/", {"login": "linh", "password": "secret-enough"})
    connect = client.post("/accounts/oidc/company/login/", {"process": "connect"})
    assert connect.headers["Location"].startswith("/accounts/reauthenticate/")
    client.post("/accounts/reauthenticate/", {"password": "secret-enough"})
    company.claims = LINH
    company.begin(client, process="connect")
    assert company.come_back(client).url == "/account/#providers"
    account = SocialAccount.objects.get(user=person)
    assert "linh@example.com" in client.get("/account/").content.decode()

    other = Client()
    company.sign_in(other, **LINH)
    disconnect = f"/account/providers/{account.pk}/disconnect/"
    assert other.post(disconnect).headers["Location"].startswith("/accounts/reauthenticate/")
    assert client.post(disconnect).headers["Location"] == "/account/#providers"
    assert not SocialAccount.objects.exists()


def test_a_password_that_was_typed_in_this_session_a_moment_ago_is_not_asked_for_again(
    company: FakeProvider, team: Team
) -> None:
    make_person(team, username="linh", email="linh@example.com")
    client, other = Client(), Client()
    with time_machine.travel(timezone.now() - timedelta(minutes=6)):
        other.post("/accounts/login/", {"login": "linh", "password": "secret-enough"})
    client.post("/accounts/login/", {"login": "linh", "password": "secret-enough"})
    connect = other.post("/accounts/oidc/company/login/", {"process": "connect"})
    assert connect.headers["Location"].startswith("/accounts/reauthenticate/")
    company.claims = LINH
    company.begin(client, process="connect")
    assert company.come_back(client).url == "/account/#providers"


@pytest.mark.database
def test_a_person_without_a_password_signs_in_there_once_more_and_keeps_their_only_way_in(
    company: FakeProvider, rule: GroupRule
) -> None:
    client = Client()
    company.sign_in(client, **LINH, groups=["operators"])
    disconnect = f"/account/providers/{SocialAccount.objects.get().pk}/disconnect/"
    with time_machine.travel(timezone.now() + timedelta(minutes=6)):
        again = client.post(disconnect).headers["Location"]
        assert again == "/account/?fresh=company#providers"
        assert 'name="fresh"' in client.get(again).content.decode()
        asked = company.begin(client, fresh="1", next="/account/#providers")
        assert (asked["prompt"], asked["max_age"]) == ("login", "0")
        assert company.come_back(client).url == "/account/#providers"
        client.post(disconnect)
        assert "only way to sign in" in client.get("/account/").content.decode()
    assert SocialAccount.objects.exists()


def test_an_account_there_that_is_another_persons_is_not_connected(
    company: FakeProvider, rule: GroupRule, team: Team
) -> None:
    company.sign_in(Client(), **LINH, groups=["operators"])
    make_person(team, username="lan")
    client = Client()
    client.post("/accounts/login/", {"login": "lan", "password": "secret-enough"})
    client.post("/accounts/reauthenticate/", {"password": "secret-enough"})
    company.begin(client, process="connect")
    assert failure(company.come_back(client)) == "connected_elsewhere"
    company.begin(client, process="connect")
    client.post("/accounts/logout/")
    assert failure(company.come_back(client)) == "state_lost"
    assert SocialAccount.objects.get().user.username == "linh"


def test_two_teams_at_other_providers_keep_apart(providers: dict[str, FakeProvider], rule: GroupRule) -> None:
    GroupRule.objects.create(provider="other", group="operators", right="manager", team=make_team("Sales"))
    providers["company"].sign_in(Client(), **LINH, groups=["operators"])
    assert failure(providers["other"].sign_in(Client(), **LINH, groups=["operators"])) == "email_taken"
    assert Membership.objects.get().role == Role.OPERATOR


def test_no_secret_is_logged_while_all_goes_well(
    company: FakeProvider, rule: GroupRule, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    company.sign_in(Client(), **LINH, groups=["operators"])
    assert SECRET not in caplog.text
    assert SECRET not in repr(company.settings)
