"""The upstream's client for a token of ours, with our settings."""

from functools import lru_cache

from django.conf import settings

from rentals.drift import record
from rentals.models import Token
from rentals.thuesim import Client
from rentals.upstream_calls import counter


@lru_cache(maxsize=256)
def _client(token_id: int, value: str, base_url: str, timeout: float) -> Client:
    return Client(value, base_url, timeout=timeout, on_drift=record, on_call=counter(token_id))


def client_for(token: Token) -> Client:
    """Return the client that speaks for `token`; one per process and token, so that connections are kept."""
    return _client(token.pk, token.value.reveal(), settings.THUESIM_BASE_URL, settings.THUESIM_TIMEOUT_SECONDS)
