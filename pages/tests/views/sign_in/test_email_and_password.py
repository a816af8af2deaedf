"""Changing an e-mail address and a password: an address is proved before it counts, and its owner hears of every change."""

import re

import pytest
from allauth.account.models import EmailAddress
from django.test import Client, TestCase
from django.urls import reverse
from pytest_django import Settings

from accounts.memberships import NotDone
from accounts.models import AuditRecord, Role, Team, User
from accounts.sign_in import email_change
from accounts.tests.mailbox import sent
from accounts.tests.test_audit_signals import passkey, set_up_totp, sign_in
from rentals.tests.factories import make_person

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]
DUMMY = "django.core.mail.backends.dummy.EmailBackend"
PAGE = "/accounts/email/"


@pytest.fixture(autouse=True)
def _own_address(settings: Settings) -> None:
    settings.PUBLIC_URL = "http://testserver"


@pytest.fixture
def linh(team: Team) -> User:
    return make_person(team, username="linh", email="linh@example.com", language="en")


@pytest.fixture
def client_of_linh(linh: User) -> Client:
    client = Client()
    sign_in(client)
    return client


def prove(client: Client, password: str = "secret-enough") -> None:
    client.post(reverse("account_reauthenticate"), {"password": password})


def ask(client: Client, email: str = "new@example.com") -> str:
    """Ask for another address; return the link that was sent there."""
    prove(client)
    assert client.post(PAGE, {"email": email})["Location"] == PAGE
    [message] = [message for message in sent() if message.to == [email]]
    link = re.search(r"http://testserver(/accounts/confirm-email/\S+)", str(message.body))
    assert link is not None
    return link[1]


def email_of(person: User) -> str:
    return User.objects.get(pk=person.pk).email


# Before: a signed-in person made an unverified address primary, without password or record, also another person's.


def test_no_address_becomes_primary_without_its_link(client_of_linh: Client, linh: User, team: Team) -> None:
    make_person(team, username="minh", email="minh@example.com")
    prove(client_of_linh)
    for email in ("linh@example.com", "minh@example.com", "evil@example.com"):
        for action in ("action_add", "action_primary", "action_send", "action_remove"):
            client_of_linh.post(PAGE, {"email": email, action: ""})
    assert email_of(linh) == "linh@example.com"
    assert not EmailAddress.objects.exclude(email="linh@example.com").exists()


def test_the_password_is_asked_for_again(client_of_linh: Client) -> None:
    for answer in (client_of_linh.get(PAGE), client_of_linh.post(PAGE, {"email": "new@example.com"})):
        assert answer["Location"].startswith(reverse("account_reauthenticate"))
    assert sent() == []


@pytest.mark.database
def test_the_link_changes_the_address_records_it_and_tells_the_old_one(client_of_linh: Client, linh: User) -> None:
    link = ask(client_of_linh)
    assert email_of(linh) == "linh@example.com"
    assert client_of_linh.get(link).status_code == 200  # as a mail program does
    assert email_of(linh) == "linh@example.com"
    with TestCase.captureOnCommitCallbacks(execute=True):
        client_of_linh.post(link)
    assert email_of(linh) == "new@example.com"
    assert list(EmailAddress.objects.values_list("email", "verified", "primary")) == [("new@example.com", True, True)]
    record = AuditRecord.objects.get(action="email_changed")
    assert (record.person, record.detail) == (linh, {"email": ["linh@example.com", "new@example.com"]})
    [notice] = [message for message in sent() if message.to == ["linh@example.com"]]
    assert notice.subject == "E-mail address changed: your account at ThueSim Desk"
    assert sign_in(Client(), name="new@example.com") == "/"
    assert client_of_linh.get(link).status_code == 404


def test_of_two_links_that_are_followed_at_once_one_counts(linh: User) -> None:
    first, second = (email_change.Change(linh, linh.email, email) for email in ("one@example.com", "two@example.com"))
    email_change.confirm(first)
    with pytest.raises(NotDone):
        email_change.confirm(second)
    assert email_of(linh) == EmailAddress.objects.get(user=linh).email == "one@example.com"


@pytest.mark.database
def test_an_address_belongs_to_one_account_in_whatever_case(client_of_linh: Client, linh: User, team: Team) -> None:
    make_person(team, username="minh", email="Minh@Example.com")
    prove(client_of_linh)
    answer = client_of_linh.post(PAGE, {"email": "minh@example.COM"})
    assert answer.status_code == 422
    assert "Another person has this e-mail already. Choose another one." in answer.content.decode()
    assert sent() == []


def test_an_address_that_another_account_took_meanwhile_is_refused(
    client_of_linh: Client, linh: User, team: Team
) -> None:
    link = ask(client_of_linh)
    make_person(team, username="minh", email="New@example.com")
    page = client_of_linh.post(link, follow=True).content.decode()
    assert "Another person has this e-mail already. Choose another one." in page
    assert email_of(linh) == "linh@example.com"


def test_a_link_is_for_the_account_that_asked_for_it(client_of_linh: Client, linh: User, team: Team) -> None:
    link = ask(client_of_linh)
    make_person(team, username="minh")
    minh = Client()
    sign_in(minh, name="minh")
    assert minh.post(link).status_code == 404
    assert Client().post(link)["Location"].startswith(reverse("account_login"))
    assert email_of(linh) == "linh@example.com"


@pytest.mark.parametrize("column", ["email", "password"])
def test_a_link_ends_when_the_address_or_the_password_changes(client_of_linh: Client, linh: User, column: str) -> None:
    link = ask(client_of_linh)
    linh.set_password("nine tall trees") if column == "password" else setattr(linh, "email", "third@example.com")
    linh.save()
    client = Client()
    client.force_login(linh)
    assert client.post(link).status_code == 404


def test_a_link_is_over_after_a_day(client_of_linh: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    link = ask(client_of_linh)
    monkeypatch.setattr("accounts.sign_in.email_change.LINK_SECONDS", -1)
    assert client_of_linh.post(link).status_code == 404


@pytest.mark.parametrize("key", ["wrong", "a:b:c", "W10:1uXyZ:abc"])
def test_gibberish_is_no_link(client_of_linh: Client, key: str) -> None:
    assert client_of_linh.get(reverse("account_confirm_email", args=[key])).status_code == 404


def test_without_an_address_of_its_own_the_desk_sends_no_links(
    client_of_linh: Client, linh: User, settings: Settings
) -> None:
    settings.PUBLIC_URL = ""
    prove(client_of_linh)
    assert client_of_linh.get(PAGE).status_code == 404
    stranger = Client(headers={"host": "localhost:6666", "accept-language": "en"})
    page = stranger.post(reverse("account_reset_password"), {"email": "linh@example.com"})
    assert "Ask a manager of your team" in page.content.decode()
    assert sent() == []


@pytest.mark.parametrize("name", ["account_signup", "account_email_verification_sent", "account_confirm_login_code"])
def test_the_pages_that_have_no_use_here_are_closed(client_of_linh: Client, name: str) -> None:
    for client in (Client(), client_of_linh):
        assert client.get(reverse(name)).status_code == 404
        assert client.post(reverse(name)).status_code == 404


# Who hears of what


def subjects(to: str = "linh@example.com") -> list[str]:
    return [message.subject.partition(":")[0] for message in sent() if message.to == [to]]


def test_a_changed_password_is_told(client_of_linh: Client, linh: User) -> None:
    new = {"oldpassword": "secret-enough", "password1": "nine tall trees", "password2": "nine tall trees"}
    with TestCase.captureOnCommitCallbacks(execute=True):
        client_of_linh.post(reverse("account_change_password"), new, REMOTE_ADDR="203.0.113.7")
    assert subjects() == ["Password changed"]
    assert "203.0.113.7" in str(sent()[0].body)
    assert "nine tall trees" not in str(sent()[0].body)


def test_changes_of_two_factor_authentication_are_told(client_of_linh: Client, linh: User) -> None:
    with TestCase.captureOnCommitCallbacks(execute=True):
        set_up_totp(client_of_linh)
    assert {"Two-factor method added", "Recovery codes generated"} <= set(subjects())
    with TestCase.captureOnCommitCallbacks(execute=True):
        client_of_linh.post(reverse("mfa_deactivate_totp"))
    assert "Two-factor method removed" in subjects()


def test_what_a_manager_does_is_told_with_their_name(linh: User, team: Team) -> None:
    manager = make_person(team, Role.MANAGER, username="boss")
    passkey(linh, "Laptop")
    client = Client()
    client.force_login(manager)
    with TestCase.captureOnCommitCallbacks(execute=True):
        client.post(reverse("person_two_factor", args=[linh.pk]))
    assert subjects() == ["Two-factor authentication reset"]
    assert "by boss" in str(sent()[0].body)


def test_the_owner_hears_that_an_admin_changed_their_address_or_password(linh: User) -> None:
    admin = make_person(username="root", is_staff=True, is_superuser=True)
    client = Client()
    client.force_login(admin)
    with TestCase.captureOnCommitCallbacks(execute=True):
        answer = client.post(
            reverse("admin:accounts_user_change", args=[linh.pk]),
            {
                "username": "linh", "email": "other@example.com", "is_active": "on", "language": "en",
                "memberships-TOTAL_FORMS": 0, "memberships-INITIAL_FORMS": 0,
                "date_joined_0": "2026-01-01", "date_joined_1": "00:00:00",
            },
        )  # fmt: skip
        assert answer.status_code == 302
        page = reverse("admin:auth_user_password_change", args=[linh.pk])
        client.post(page, {"password1": "nine tall trees", "password2": "nine tall trees", "usable_password": "true"})
    assert subjects() == ["E-mail address changed"]
    assert subjects("other@example.com") == ["Password changed"]


def test_nobody_is_told_without_e_mail(client_of_linh: Client, linh: User, settings: Settings) -> None:
    settings.EMAIL_BACKEND = DUMMY
    with TestCase.captureOnCommitCallbacks(execute=True):
        set_up_totp(client_of_linh)
    assert AuditRecord.objects.filter(action="second_step_added", person=linh).exists()
    assert sent() == []
