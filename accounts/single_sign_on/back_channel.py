"""A provider says that a person signed out there (OpenID Connect Back-Channel Logout 1.0): their sessions here end."""

import time
from typing import Any

from django.core.cache import cache

from accounts.single_sign_on import provider_sessions
from lib.encryption import digest
from lib.network import oidc_documents
from lib.network.oidc_documents import LEEWAY_SECONDS, TokenRefused
from lib.network.oidc_providers import Provider

EVENT = "http://schemas.openid.net/event/backchannel-logout"
MAX_AGE_SECONDS = 300
MAX_LENGTH = 20_000  # characters
_MAX_TEXT = 255


def sign_out(provider: Provider, token: str) -> int:
    """End the sessions that a logout token is about. Returns how many. Raises `TokenRefused` and `ProviderDown`."""
    claims = validate(provider, token)
    return provider_sessions.end(provider, subject=claims.get("sub", ""), sid=claims.get("sid", ""))


def validate(provider: Provider, token: str) -> dict[str, Any]:
    """Return the claims of a logout token; a token is taken once (section 2.6 of the specification). Raises `TokenRefused`
    and `ProviderDown`."""
    if len(token) > MAX_LENGTH:
        raise TokenRefused("it is too long")
    claims = oidc_documents.decode(provider, token, required=("jti", "events"), kinds=("logout+jwt", "JWT"))
    age = time.time() - float(claims["iat"])
    if age > MAX_AGE_SECONDS or age < -LEEWAY_SECONDS:
        raise TokenRefused("it is not of now")
    events = claims["events"]
    if not isinstance(events, dict) or not isinstance(events.get(EVENT), dict):
        raise TokenRefused("it is about another event")
    if "nonce" in claims:
        raise TokenRefused("it has a nonce, so it may be an ID token")
    for name in ("sub", "sid", "jti"):
        if not isinstance(claims.get(name, ""), str) or len(claims.get(name, "")) > _MAX_TEXT:
            raise TokenRefused(f"its {name} is no text")
    if not claims.get("sub") and not claims.get("sid"):
        raise TokenRefused("it names neither a person nor a session")
    jti = claims["jti"]
    once = "logout-token:" + digest(f"{provider.id} {jti}")
    if not jti or not cache.add(once, 1, MAX_AGE_SECONDS + 2 * LEEWAY_SECONDS):
        raise TokenRefused("it was used already")
    return claims
