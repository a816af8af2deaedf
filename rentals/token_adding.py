"""A new token: the field for its value, whose value it is already, and the adding once ThueSim has accepted it."""

from collections.abc import Collection
from dataclasses import dataclass
from itertools import count
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from accounts import audit
from accounts.audit import Action
from accounts.models import Team, User
from lib.encryption import Secret, digest
from rentals import enqueue
from rentals.models import Token
from rentals.upstream.token_check import Finding, Level, examine

_VALUE = {"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none", "class": "vTextField"}


class ValueField(forms.CharField):
    """The field for a token's value. It is never shown again, not even after an error in another field."""

    widget = forms.PasswordInput(attrs=_VALUE)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=500, **kwargs)

    def clean(self, value: Any) -> str:
        text: str = super().clean(value)
        if any(character.isspace() or not character.isprintable() for character in text):
            raise ValidationError(_("The value contains a space or a line break. Copy the token alone."))
        return text


def owner_of(value: str) -> Token | None:
    """Return the token that has this value already."""
    return Token.objects.filter(value_digest=digest(value)).first()


def free_name(name: str) -> str:
    """Return `name`, or where a token has it already `name 2` and so on."""
    taken = set(Token.objects.values_list("name", flat=True))
    return next(free for number in count(1) if (free := name if number == 1 else f"{name} {number}") not in taken)


@dataclass(frozen=True, slots=True)
class Added:
    """What became of a value: the `token` with what ThueSim says of it, else in one sentence why it is `refused`.

    `is_unknown`: ThueSim does not know the value, so another one is wanted.
    """

    token: Token | None
    findings: tuple[Finding, ...] = ()
    refused: str = ""
    is_unknown: bool = False


def add(value: Secret, *, name: str, teams: Collection[Team], by: User) -> Added:
    """Ask ThueSim about `value`; where it gives a balance, store the token for `teams`. Takes as long as ThueSim does.

    What is refused is not stored; that it was tried is in the audit log.
    """
    check = examine(None, value)
    if not check.accepted:
        refused = next(finding.sentence for finding in check.findings if finding.level == Level.FAIL)
        audit.record(Action.TOKEN_ADD_REFUSED, person=by, target=name)
        return Added(None, refused=refused, is_unknown=check.refused)
    try:
        with transaction.atomic():
            token = Token(name=name)
            token.value = value
            token.save()
            token.teams.set(teams)
            detail = {
                "id": token.pk,
                "name": [None, name],
                "new_value": "set",
                "teams": [None, [str(t) for t in teams]],
            }
            audit.record(Action.TOKEN_ADD, person=by, target=audit.about(token), detail=detail)
            token.announce()
            enqueue.sync(token.pk)
            enqueue.place(token.pk)
    except IntegrityError:
        return Added(None, refused=_("Another person added this token, or one with this name, at the same moment."))
    return Added(token, tuple(check.findings))
