"""Joining and leaving in the same moment: real requests in real transactions, on the database that the tests run on."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from allauth.mfa.totp.internal import auth as totp
from django.contrib.messages import get_messages
from django.db import connection
from django.test import Client
from django.urls import reverse

from accounts import invitations
from accounts.models import AuditRecord, Invitation, Membership, Role, Team, User
from accounts.tests.test_audit_signals import set_up_totp, sign_in
from rentals.tests.factories import make_person

pytestmark = pytest.mark.django_db(transaction=True)
AT_ONCE = 8


def at_once(*requests: Callable[[], Any]) -> list[Any]:
    """Make all requests in the same instant; return what they answered, in their order."""
    start = Barrier(len(requests))

    def one(request: Callable[[], Any]) -> Any:
        start.wait(30)
        try:
            return request()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(requests)) as pool:
        return list(pool.map(one, requests))


@pytest.fixture
def link(team: Team, manager: User) -> str:
    return reverse("join", args=[invitations.invite(manager, team, role=Role.OPERATOR)[1]])


def joins(link: str, name: str) -> Callable[[], int]:
    sent = {"username": name, "password1": "nine tall trees", "password2": "nine tall trees"}
    return lambda: Client().post(link, sent).status_code


def test_one_invitation_used_by_many_at_once_makes_exactly_one_account(link: str, team: Team) -> None:
    answers = at_once(*(joins(link, f"person-{number}") for number in range(AT_ONCE)))
    assert Counter(answers) == {302: 1, 404: AT_ONCE - 1}
    assert User.objects.filter(username__startswith="person-").count() == 1
    joined = Membership.objects.get(team=team, role=Role.OPERATOR)
    assert Invitation.objects.get().used_by == joined.user
    assert AuditRecord.objects.filter(action="join").count() == 1


def test_the_same_name_taken_at_once_through_several_links_is_one_account(team: Team, manager: User) -> None:
    links = [reverse("join", args=[invitations.invite(manager, team, role=Role.VIEWER)[1]]) for _ in range(4)]
    answers = at_once(*(joins(link, "hoa") for link in links))
    assert Counter(answers) == {302: 1, 422: 3}
    assert User.objects.filter(username="hoa").count() == 1
    assert Invitation.objects.filter(used_at=None).count() == 3


def test_two_links_used_at_once_by_one_person_are_one_membership(team: Team, manager: User) -> None:
    person, client = make_person(username="minh"), Client()
    client.force_login(person)
    links = [reverse("join", args=[invitations.invite(manager, team, role=Role.VIEWER)[1]]) for _ in range(4)]
    answers = at_once(*((lambda link=link: client.post(link).status_code) for link in links))
    assert answers == [302] * 4
    assert Membership.objects.filter(user=person, team=team).count() == 1
    assert Invitation.objects.filter(used_at=None).count() == 3


def test_a_link_revoked_while_it_is_used_is_either_revoked_or_used(link: str, team: Team, manager: User) -> None:
    client = Client()
    client.force_login(manager)
    revoke = reverse("invite_revoke", args=[Invitation.objects.get().pk])
    joined, _revoked = at_once(joins(link, "hoa"), lambda: client.post(revoke).status_code)
    invitation = Invitation.objects.get()
    assert (invitation.used_at is None) != (invitation.revoked_at is None)
    assert User.objects.filter(username="hoa").exists() is (joined == 302)


def acts(by: User, what: str, person: User, **sent: str) -> Callable[[], str]:
    """Press a button on the page of a person; return what is said."""
    client = Client()
    client.force_login(by)

    def post() -> str:
        answer = client.post(reverse(f"person_{what}", args=[person.pk]), sent)
        return " ".join(str(message) for message in get_messages(answer.wsgi_request))

    return post


@pytest.mark.parametrize(("what", "sent"), [("role", {"role": "operator"}), ("remove", {}), ("deactivate", {})])
def test_two_managers_who_end_each_other_at_once_leave_one(
    team: Team, manager: User, what: str, sent: dict[str, str]
) -> None:
    other = make_person(team, Role.MANAGER, username="other")
    at_once(acts(manager, what, other, **sent), acts(other, what, manager, **sent))
    left = Membership.objects.filter(team=team, role=Role.MANAGER, user__is_active=True)
    assert left.count() == 1


def test_the_last_manager_stays_however_many_admins_press_at_once(team: Team, manager: User) -> None:
    admins = [make_person(username=f"admin{number}", is_staff=True, team=team) for number in range(3)]
    ways: list[tuple[str, dict[str, str]]] = [("role", {"role": "viewer"}), ("remove", {}), ("deactivate", {})]
    said = at_once(*(acts(admin, what, manager, **sent) for admin, (what, sent) in zip(admins, ways, strict=True)))
    assert all("last manager" in sentence for sentence in said)
    manager.refresh_from_db()
    assert manager.is_active
    assert manager.memberships.get().role == Role.MANAGER


def test_one_code_of_an_authenticator_app_signs_in_one_of_many_at_once(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = make_person(team, username="minh")
    set_up = Client()
    sign_in(set_up, name="minh")
    secret = set_up_totp(set_up)
    monkeypatch.setattr(totp, "yield_hotp_counters_from_time", lambda: iter([1]))  # a period that does not end
    browsers = [Client() for _ in range(4)]
    for browser in browsers:
        sign_in(browser, name="minh")
    code = totp.format_hotp_value(totp.hotp_value(secret, 1))
    at_once(
        *((lambda browser=browser: browser.post(reverse("mfa_authenticate"), {"code": code})) for browser in browsers)
    )
    assert sorted(browser.get("/").status_code for browser in browsers) == [200, 302, 302, 302]
    assert AuditRecord.objects.filter(action="sign_in", person=person).count() == 2  # with that of the set-up
