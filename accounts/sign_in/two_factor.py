"""Turning two-factor authentication off for a person who lost their phone and their recovery codes."""

from allauth.mfa.models import Authenticator
from django.db import transaction
from django.utils.translation import gettext as _

from accounts import audit, memberships, notices
from accounts.audit import Action, about
from accounts.models import User
from accounts.policy import Access


def turn_off(by: User, access: Access, person: User) -> int:
    """Remove all two-factor methods of `person`, recovery codes too, and end their sessions.

    After that the password alone signs them in; where a team requires two-factor authentication, every page leads to its
    set-up. Returns how many methods there were. Raises `NotDone`.
    """
    if not access.may_change_account(person):
        raise memberships.NotDone(_("Only an admin may do this."))
    with transaction.atomic():
        methods = Authenticator.objects.filter(user=person.pk)
        kinds = sorted(methods.values_list("type", flat=True))
        if not kinds:
            return 0
        methods.delete()
        detail = {"kinds": ", ".join(kinds), "sessions": memberships.end_sessions(person)}
        audit.record(Action.TWO_FACTOR_RESET, person=by, team=access.team, target=about(person), detail=detail)
        notices.tell(person, Action.TWO_FACTOR_RESET, by=by)
    return len(kinds)
