"""Change the e-mail address of an account: the new one counts once its link is opened, the old one gets a notice.

An account has one address. It is used to sign in, and links for a new password go there.
"""

from dataclasses import dataclass

from allauth.account.adapter import get_adapter
from allauth.account.models import EmailAddress
from django.core import signing
from django.db import IntegrityError, transaction
from django.http import HttpRequest
from django.utils.translation import gettext as _

from accounts import audit, notices
from accounts.audit import Action
from accounts.memberships import NotDone
from accounts.models import User
from lib.encryption import digest
from lib.web.urls import absolute_reverse

LINK_SECONDS = 24 * 3600
_SALT = "accounts.sign_in.email_change"


@dataclass(frozen=True, slots=True)
class Change:
    """A change that its link was opened for."""

    person: User
    old: str
    new: str


def is_taken(email: str, person: User) -> bool:
    """Whether another account has this address, in whatever case."""
    others = User.objects.exclude(pk=person.pk).filter(email__iexact=email)
    verified = EmailAddress.objects.exclude(user=person).filter(email__iexact=email, verified=True)
    return others.exists() or verified.exists()


def send_link(request: HttpRequest, person: User, email: str) -> None:
    """Send the link that confirms `email` to it. Nothing changes until it is opened."""
    link = absolute_reverse("account_confirm_email", kwargs={"key": make_key(person, email)}, request=request)
    context = {"user": person, "username": person.get_username(), "link": link, "hours": LINK_SECONDS // 3600}
    get_adapter().send_mail("account/email/email_change", email, context)


def make_key(person: User, email: str) -> str:
    """Return the secret of the link by which `person` shows that `email` is theirs."""
    return signing.dumps([person.pk, person.email, email, _password_digest(person)], salt=_SALT)


def find(key: str, person: User) -> Change | None:
    """Return the change that a link of this person confirms.

    None where the link is wrong, older than a day, or another person's, and once the address or the password has changed.
    """
    try:
        number, old, new, password = signing.loads(key, salt=_SALT, max_age=LINK_SECONDS)
    except (signing.BadSignature, ValueError, TypeError):
        return None
    is_current = (number, old, password) == (person.pk, person.email, _password_digest(person))
    return Change(person, old, new) if is_current else None


def confirm(change: Change) -> None:
    """Give the account its new address. Raises `NotDone` where another account has it meanwhile."""
    person = change.person
    if is_taken(change.new, person):
        raise NotDone(_("Another person has this e-mail already. Choose another one."))
    try:
        with transaction.atomic():
            if not User.objects.filter(pk=person.pk, email=change.old).update(email=change.new):
                raise NotDone(_("This link no longer works"))
            EmailAddress.objects.filter(user=person).delete()
            EmailAddress.objects.create(user=person, email=change.new.lower(), verified=True, primary=True)
            detail = {"email": [change.old, change.new]}
            audit.record(Action.EMAIL_CHANGED, person=person, detail=detail)
            if change.old:
                notices.tell(person, Action.EMAIL_CHANGED, to=change.old)
    except IntegrityError:  # another account confirmed the same address in the same moment
        raise NotDone(_("Another person has this e-mail already. Choose another one.")) from None


def _password_digest(person: User) -> str:
    """Return a digest that changes with the person's password and tells nothing about it."""
    return digest(person.get_session_auth_hash())[:16]
