"""Why a sign-in through a provider failed, in words for the person who tried."""

from dataclasses import dataclass
from enum import Enum

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

_AGAIN = _("Sign in again. If it happens once more, tell an admin of the desk.")


@dataclass(frozen=True, slots=True)
class _Words:
    """What happened, what to do, and the status of the page."""

    happened: Promise
    remedy: Promise
    status: int = 403


class Failure(Enum):
    """Why a sign-in failed; the names are written to the audit log."""

    DENIED = _Words(
        _("%(provider)s did not let you in, or you cancelled there."),
        _("Sign in again, or ask the administrators of %(provider)s to let you use this desk."),
    )
    STATE_LOST = _Words(
        _("This sign-in was begun in another browser, more than ten minutes ago, or was used already."),
        _("Begin again on this browser. It must keep the cookies of this site."),
        400,
    )
    PROVIDER_DOWN = _Words(
        _("%(provider)s does not answer now."),
        _("Try again in a minute. If it goes on, tell an admin of the desk: they find the reason in its log."),
        503,
    )
    ANSWER_WRONG = _Words(_("%(provider)s sent an answer that does not hold, so nobody was signed in."), _AGAIN, 502)
    EMAIL_MISSING = _Words(
        _("%(provider)s did not send your e-mail address, which a new account needs."),
        _("Ask the administrators of %(provider)s to enter it and to send the claim “email” to this desk."),
    )
    EMAIL_TAKEN = _Words(
        _("There is an account with your e-mail address here already, and it is not connected with %(provider)s."),
        _(
            "Sign in to it as before and connect it on the page “Your account”. If you cannot, ask an admin of the desk."
        ),
        409,
    )
    NO_TEAM = _Words(
        _("%(provider)s knows you, but none of your groups there has a team on this desk."),
        _("Ask your admin to put you into a group that has one, or to invite you."),
    )
    TOO_MANY_GROUPS = _Words(
        _("%(provider)s sent a part of your groups alone, so it is not known what you may do here."),
        _("Ask your admin to send only the groups that this desk needs."),
    )
    NOT_ALLOWED = _Words(
        _("This account of %(provider)s is not one of those that may use this desk."),
        _("Sign in there with your work account."),
    )
    DEACTIVATED = _Words(
        _("Your account on this desk was deactivated."),
        _("Ask a manager of your team, or an admin of the desk, to activate it again."),
    )
    CONNECTED_ELSEWHERE = _Words(
        _("This account of %(provider)s belongs to another person of the desk."),
        _("Sign out at %(provider)s, then connect your own account there."),
        409,
    )


class Refused(Exception):
    """A sign-in that ends on a page with a sentence. `reason` is for the log, without a secret."""

    def __init__(self, failure: Failure, reason: str = "") -> None:
        super().__init__(failure.name)
        self.failure, self.reason = failure, reason
