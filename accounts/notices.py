"""E-mails to a person about changes of their account, since another person may have made them."""

from allauth.account.adapter import get_adapter
from django.db import transaction
from django.utils import timezone, translation

from accounts import audit, mail
from accounts.models import User
from lib import time_zones


def tell(person: User, action: audit.Action, *, by: User | None = None, to: str = "") -> None:
    """Send a person an e-mail that `action` happened to their account, once it is committed.

    It goes to `to`, else to the account's address; without an address, or without `EMAIL_URL`, nothing is sent. `by` is the
    person who did it, where it was not the owner of the account.
    """
    address = to or person.email
    if not address or not mail.is_set_up():
        return
    context = {
        "user": person,
        "username": person.get_username(),
        "what": action.label,
        "by": by if by and by.pk != person.pk else None,
        "at": timezone.now(),
        "address": audit.current_address(),
    }

    def send() -> None:
        with (
            translation.override(person.language or translation.get_language()),
            time_zones.reading_in(person.time_zone),
        ):
            get_adapter().send_mail("account/email/notice", address, {**context, "zone": time_zones.label()})

    transaction.on_commit(send)
