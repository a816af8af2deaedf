"""Text that is encrypted at rest, with keys of its own so that SECRET_KEY can be replaced freely."""

import hashlib
from functools import lru_cache
from typing import Any, NoReturn, Self

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import models


class Secret:
    """A secret text. It shows itself as `…ea57`; only `reveal()` gives the text.

    `thuesim.Secret` does the same for the client, which may not import ours; equality and truth are needed here alone.
    One from the database is decrypted when it is first asked for: most pages read a row for its other columns.
    """

    __slots__ = ("_stored", "_text_or_none")

    def __init__(self, text: str | None, *, stored: str = "") -> None:
        self._text_or_none, self._stored = text, stored

    @property
    def _text(self) -> str:
        if self._text_or_none is None:
            self._text_or_none = decrypt(self._stored)
        return self._text_or_none

    def reveal(self) -> str:
        return self._text

    def __str__(self) -> str:
        return f"…{self._text[-4:]}" if len(self._text) >= 12 else "…"

    __repr__ = __str__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __bool__(self) -> bool:
        return (
            _is_readable(tuple(settings.TOKEN_KEYS), self._stored) if self._text_or_none is None else bool(self._text)
        )

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is never pickled")

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self


def digest(text: str) -> str:
    """Return SHA-256 in hex: finds a secret again, or notices that it is there already, without keeping it readable."""
    return hashlib.sha256(text.encode()).hexdigest()


@lru_cache
def _fernet(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


def encrypt(text: str) -> str:
    """Encrypt with the first of `DESK_SECRET_KEYS`."""
    return _fernet(tuple(settings.TOKEN_KEYS)).encrypt(text.encode()).decode()


def decrypt(stored: str) -> str:
    """Decrypt with the key of `DESK_SECRET_KEYS` that fits; "" where none does, so that a lost key breaks no page."""
    try:
        return _fernet(tuple(settings.TOKEN_KEYS)).decrypt(stored.encode()).decode()
    except InvalidToken:
        return ""


@lru_cache(maxsize=2000)
def _is_readable(keys: tuple[str, ...], stored: str) -> bool:
    """Whether one of the keys decrypts it, to a text. Remembered, unlike the text: a desk asks it of each token again."""
    return bool(decrypt(stored))


def is_encrypted(stored: str) -> bool:
    """Whether this is a Fernet text: all of them begin with the same version byte."""
    return stored.startswith("gAAAA")


def newly_encrypted(stored: str) -> str | None:
    """Return the same text encrypted with the first of `DESK_SECRET_KEYS`; None where it is already.

    Raises `KeyLost` where no key fits.
    """
    newest, *_others = settings.TOKEN_KEYS
    try:
        Fernet(newest).decrypt(stored.encode())
    except InvalidToken:
        try:
            return _fernet(tuple(settings.TOKEN_KEYS)).rotate(stored.encode()).decode()
        except InvalidToken:
            raise KeyLost from None
    return None


class KeyLost(Exception):
    """None of `DESK_SECRET_KEYS` decrypts a stored text."""


class EncryptedField(models.TextField[Any, Any]):
    """A `Secret` in Python, a Fernet text in the database."""

    def from_db_value(self, value: str | None, expression: object, connection: object) -> Secret | None:
        return None if value is None else Secret(None if value else "", stored=value)

    def to_python(self, value: Any) -> Any:
        return Secret(value) if isinstance(value, str) else value

    def get_prep_value(self, value: Any) -> str | None:
        if value is None:
            return None
        text = value.reveal() if isinstance(value, Secret) else str(value)
        return encrypt(text) if text else ""

    def value_to_string(self, obj: models.Model) -> str:
        return ""  # a fixture or a dump never carries the secret
