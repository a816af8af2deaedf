"""Replace the value of a token: the new one is checked, then written over the old one, of which nothing is kept.

Orders, numbers and money belong to the token, not to its value: the queue goes on.
"""

from collections.abc import Callable
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
    """The result. `why` is a short reason for the audit log and `sentence` one for the page, both `""` if the value was
    replaced; `findings` are the upstream's objections."""

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
        "The history of this value has none of the numbers that were rented here: it seems to belong to another account. "
        "Add it as a token of its own, or enter it again and confirm that it is right."
    ),
)
_CHANGED_MEANWHILE = Replacement(
    "changed meanwhile", _("Another person replaced the value at the same moment. Their value is in use.")
)


def replace_value(
    token: Token, value: Secret, *, record: Callable[[], object], surely_ours: bool = False
) -> Replacement:
    """Ask the upstream about `value`; if it accepts it, replace the old value. Takes as long as the upstream does.

    `record` writes the audit record, in the transaction in which the value is replaced. `surely_ours`: even if its history
    has none of the numbers rented here.
    """
    before = token.value_digest
    check = examine(token, value)
    if not check.accepted:
        objections = tuple(finding for finding in check.findings if finding.level == Level.FAIL)
        return Replacement(_REFUSED.why, _REFUSED.sentence, objections)
    if check.ours and check.ours[0] == 0 and not surely_ours:
        return _OTHER_ACCOUNT
    unchanged = Token.objects.filter(pk=token.pk, value_digest=before)
    try:
        with transaction.atomic():
            if not unchanged.update(value=value, value_digest=digest(value.reveal())):
                return _CHANGED_MEANWHILE
            token.refresh_from_db()
            record()
            breaker.answered(token)
            token.announce()
            enqueue.sync(token.pk)
            enqueue.place(token.pk)
            enqueue.poll_token(token.pk)
    except IntegrityError:
        return _CHANGED_MEANWHILE  # another token has just got the same value
    return Replacement()
