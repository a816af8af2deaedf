"""The upstream's client for a token of ours, with our settings."""

from django.conf import settings

from lib.encryption import Secret
from rentals.models import Token
from rentals.upstream.call_statistics import counter
from rentals.upstream.drift import record
from thuesim import Client, KeptBack

# By token: what its client was made with, and the client. A replaced value goes with its client.
_clients: dict[int, tuple[tuple[Secret, str, float], Client]] = {}


class KeyMissing(KeptBack):
    """No key in `DESK_SECRET_KEYS` decrypts the token's value, so nothing is asked of the upstream with it."""


def client_for(token: Token) -> Client:
    """Return the client of `token`. One per process and token, so that its connections are reused.

    Raises `KeyMissing`.
    """
    if not token.value:
        raise KeyMissing("no key in DESK_SECRET_KEYS decrypts the token's value")
    arguments = (token.value, settings.THUESIM_BASE_URL, settings.THUESIM_TIMEOUT_SECONDS)
    made_with, client = _clients.get(token.pk, (None, None))
    if client is None or made_with != arguments:
        value, base_url, timeout = arguments
        client = Client(value.reveal(), base_url, timeout=timeout, on_drift=record, on_call=counter(token.pk))
        _clients[token.pk] = arguments, client
    return client
