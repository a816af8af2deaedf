"""A new key in front of DESK_SECRET_KEYS, one command, and the old key is needed no more."""

import io
import json
from typing import Any

import pytest
from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, hotp_value, yield_hotp_counters_from_time
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.db import connection
from pytest_django import DjangoAssertNumQueries, Settings

from lib import key_rotation
from lib.encryption import Secret, newly_encrypted
from lib.key_rotation import rotate_keys
from rentals.models import CallbackAddress, Token
from rentals.tests.factories import make_person, make_token

pytestmark = pytest.mark.django_db

TOTP_SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


@pytest.fixture
def new_key(settings: Settings) -> str:
    """Put a new key in front of the one that everything was written with."""
    key = Fernet.generate_key().decode()
    settings.TOKEN_KEYS = [key, *settings.TOKEN_KEYS]
    return key


def stored(model: Any, column: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {column} FROM {model._meta.db_table} ORDER BY id")
        return [str(row[0]) for row in cursor.fetchall()]


def reads(key: str, text: str) -> str:
    return Fernet(key).decrypt(text.encode()).decode()


def current_code(secret: str) -> str:
    return str(format_hotp_value(hotp_value(secret, next(yield_hotp_counters_from_time()))))


@pytest.fixture
def token() -> Token:
    return make_token(value="4321-0123456789abcdef0123456789abea57")


@pytest.fixture
def address(token: Token) -> CallbackAddress:
    return CallbackAddress.issue(token)


@pytest.fixture
def authenticator() -> Authenticator:
    return TOTP.activate(make_person(), TOTP_SECRET).instance


def test_every_secret_is_read_with_the_new_key_alone(
    token: Token, address: CallbackAddress, authenticator: Authenticator, new_key: str, settings: Settings
) -> None:
    assert TOTP_SECRET not in str(authenticator.data)
    done = rotate_keys()
    assert (done.renewed, done.current, done.lost) == (3, 0, [])
    settings.TOKEN_KEYS = [new_key]
    assert Token.objects.get().value == token.value
    assert CallbackAddress.objects.get().secret == address.secret
    assert TOTP(Authenticator.objects.get()).validate_code(current_code(TOTP_SECRET))


def test_a_second_run_writes_nothing(token: Token, authenticator: Authenticator, new_key: str) -> None:
    rotate_keys()
    before = stored(Token, "value"), stored(Authenticator, "data")
    done = rotate_keys()
    assert (done.renewed, done.current) == (0, 2)
    assert (stored(Token, "value"), stored(Authenticator, "data")) == before


def test_what_is_replaced_meanwhile_is_not_overwritten(
    token: Token, new_key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = Secret("9-" + "9" * 32)

    def replaced_first(text: str) -> str | None:
        Token.objects.filter(pk=token.pk).update(value=newer)
        return newly_encrypted(text)

    monkeypatch.setattr(key_rotation, "newly_encrypted", replaced_first)
    assert rotate_keys().renewed == 0
    assert Token.objects.get().value == newer
    assert reads(new_key, stored(Token, "value")[0]) == newer.reveal()


def test_an_authenticator_that_is_used_meanwhile_is_not_undone(
    authenticator: Authenticator, new_key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def used_first(text: str) -> str | None:
        Authenticator.objects.update(data={**authenticator.data, "used": True})
        return newly_encrypted(text)

    monkeypatch.setattr(key_rotation, "newly_encrypted", used_first)
    assert rotate_keys().renewed == 0
    assert Authenticator.objects.get().data["used"] is True


def test_many_are_done_in_batches(settings: Settings, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    for _ in range(7):
        make_token()
    settings.TOKEN_KEYS = [Fernet.generate_key().decode(), *settings.TOKEN_KEYS]
    # Three batches and the empty one for tokens, one each for addresses, authenticators and the three fields of
    # destinations, one update per token.
    with django_assert_num_queries(4 + 1 + 1 + 3 + 7):
        assert rotate_keys(batch=3).renewed == 7
    assert all(newly_encrypted(text) is None for text in stored(Token, "value"))


def test_an_authenticator_from_before_encryption_works_and_is_encrypted(authenticator: Authenticator) -> None:
    Authenticator.objects.update(data={"secret": TOTP_SECRET})
    assert TOTP(Authenticator.objects.get()).validate_code(current_code(TOTP_SECRET))
    rotate_keys()
    assert TOTP_SECRET not in stored(Authenticator, "data")[0]
    assert get_adapter().decrypt(json.loads(stored(Authenticator, "data")[0])["secret"]) == TOTP_SECRET


def test_an_authenticator_whose_key_is_lost_lets_nobody_in(authenticator: Authenticator, settings: Settings) -> None:
    settings.TOKEN_KEYS = [Fernet.generate_key().decode()]
    for secret in ("", TOTP_SECRET):
        assert not TOTP(Authenticator.objects.get()).validate_code(current_code(secret))


def test_the_command_says_what_it_did(token: Token, new_key: str) -> None:
    output = io.StringIO()
    call_command("rotate_keys", stdout=output)
    assert "1 secrets encrypted with the newest key; 0 were already." in output.getvalue()
    assert "needed no more" in output.getvalue()


def test_the_command_fails_where_a_key_is_missing_and_does_the_others(token: Token, settings: Settings) -> None:
    old = list(settings.TOKEN_KEYS)
    settings.TOKEN_KEYS = [Fernet.generate_key().decode()]
    kept = make_token(value="7-" + "7" * 32)
    output = io.StringIO()
    with pytest.raises(CommandError, match=rf"token {token.pk}\b"):
        call_command("rotate_keys", stdout=output)
    assert "needed no more" not in output.getvalue()
    assert Token.objects.get(pk=kept.pk).value.reveal() == "7-" + "7" * 32
    settings.TOKEN_KEYS = [*settings.TOKEN_KEYS, *old]
    call_command("rotate_keys", stdout=output)
    assert "needed no more" in output.getvalue()
