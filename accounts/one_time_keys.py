"""What is asked for twice is done once: a form sent again by a browser or a proxy, a request repeated by a program.

Who asks sends a key with the request (`form_key`, or the API's `Idempotency-Key`), and the same key when it is the same
request. The key is written in the transaction of what it asked for, under a unique constraint: of two requests at once
one makes it, and the other one is answered with what was made, whichever process takes it and whatever died in between.
"""

import hashlib
import json
import secrets
from collections.abc import Callable
from datetime import timedelta
from typing import NamedTuple, TypeVar

from django.db import IntegrityError, models, transaction
from django.http import HttpRequest
from django.utils import timezone

from accounts.models import OneTimeKey

T = TypeVar("T", bound=models.Model)

# A browser, a proxy or a program that repeats a request does so within this time.
RETENTION = timedelta(hours=24)
MAX_LENGTH = 255
FIELD = "form_key"


class Key(NamedTuple):
    """A key, and whose it is: two people's keys may be alike."""

    owner: str
    key: str

    @property
    def digest(self) -> str:
        return _digest([self.owner, self.key])


class DoneAlready(Exception):
    """The key was used before. `made` is the id of what was made then; `differs` says that something else was asked for."""

    def __init__(self, made: int, *, differs: bool) -> None:
        super().__init__(made)
        self.made, self.differs = made, differs


def new() -> str:
    """Return a key for a form."""
    return secrets.token_urlsafe(16)


def key_of(request: HttpRequest) -> Key | None:
    """Return the key that a person's form was sent with, None where it has none."""
    key = request.POST.get(FIELD, "")[:MAX_LENGTH]
    return Key(f"person {request.user.pk} {request.path}", key) if key else None


def used(key: Key) -> models.QuerySet[OneTimeKey, int]:
    """Return the ids of what was made with this key, as a subquery: one at most."""
    return OneTimeKey.objects.filter(digest=key.digest).values_list("made", flat=True)


def raise_if_used(key: Key | None, asked: object) -> None:
    """Raise `DoneAlready` if something was made with this key. `asked` is all that decides what is made. One query."""
    if key is None:
        return
    used = OneTimeKey.objects.filter(digest=key.digest).values_list("made", "asked").first()
    if used is not None:
        made, asked_before = used
        raise DoneAlready(made, differs=asked_before != _digest(asked))


def once(key: Key | None, asked: object, make: Callable[[], T], *, refusal: type[Exception]) -> T:
    """Return what `make` makes, in one transaction with the key. Without a key, it is simply made.

    Raises `DoneAlready` where another request with this key was quicker, and the `refusal` of `make`, unless that is so.
    """
    try:
        with transaction.atomic():
            made = make()
            if key is not None:
                OneTimeKey.objects.create(digest=key.digest, asked=_digest(asked), made=made.pk, at=timezone.now())
    except (IntegrityError, refusal):
        raise_if_used(key, asked)
        raise
    return made


def delete_old() -> int:
    """Delete the keys past their retention. Returns how many."""
    return OneTimeKey.objects.filter(at__lt=timezone.now() - RETENTION).delete()[0]


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
