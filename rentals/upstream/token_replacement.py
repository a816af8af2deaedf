"""A token's value is replaced: the new one is checked first, then takes the old one's place at once, and nothing of the
old one is kept. Orders, numbers and money hang on the token, not on its value: the queue goes on."""

from dataclasses import dataclass

from django.db import IntegrityError, transaction
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from lib.encryption import Secret, digest
from rentals import enqueue
from rentals.models import Token
from rentals.upstream import breaker
from rentals.upstream.token_check import Finding, Level, examine


@dataclass(frozen=True, slots=True)
class Replacement:
    """What came of it. `why` is a short word for the record and `sentence` one for the page, both `""` where the new
    value was taken; `findings` are what the upstream said against it."""

    why: str = ""
    sentence: str | Promise = ""
    findings: tuple[Finding, ...] = ()

    @property
    def done(self) -> bool:
        return not self.why


_REFUSED = Replacement(
    "refused by ThueSim", _("ThueSim did not take the new value, so the old one stays. Nothing was changed.")
)
_OTHER_ACCOUNT = Replacement(
    "another account",
    _(
        "The history behind this value holds none of the numbers that were rented here: it seems to be another account's. "
        "Add it as a token of its own, or enter it again and say that it is right."
    ),
)
_CHANGED_MEANWHILE = Replacement(
    "changed meanwhile", _("Somebody else replaced the value in the same moment. Theirs is in use.")
)


def replace_value(token: Token, value: Secret, *, surely_ours: bool = False) -> Replacement:
    """Ask the upstream about `value`; if it is good, let it take the old value's place. Takes as long as the upstream.

    `surely_ours`: also where its history does not know the numbers rented here.
    """
    before = token.value_digest
    check = examine(token, value)
    if not check.accepted:
        wrong = tuple(finding for finding in check.findings if finding.level == Level.FAIL)
        return Replacement(_REFUSED.why, _REFUSED.sentence, wrong)
    if check.ours and check.ours[0] == 0 and not surely_ours:
        return _OTHER_ACCOUNT
    kept = Token.objects.filter(pk=token.pk, value_digest=before)
    try:
        with transaction.atomic():
            if not kept.update(value=value, value_digest=digest(value.reveal())):
                return _CHANGED_MEANWHILE
            token.refresh_from_db()
            breaker.answered(token)
            token.announce()
            enqueue.sync(token.pk)
            enqueue.place(token.pk)
            enqueue.poll_token(token.pk)
    except IntegrityError:
        return _CHANGED_MEANWHILE  # another token has taken the same value
    return Replacement()
