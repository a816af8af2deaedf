"""The secret addresses that ThueSim posts a token's results to: made, and replaced with an overlap."""

from datetime import timedelta

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from lib.encryption import digest
from rentals.models import CallbackAddress, Token

# ThueSim's people enter the new address by hand; until they have, the old one still works.
OVERLAP = timedelta(hours=24)


def valid_addresses(token: Token) -> QuerySet[CallbackAddress]:
    """Return the addresses of `token` that work now, newest first."""
    return token.callback_addresses.filter(_is_valid())


def token_of(secret: str) -> Token | None:
    """Return the token of a valid address. By the secret's digest: how long that takes tells nothing of the secret."""
    addresses = CallbackAddress.objects.filter(_is_valid(), secret_digest=digest(secret))
    address = addresses.select_related("token").first()
    return address.token if address else None


def _is_valid() -> Q:
    return Q(expires_at=None) | Q(expires_at__gt=timezone.now())


def end_replaced(token: Token) -> int:
    """End the overlap: the replaced addresses stop working now. Returns how many they were."""
    now = timezone.now()
    return token.callback_addresses.filter(expires_at__gt=now).update(expires_at=now)


@transaction.atomic
def replace(token: Token) -> CallbackAddress:
    """Make a new address for `token`. The old ones work for 24 hours more, or until they end if that is sooner."""
    until = timezone.now() + OVERLAP
    token.callback_addresses.filter(Q(expires_at=None) | Q(expires_at__gt=until)).update(expires_at=until)
    return CallbackAddress.issue(token)
