"""Encrypt everything that is encrypted with the newest key: token values, callback secrets, two-factor secrets.

Row by row, each by a conditional update on the text that was read: a value that an admin replaces meanwhile stays, as it is
encrypted with the newest key already. So it may run at any time, twice and at once. The next run finishes one that
was cut short.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from allauth.mfa.models import Authenticator
from django.apps import apps
from django.db.models import JSONField, Model, QuerySet, TextField, Value
from django.db.models.functions import Cast
from django.utils import translation

from lib.encryption import EncryptedField, KeyLost, encrypt, is_encrypted, newly_encrypted

BATCH = 500


@dataclass
class Rotation:
    """What a run did: how many secrets it encrypted anew, how many were under the newest key already, and which rows no
    key decrypts."""

    renewed: int = 0
    current: int = 0
    lost: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Column:
    """A column with secrets. `renew` returns its stored text under the newest key, or None where it is already; `encode`
    makes of a text what an update writes to the column."""

    model: type[Model]
    name: str
    renew: Callable[[str], str | None]
    encode: Callable[[str], Value]


def rotate_keys(*, batch: int = BATCH) -> Rotation:
    """Encrypt every secret with the first of `DESK_SECRET_KEYS`. Reads `batch` rows at a time."""
    done = Rotation()
    for column in _columns():
        for pk, stored in _rows(column, batch):
            _rotate(column, pk, stored, done)
    return done


def undecryptable() -> list[str]:
    """Return the secrets that no key in `DESK_SECRET_KEYS` decrypts: each row's kind and number, as in `token 7`."""
    lost = []
    for column in _columns():
        for pk, stored in _rows(column, BATCH):
            try:
                column.renew(stored)
            except KeyLost:
                lost.append(_row_name(column, pk))
    return lost


def _row_name(column: _Column, pk: int) -> str:
    with translation.override("en"):  # it stands in an English sentence on the terminal
        return f"{column.model._meta.verbose_name} {pk}"


def _columns() -> Iterator[_Column]:
    for model in apps.get_models():
        for field_ in model._meta.concrete_fields:
            if isinstance(field_, EncryptedField):
                yield _Column(model, field_.name, newly_encrypted, _text)
    # allauth keeps its secrets inside a JSON column.
    yield _Column(Authenticator, "data", _newly_encrypted_authenticator, _json)


def _text(stored: str) -> Value:
    return Value(stored, output_field=TextField())


def _json(stored: str) -> Value:
    return Value(json.loads(stored), output_field=JSONField())


def _rows(column: _Column, batch: int) -> Iterator[tuple[int, str]]:
    """Yield every row's key and text as the database has it, a batch at a time, so that no long query stays open."""
    last = 0
    rows = _stored(column).exclude(stored="").order_by("pk").values_list("pk", "stored")
    while read := list(rows.filter(pk__gt=last)[:batch]):
        yield from read
        last = read[-1][0]


def _rotate(column: _Column, pk: int, stored: str, done: Rotation) -> None:
    try:
        renewed = column.renew(stored)
    except KeyLost:
        done.lost.append(_row_name(column, pk))
        return
    if renewed is None:
        done.current += 1
        return
    unchanged = _stored(column).filter(pk=pk, stored=stored)
    done.renewed += unchanged.update(**{column.name: column.encode(renewed)})


def _stored(column: _Column) -> QuerySet[Model]:
    return column.model._base_manager.annotate(stored=Cast(column.name, TextField()))


def _newly_encrypted_authenticator(stored: str) -> str | None:
    """Renew allauth's JSON: the secret of an authenticator app, the seed of recovery codes. A value from before there was
    encryption is encrypted."""
    data = json.loads(stored)
    renewed = False
    for name in ("secret", "seed"):
        if text := data.get(name):
            changed = newly_encrypted(text) if is_encrypted(text) else encrypt(text)
            data[name], renewed = changed or text, renewed or changed is not None
    return json.dumps(data) if renewed else None
