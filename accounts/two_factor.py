"""Taking the second step off an account whose owner lost it: phone gone, recovery codes too."""

from allauth.mfa.models import Authenticator
from django.db import transaction
from django.utils.translation import gettext as _

from accounts import audit, memberships
from accounts.audit import Action, about
from accounts.models import User
from accounts.policy import Access


def take_away(by: User, access: Access, person: User) -> int:
    """Remove all second steps of `person` and end their sessions; then the password alone signs them in, and where a
    team requires a second step they are led to set up a new one. Returns how many there were. Raises `people.NotDone`.
    """
    if not access.may_change_account(person):
        raise memberships.NotDone(_("Only an admin may do this."))
    with transaction.atomic():
        steps = Authenticator.objects.filter(user=person.pk)
        kinds = sorted(steps.values_list("type", flat=True))
        if not kinds:
            return 0
        steps.delete()
        detail = {"kinds": ", ".join(kinds), "sessions": memberships.end_sessions(person)}
        audit.record(Action.TWO_FACTOR_RESET, person=by, team=access.team, target=about(person), detail=detail)
    return len(kinds)
