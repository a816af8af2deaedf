"""All that is encrypted goes under the newest key: token values, callback secrets, second steps.

Row by row, each by a conditional update on the text that was read: what somebody replaces meanwhile stays as they
wrote it (with the newest key, too). So it may run at any time, twice and at once; a run that is cut short is finished by
the next one.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from allauth.mfa.models import Authenticator
from django.apps import apps
from django.db.models import JSONField, Model, TextField, Value
from django.db.models.functions import Cast

from lib.encryption import EncryptedField, KeyLost, encrypt, is_encrypted, newly_encrypted

BATCH = 500


@dataclass
class Rotation:
    """What a run did: how many secrets it encrypted anew, how many were under the newest key already, and which nobody can
    read any more."""

    renewed: int = 0
    current: int = 0
    lost: list[str] = field(default_factory=list)


def rotate_keys(*, batch: int = BATCH) -> Rotation:
    """Encrypt everything with the first of `DESK_SECRET_KEYS`."""
    done = Rotation()
    for model in apps.get_models():
        for column in model._meta.concrete_fields:
            if isinstance(column, EncryptedField):
                _rotate(model, column.name, newly_encrypted, done, batch)
    _rotate(Authenticator, "data", _second_step, done, batch)
    return done


def _rotate(model: type[Model], name: str, renew: Callable[[str], str | None], done: Rotation, batch: int) -> None:
    for pk, stored in _rows(model, name, batch):
        try:
            renewed = renew(stored)
        except KeyLost:
            done.lost.append(f"{model._meta.verbose_name} {pk}")
            continue
        if renewed is None:
            done.current += 1
            continue
        unchanged = model._base_manager.annotate(stored=Cast(name, TextField())).filter(pk=pk, stored=stored)
        kind = JSONField() if name == "data" else TextField()
        value = Value(json.loads(renewed) if name == "data" else renewed, output_field=kind)
        done.renewed += unchanged.update(**{name: value})


def _rows(model: type[Model], name: str, batch: int) -> Iterator[tuple[int, str]]:
    """Every row's key and text as the database has it, a batch at a time, so that no long query stays open."""
    last = 0
    found = model._base_manager.annotate(stored=Cast(name, TextField())).exclude(stored="").order_by("pk")
    while rows := list(found.filter(pk__gt=last).values_list("pk", "stored")[:batch]):
        yield from rows
        last = rows[-1][0]


def _second_step(stored: str) -> str | None:
    """The same for a second step's JSON: of an app its secret, of recovery codes their seed. What was written before
    there was encryption is encrypted."""
    data = json.loads(stored)
    renewed = False
    for name in ("secret", "seed"):
        if text := data.get(name):
            changed = newly_encrypted(text) if is_encrypted(text) else encrypt(text)
            data[name], renewed = changed or text, renewed or changed is not None
    return json.dumps(data) if renewed else None
