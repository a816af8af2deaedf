"""The secret addresses that ThueSim posts a token's results to: made, and replaced with an overlap."""

from datetime import timedelta

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from rentals.models import CallbackAddress, Token

# ThueSim's people enter the new address by hand; until they have, the old one still works.
OVERLAP = timedelta(hours=24)


def valid_addresses(token: Token) -> QuerySet[CallbackAddress]:
    """The addresses of `token` that work now, the newest first."""
    return token.callback_addresses.filter(Q(expires_at=None) | Q(expires_at__gt=timezone.now()))


def end_replaced(token: Token) -> int:
    """End the overlap: what was replaced stops working now. Returns how many addresses that were."""
    now = timezone.now()
    return token.callback_addresses.filter(expires_at__gt=now).update(expires_at=now)


@transaction.atomic
def replace(token: Token) -> CallbackAddress:
    """Make a new address for `token`; what worked until now works for 24 hours more, or for what it had left."""
    until = timezone.now() + OVERLAP
    token.callback_addresses.filter(Q(expires_at=None) | Q(expires_at__gt=until)).update(expires_at=until)
    return CallbackAddress.issue(token)
