"""Joining a team by a link: once, in time, and only while its inviter may invite."""

from datetime import timedelta

import pytest
import time_machine
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import invitations
from accounts.memberships import NotDone
from accounts.models import AuditRecord, Invitation, Membership, Role, Team, User
from pages.tests.markup import Element, html, parse
from rentals.tests.factories import make_person, make_team

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]

NEW = {
    "username": "hoa",
    "first_name": "Hoa",
    "email": "",
    "password1": "nine tall trees",
    "password2": "nine tall trees",
}


@pytest.fixture
def secret(team: Team, manager: User) -> str:
    return invitations.invite(manager, team, role=Role.OPERATOR, note="Hoa")[1]


def join(secret: str, client: Client | None = None, **over: str) -> int:
    return (client or Client()).post(reverse("join", args=[secret]), {**NEW, **over}).status_code


def test_a_manager_makes_a_link_and_sees_it_once(manager: User, team: Team) -> None:
    client = Client()
    client.force_login(manager)
    page = client.post(reverse("invite"), {"role": "viewer", "days": 7, "note": "Hoa"}).content.decode()
    secret = page.split("/join/")[1].split("/")[0]
    invitation = Invitation.objects.get()
    assert invitations.find(secret) == invitation
    assert (invitation.team, invitation.role, invitation.invited_by) == (team, Role.VIEWER, manager)
    assert secret not in client.get(reverse("team")).content.decode()
    assert AuditRecord.objects.filter(action="invite", person=manager, team=team).exists()
    assert secret not in str(list(AuditRecord.objects.values()))


def test_a_new_person_joins_and_is_signed_in(secret: str, team: Team, manager: User) -> None:
    client = Client()
    assert join(secret, client) == 302
    person = User.objects.get(username="hoa")
    assert client.get("/").status_code == 200
    assert Membership.objects.get(user=person).role == Role.OPERATOR
    assert (person.is_staff, person.is_superuser) == (False, False)
    record = AuditRecord.objects.get(action="join")
    assert (record.person, record.team) == (person, team)


def test_a_link_lets_one_person_in(secret: str) -> None:
    assert join(secret) == 302
    assert join(secret, username="minh") == 404
    assert Client().get(reverse("join", args=[secret])).status_code == 404
    assert not User.objects.filter(username="minh").exists()


def test_a_link_expires(secret: str) -> None:
    with time_machine.travel(timezone.now() + timedelta(days=3, seconds=1)):
        assert join(secret) == 404


def test_a_revoked_link_lets_nobody_in(secret: str, manager: User) -> None:
    client = Client()
    client.force_login(manager)
    client.post(reverse("invite_revoke", args=[Invitation.objects.get().pk]))
    assert join(secret) == 404
    assert AuditRecord.objects.filter(action="invite_withdrawn").exists()


def test_the_links_of_a_deactivated_person_let_nobody_in(secret: str, manager: User) -> None:
    User.objects.filter(pk=manager.pk).update(is_active=False)
    assert join(secret) == 404


def test_somebody_with_an_account_joins_with_it(secret: str, team: Team) -> None:
    person = make_person(make_team("Sales"), username="minh")
    client = Client()
    client.force_login(person)
    assert b"Support" in client.get(reverse("join", args=[secret])).content
    assert join(secret, client) == 302
    person.refresh_from_db()
    assert person.team == team
    assert person.memberships.count() == 2
    assert not User.objects.filter(username="hoa").exists()


def test_a_member_does_not_use_a_link_up(secret: str, manager: User) -> None:
    client = Client()
    client.force_login(manager)
    join(secret, client)
    assert Membership.objects.get(user=manager).role == Role.MANAGER
    assert join(secret) == 302


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("username", "BOSS"),
        ("password1", "short"),
        ("password1", "password1234"),
        ("password2", "something else"),
        ("email", "boss@example.com"),
        ("email", "no address"),
    ],
)
def test_what_is_wrong_is_said_and_uses_nothing_up(secret: str, manager: User, field: str, value: str) -> None:
    User.objects.filter(pk=manager.pk).update(email="Boss@example.com")
    assert Client().post(reverse("join", args=[secret]), {**NEW, field: value}).status_code == 422
    assert not User.objects.filter(username="hoa").exists()
    assert join(secret) == 302


@pytest.mark.parametrize(
    ("language", "sentence"), [("en", "This password is too short."), ("vi", "Mật khẩu quá ngắn.")]
)
def test_a_short_password_is_told_and_focused_where_it_is_typed_first(
    secret: str, language: str, sentence: str
) -> None:
    sent = {**NEW, "password1": "short", "password2": "short"}
    answer = Client().post(reverse("join", args=[secret]), sent, headers={"accept-language": language})
    page = parse(html(answer))
    assert page.find(id="id_password1_error").text.startswith(sentence)
    assert page.find_all(id="id_password2_error") == []
    assert [field["name"] for field in page.find_all("input") if "autofocus" in field] == ["password1"]
    assert page.find("input", name="password1")["aria-invalid"] == "true"


@pytest.mark.parametrize(
    ("field", "value", "focused"),
    [
        ("username", "BOSS", "username"),
        ("email", "no address", "email"),
        ("password2", "something else", "password1"),  # both are typed anew
    ],
)
def test_the_first_field_to_mend_has_the_focus(
    secret: str, manager: User, field: str, value: str, focused: str
) -> None:
    page = parse(html(Client().post(reverse("join", args=[secret]), {**NEW, field: value})))
    assert [item["name"] for item in page.find_all("input") if "autofocus" in item] == [focused]


@pytest.mark.database
def test_a_link_is_used_once_also_when_two_come_at_once(secret: str) -> None:
    invitation = invitations.find(secret)
    assert invitation is not None
    invitations.accept(invitation, make_person())
    with pytest.raises(NotDone):
        invitations.accept(invitation, make_person())
    assert Membership.objects.filter(team=invitation.team, role=Role.OPERATOR).count() == 1


@pytest.mark.parametrize(
    ("note", "name", "email"),
    [
        ("Hoa", "Hoa", ""),
        ("Hoa Vũ <hoa@example.com>", "Hoa Vũ", "hoa@example.com"),
        ("hoa@example.com", "", "hoa@example.com"),
        ("Hoa Vũ, hoa@example.com", "Hoa Vũ", "hoa@example.com"),
        ("(hoa@example.com) Hoa", "Hoa", "hoa@example.com"),
        ("Hoa @ QA", "Hoa @ QA", ""),
        ("", "", ""),
        ("@", "@", ""),
    ],
)
def test_name_and_e_mail_are_told_apart_in_the_note(note: str, name: str, email: str) -> None:
    assert invitations.name_and_email(note) == (name, email)


def invited(manager: User, team: Team, note: str, client: Client | None = None) -> Element:
    """The page that the invited person opens."""
    secret = invitations.invite(manager, team, role=Role.OPERATOR, note=note)[1]
    return parse(html((client or Client()).get(reverse("join", args=[secret]), headers={"accept-language": "en"})))


def test_the_invited_person_sees_for_whom_it_is_and_finds_it_filled_in(manager: User, team: Team) -> None:
    page = invited(manager, team, "Hoa Vũ <hoa@example.com>")
    assert "This invitation is for Hoa Vũ <hoa@example.com>." in page.find("p", data_testid="for-whom").text
    assert page.find(id="id_first_name")["value"] == "Hoa Vũ"
    assert page.find(id="id_email")["value"] == "hoa@example.com"
    assert "value" not in page.find(id="id_username")


def test_a_person_with_an_account_sees_for_whom_it_is_too(manager: User, team: Team) -> None:
    client = Client()
    client.force_login(make_person(make_team("Elsewhere"), language="en"))
    assert "for Hoa." in invited(manager, team, "Hoa", client).find("p", data_testid="for-whom").text


def test_an_invitation_for_nobody_in_particular_says_nothing(manager: User, team: Team) -> None:
    page = invited(manager, team, "")
    assert page.find_all(data_testid="for-whom") == []
    assert "value" not in page.find(id="id_first_name")


def test_what_is_typed_instead_counts_and_the_log_keeps_for_whom_it_was(secret: str) -> None:
    join(secret, first_name="Hoà", email="other@example.com")
    person = User.objects.get(username="hoa")
    assert (person.first_name, person.email) == ("Hoà", "other@example.com")
    assert AuditRecord.objects.get(action="join").detail["for"] == "Hoa"


def test_open_invitations_say_for_whom_they_are(secret: str, manager: User) -> None:
    client = Client()
    client.force_login(manager)
    page = parse(html(client.get(reverse("team"))))
    assert "Hoa" in page.find("ul", **{"class": "invitations"}).text
    note = page.find(id="id_note")
    assert "finds it filled in" in page.find(id=note["aria-describedby"]).text
