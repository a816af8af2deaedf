"""Tokens and callback secrets are unreadable at rest, and are never shown by accident."""

import copy
import pickle

import pytest
from cryptography.fernet import Fernet
from django.core import serializers
from django.db import connection
from kombu.exceptions import EncodeError
from kombu.serialization import dumps
from pytest_django import Settings

from lib.encryption import Secret, decrypt, digest, encrypt
from rentals.models import CallbackAddress, Token

VALUE = "4321-0123456789abcdef0123456789abea57"


@pytest.fixture
def token() -> Token:
    return Token.objects.create(name="Main", value=VALUE)


def stored() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT value FROM rentals_token")
        return str(cursor.fetchone()[0])


@pytest.mark.django_db
def test_the_database_holds_the_token_encrypted_and_gives_it_back(token: Token) -> None:
    assert VALUE not in stored()
    assert VALUE[-8:] not in stored()
    assert Token.objects.get().value.reveal() == VALUE


@pytest.mark.django_db
def test_two_savings_of_one_token_look_different(token: Token) -> None:
    before = stored()
    token.save()
    assert stored() != before
    assert Token.objects.get().value.reveal() == VALUE


@pytest.mark.django_db
def test_white_space_around_a_pasted_token_is_dropped() -> None:
    assert Token.objects.create(name="Pasted", value=f"  {VALUE}\n").value.reveal() == VALUE


@pytest.mark.django_db
def test_the_digest_is_of_the_value(token: Token) -> None:
    assert token.value_digest == digest(VALUE)


@pytest.mark.django_db
def test_a_new_key_in_front_writes_itself_and_reads_what_the_old_one_wrote(token: Token, settings: Settings) -> None:
    old = list(settings.TOKEN_KEYS)
    new = Fernet.generate_key().decode()
    settings.TOKEN_KEYS = [new, *old]
    again = Token.objects.get()
    assert again.value.reveal() == VALUE
    again.save(update_fields=["value"])
    assert Fernet(new).decrypt(stored().encode()).decode() == VALUE
    settings.TOKEN_KEYS = [new]
    assert Token.objects.get().value.reveal() == VALUE


@pytest.mark.django_db
def test_without_its_key_a_token_is_empty_and_breaks_no_page(token: Token, settings: Settings) -> None:
    settings.TOKEN_KEYS = [Fernet.generate_key().decode()]
    lost = Token.objects.get()
    assert not lost.value
    assert str(lost.value) == "…"


@pytest.mark.django_db
def test_changing_another_field_without_the_key_keeps_value_and_digest(token: Token, settings: Settings) -> None:
    keys = list(settings.TOKEN_KEYS)
    settings.TOKEN_KEYS = [Fernet.generate_key().decode()]
    lost = Token.objects.get()
    lost.name = "Renamed"
    lost.save(update_fields=["name"])
    settings.TOKEN_KEYS = keys
    kept = Token.objects.get()
    assert (kept.name, kept.value.reveal(), kept.value_digest) == ("Renamed", VALUE, digest(VALUE))


@pytest.mark.django_db
@pytest.mark.parametrize("form", ["json", "xml", "jsonl"])
def test_a_dump_of_the_database_has_no_token(token: Token, form: str) -> None:
    CallbackAddress.issue(token)
    dump = serializers.serialize(form, [*Token.objects.all(), *CallbackAddress.objects.all()])
    assert VALUE not in dump
    assert CallbackAddress.objects.get().secret.reveal() not in dump


@pytest.mark.django_db
def test_a_callback_address_is_encrypted_and_found_by_its_digest(token: Token) -> None:
    address = CallbackAddress.issue(token)
    text = address.secret.reveal()
    with connection.cursor() as cursor:
        cursor.execute("SELECT secret FROM rentals_callbackaddress")
        assert text not in cursor.fetchone()[0]
    assert CallbackAddress.objects.get(secret_digest=digest(text)) == address
    assert text not in f"{address} {address!r}"


@pytest.mark.parametrize("shown", [str, repr, "{}".format, "{!r}".format, lambda secret: str([secret])])
def test_a_secret_shows_its_last_four_characters_alone(shown: object) -> None:
    assert "ea57" in shown(Secret(VALUE))  # type: ignore[operator]
    assert VALUE[-5:] not in shown(Secret(VALUE))  # type: ignore[operator]


def test_a_short_secret_shows_nothing() -> None:
    assert str(Secret("12345678901")) == "…"


def test_a_secret_is_never_pickled() -> None:
    with pytest.raises(TypeError, match="never pickled") as caught:
        pickle.dumps(Secret(VALUE))
    assert VALUE not in str(caught.value)


@pytest.mark.django_db
def test_a_row_with_a_secret_can_be_copied(token: Token) -> None:
    assert copy.deepcopy(token).value == copy.copy(token).value == token.value


def test_two_secrets_are_equal_where_their_texts_are() -> None:
    assert Secret("a" * 9) == Secret("a" * 9)
    assert Secret("a" * 9) != Secret("b" * 9)
    assert len({Secret("a" * 9), Secret("a" * 9)}) == 1


def test_encrypting_and_decrypting_is_exact_for_any_text() -> None:
    for text in ("", "0", "mật khẩu", "x" * 4000):
        assert decrypt(encrypt(text)) == text


def test_damaged_text_decrypts_to_nothing() -> None:
    assert decrypt("no fernet text") == ""


def test_no_celery_message_can_carry_a_secret() -> None:
    with pytest.raises(EncodeError):
        dumps({"value": Secret(VALUE)}, serializer="json")
