"""With passwords off the provider is the only way in, but for a link that is made on the machine."""

import logging
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
import time_machine
from django.core import mail as outbox_of_mail
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts import mail
from accounts.audit import Action
from accounts.memberships import NotDone, password_link
from accounts.models import AuditRecord, Role, Team, User
from accounts.policy import access_for
from accounts.single_sign_on import break_glass
from accounts.tests.single_sign_on.fake_provider import FakeProvider
from accounts.tests.single_sign_on.test_sign_in import signed_in_person
from rentals.tests.factories import make_person

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]


@pytest.fixture
def off(company: FakeProvider, settings: Settings) -> None:
    settings.PASSWORDS = False
    settings.MFA_PASSKEY_LOGIN_ENABLED = False


@pytest.fixture
def root() -> User:
    return make_person(username="root", email="root@example.com", is_staff=True, is_superuser=True)


def secret_of(person: str) -> str:
    out = StringIO()
    call_command("break_glass", person, stdout=out)
    return out.getvalue().strip()


def test_the_form_is_gone_and_the_right_password_opens_nothing(off: None, team: Team) -> None:
    make_person(team, username="linh")
    client = Client()
    page = client.get("/accounts/login/").content.decode()
    assert 'name="password"' not in page
    assert "passkey_login" not in page
    assert "Sign in with Company" in page
    response = client.post("/accounts/login/", {"login": "linh", "password": "secret-enough"})
    assert "Passwords are switched off" in response.content.decode()
    assert signed_in_person(client) is None


@pytest.mark.parametrize(
    "address",
    [
        "/accounts/password/reset/",
        "/accounts/password/reset/done/",
        "/accounts/password/reset/key/1-abc/",
        "/accounts/password/change/",
        "/accounts/password/set/",
        "/accounts/2fa/webauthn/login/",
    ],
)
def test_every_page_about_passwords_is_closed(off: None, team: Team, address: str) -> None:
    client = Client()
    client.force_login(make_person(team))
    for visitor in (client, Client()):
        response = visitor.get(address)
        assert response.status_code == 404 or response.headers["Location"].startswith("/accounts/login/")
        response = visitor.post(
            address, {"password1": "long-enough-1", "password2": "long-enough-1", "email": "a@b.vn"}
        )
        assert response.status_code == 404 or response.headers["Location"].startswith("/accounts/login/")


def test_the_administration_neither_sets_a_password_nor_asks_for_one(off: None, root: User, team: Team) -> None:
    person = make_person(team, username="linh")
    client = Client()
    client.force_login(root)
    page = f"/admin/accounts/user/{person.pk}/"
    assert client.get(f"{page}password/").status_code == 404
    sent = {"password1": "long-enough-1", "password2": "long-enough-1", "usable_password": "true"}
    assert client.post(f"{page}password/", sent).status_code == 404
    assert "password/" not in client.get(page).content.decode()
    assert "password1" not in client.get("/admin/accounts/user/add/").content.decode()
    client.post("/admin/accounts/user/add/", {"username": "lan", "email": "lan@example.com"})
    lan = User.objects.get(username="lan", email="lan@example.com")
    assert not lan.has_usable_password()
    assert lan.password.startswith("!")


def test_the_account_speaks_of_the_provider_in_place_of_a_password(off: None, team: Team) -> None:
    client = Client()
    client.force_login(make_person(team))
    page = client.get("/account/").content.decode()
    assert "stolen password" not in page
    assert "after you sign in at your provider" in page
    assert "change your password at your provider" in page


def test_a_manager_makes_no_link_for_a_password(off: None, team: Team, manager: User) -> None:
    person = make_person(team)
    with pytest.raises(NotDone, match="switched off"):
        password_link(manager, access_for(manager), person)


def test_the_page_of_the_account_asks_for_no_password(off: None, team: Team) -> None:
    client = Client()
    client.force_login(make_person(team))
    page = client.get("/account/").content.decode()
    assert "/accounts/password/change/" not in page
    assert client.get("/accounts/2fa/totp/activate/").status_code == 200  # asks for none first


@pytest.mark.database
def test_an_emergency_link_signs_an_admin_in_once_loudly(
    off: None,
    root: User,
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
    django_capture_on_commit_callbacks: Any,
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    with django_capture_on_commit_callbacks(execute=True):
        link = secret_of("Root@example.com")
    path = link.removeprefix("http://127.0.0.1:8000")
    client = Client()
    assert "root" in client.get(path).content.decode()
    assert signed_in_person(client) is None  # a preview of the link uses nothing up
    with django_capture_on_commit_callbacks(execute=True):
        assert client.post(path).headers["Location"] == "/"
    assert signed_in_person(client) == root
    assert client.get("/admin/").status_code == 200
    assert Client().post(path).status_code == 404
    actions = list(AuditRecord.objects.order_by("pk").values_list("action", flat=True))
    assert actions == [Action.BREAK_GLASS_LINK, Action.BREAK_GLASS_USED, Action.SIGN_IN]
    assert [r.levelno for r in caplog.records if "emergency" in r.getMessage()] == [logging.WARNING] * 2
    mail.sender.submit(lambda: None).result()
    assert [message.to for message in outbox_of_mail.outbox] == [["root@example.com"]] * 2
    assert path.rpartition("break-glass/")[2].rstrip("/") not in caplog.text


def test_an_emergency_link_ends_by_time_by_another_sign_in_and_with_the_admins_rights(off: None, root: User) -> None:
    with time_machine.travel(timezone.now() - timedelta(minutes=11), tick=False):
        old = break_glass.make_secret(root)
    assert break_glass.find(old) is None
    secret = break_glass.make_secret(root)
    assert break_glass.find(secret) == root
    assert break_glass.find(secret + "x") is None
    stale = User.objects.get(pk=root.pk)
    assert break_glass.use(root)
    assert not break_glass.use(stale)  # two at once
    assert break_glass.find(secret) is None
    fresh = break_glass.make_secret(User.objects.get(pk=root.pk))
    User.objects.update(is_staff=False)
    assert break_glass.find(fresh) is None


@pytest.mark.database
def test_an_emergency_link_is_for_active_admins_alone(off: None, team: Team, root: User) -> None:
    make_person(team, Role.MANAGER, username="boss", email="boss@example.com")
    User.objects.filter(pk=root.pk).update(is_active=False)
    for name in ("boss@example.com", "root", "nobody"):
        with pytest.raises(CommandError, match="no active admin"):
            secret_of(name)
