"""How allauth behaves here, adapter by adapter."""

import base64
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from cryptography.fernet import Fernet
from django.contrib.auth import authenticate
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.test import RequestFactory
from pytest_django import Settings

from accounts.allauth_adapters import ClosedSignup, OneCheck, RequiredTwoFactor, account_named
from accounts.models import Team, User
from lib import encryption

pytestmark = pytest.mark.django_db


def test_nobody_signs_up_without_an_invitation() -> None:
    assert not ClosedSignup().is_open_for_signup(RequestFactory().get("/"))


@pytest.mark.parametrize(
    "credentials", [{"username": "LINH"}, {"email": "Linh@Example.com"}, {"username": "", "email": "linh@example.com"}]
)
def test_the_account_that_was_typed_in_is_found_by_name_and_e_mail(linh: User, credentials: dict[str, str]) -> None:
    assert account_named(credentials) == linh


@pytest.mark.parametrize("credentials", [{}, {"username": ""}, {"username": "nobody"}, {"email": "no@example.com"}])
def test_what_is_no_account_is_none(linh: User, credentials: dict[str, str]) -> None:
    assert account_named(credentials) is None


# Two-factor secrets


def test_a_two_factor_secret_is_encrypted_with_the_keys_of_the_tokens() -> None:
    stored = RequiredTwoFactor().encrypt("JBSWY3DPEHPK3PXP")
    assert encryption.decrypt(stored) == RequiredTwoFactor().decrypt(stored) == "JBSWY3DPEHPK3PXP"


def test_a_secret_from_before_encryption_is_read_as_it_is() -> None:
    assert RequiredTwoFactor().decrypt("JBSWY3DPEHPK3PXP") == "JBSWY3DPEHPK3PXP"


def test_a_secret_whose_key_is_lost_becomes_a_random_one(settings: Settings) -> None:
    stored = RequiredTwoFactor().encrypt("JBSWY3DPEHPK3PXP")
    settings.TOKEN_KEYS = [Fernet.generate_key().decode()]
    secrets = {RequiredTwoFactor().decrypt(stored) for _ in range(2)}
    assert len(secrets) == 2
    assert all(len(base64.b32decode(secret)) == 20 for secret in secrets)


def test_only_the_last_method_of_a_person_whose_team_requires_one_is_kept(linh: User, team: Team) -> None:
    app = Authenticator.objects.create(user=linh, type=Authenticator.Type.TOTP, data={})
    passkey = Authenticator.objects.create(user=linh, type=Authenticator.Type.WEBAUTHN, data={})
    assert RequiredTwoFactor().can_delete_authenticator(app)
    Team.objects.update(requires_second_step=True)
    assert RequiredTwoFactor().can_delete_authenticator(app)
    passkey.delete()
    assert not RequiredTwoFactor().can_delete_authenticator(app)


# Passwords


@pytest.mark.parametrize("login", ["linh@example.com", "no@example.com", "linh", "nobody"])
def test_a_wrong_password_is_hashed_once_whether_the_account_exists_or_not(
    linh: User, settings: Settings, monkeypatch: pytest.MonkeyPatch, login: str
) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher"]
    monkeypatch.setattr(PBKDF2PasswordHasher, "iterations", 1000)  # a thousandth of the time: hashes are counted here
    linh.set_password("nine tall trees")
    linh.save()
    hashed: list[str] = []
    encode = PBKDF2PasswordHasher.encode

    def counted(self: PBKDF2PasswordHasher, password: str, *args: Any) -> str:
        hashed.append(password)
        return encode(self, password, *args)

    monkeypatch.setattr(PBKDF2PasswordHasher, "encode", counted)
    # An e-mail comes as both, as allauth's sign-in form sends it.
    credentials = {"username": login, **({"email": login} if "@" in login else {})}
    assert OneCheck().authenticate(RequestFactory().post("/"), password="wrong", **credentials) is None
    assert hashed == ["wrong"]


def test_the_right_password_signs_in_by_name_and_by_e_mail(linh: User) -> None:
    for login in ({"username": "linh"}, {"email": "linh@example.com"}):
        assert authenticate(RequestFactory().post("/"), password="secret-enough", **login) == linh
