"""A link that signs an admin in once while the provider is down: made on the machine alone, for ten minutes.

It does not ask for the password, so that it works with passwords off; two-factor authentication of the desk is asked for
where the admin has set it up. Who can make one can read the database as well.
"""

import logging

from django.core import signing
from django.db import transaction
from django.utils import timezone

from accounts import audit, notices
from accounts.audit import Action, about
from accounts.models import User

LINK_SECONDS = 600
_SALT = "accounts.single_sign_on.break_glass"

logger = logging.getLogger(__name__)


class NoSuchAdmin(Exception):
    """The text says why there is no link, in one sentence."""


def admin_with(email: str) -> User:
    """Return the active admin with this e-mail address or user name. Raises `NoSuchAdmin`."""
    lookup = {"email__iexact": email} if "@" in email else {"username__iexact": email}
    people = list(User.objects.filter(**lookup, is_active=True, is_staff=True)[:2])
    if len(people) != 1:
        raise NoSuchAdmin(f"There is {'no' if not people else 'more than one'} active admin called {email}.")
    return people[0]


def make_secret(person: User) -> str:
    """Return the secret of a link for an admin, and tell every admin and the audit log that it was made."""
    with transaction.atomic():
        audit.record(Action.BREAK_GLASS_LINK, target=about(person), detail={"minutes": LINK_SECONDS // 60})
        _tell_admins(Action.BREAK_GLASS_LINK)
    logger.warning("An emergency sign-in link was made for %s (#%s).", person, person.pk)
    return signing.dumps(_payload(person), salt=_SALT)


def find(secret: str) -> User | None:
    """Return the admin whose link it is; None where it is wrong, older than ten minutes, or was used."""
    try:
        payload = signing.loads(secret, salt=_SALT, max_age=LINK_SECONDS)
        person = User.objects.filter(pk=payload[0], is_active=True, is_staff=True).first()
    except (signing.BadSignature, ValueError, TypeError, LookupError):
        return None
    return person if person is not None and _payload(person) == payload else None


def use(person: User) -> bool:
    """Take the link, once. False where another request did in the same moment, or the admin has signed in since."""
    with transaction.atomic():
        # The time of the last sign-in is in the secret: another one makes it wrong.
        if not User.objects.filter(pk=person.pk, last_login=person.last_login).update(last_login=timezone.now()):
            return False
        audit.record(Action.BREAK_GLASS_USED, person=person, target=about(person))
        _tell_admins(Action.BREAK_GLASS_USED)
    logger.warning("%s (#%s) signs in by an emergency link.", person, person.pk)
    return True


def _payload(person: User) -> list[object]:
    return [person.pk, person.last_login.isoformat() if person.last_login else ""]


def _tell_admins(action: Action) -> None:
    for admin in User.objects.filter(is_active=True, is_staff=True).exclude(email=""):
        notices.tell(admin, action)
