"""Rate limits of sign-in, password reset and invitations.

allauth counts tries by account and by address (IPv6: /64). Its limits are in `ACCOUNT_RATE_LIMITS`, its counts in
`lib.lasting_cache`. This module adds a limit for each IPv6 /48, one for wrong secrets in addresses, and OWASP's device
cookies: a browser in which the owner of an account has signed in before has a count of its own, so an attacker's guesses do
not lock the owner out.
"""

import ipaddress
import secrets
import time
from collections.abc import Callable
from typing import Any

from allauth.account.adapter import get_adapter
from allauth.core.internal import ratelimit
from django.conf import settings
from django.core import signing
from django.core.cache import cache
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import patch_cache_control

from accounts.models import User

DEVICE_SECONDS = 180 * 86400
RETRY_SECONDS = 60
# The pages where an attacker can guess: sign-in, two-factor authentication, asking for a new password.
_ENTRANCES = ("account_", "mfa_", "openid_connect_login")
# Here the secret is in the address: it is counted if it is wrong, and never if it is right.
_SECRET_ADDRESSES = ("account_reset_password_from_key", "account_confirm_email")
# Wrong secrets per minute: callback addresses, invitations, links for passwords and e-mail addresses, the metrics token.
WRONG_PER_ADDRESS, WRONG_PER_NETWORK = 20, 120


class EntranceThrottleMiddleware:
    """Answer 429 to an IPv6 /48 that posts to an entrance too often, and to a client that begins to sign in with a passkey
    or at a provider too often: each time is a new session, and strangers shall not fill the disk with them."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., HttpResponseBase], args: Any, kwargs: Any
    ) -> HttpResponse | None:
        name = (request.resolver_match and request.resolver_match.view_name) or ""
        if not name.startswith(_ENTRANCES) or name in _SECRET_ADDRESSES or request.user.is_authenticated:
            return None
        limit = {"mfa_login_webauthn": "passkey", "openid_connect_login": "provider"}.get(name)
        wide = wide_network(client_address(request)) if request.method == "POST" or limit else None
        if wide and not _consume(request, "network", key=wide):
            return too_many(request)
        return too_many(request) if limit and not _consume(request, limit) else None


def too_many_wrong_secrets(request: HttpRequest) -> bool:
    """Count a wrong secret, and return whether the client has sent too many, by address (IPv6: /64) and by /48.

    Call it once the secret is known to be wrong: a right one is never refused, even after many wrong ones.
    Counted in whole minutes, by one read, and one write as long as it is not too many; at once, a few more get through.
    """
    address, minute = client_address(request), int(time.time() // 60)
    counts = {ratelimit.truncate_ip(address): WRONG_PER_ADDRESS, wide_network(address): WRONG_PER_NETWORK}
    keys = {f"wrong-secrets:{network}:{minute}": most for network, most in counts.items() if network is not None}
    seen = cache.get_many(keys)
    if any(seen.get(key, 0) >= most for key, most in keys.items()):
        return True
    for key in keys:
        cache.set(key, seen.get(key, 0) + 1, 120)
    return False


def too_many(request: HttpRequest) -> HttpResponse:
    """Return the page of status 429."""
    response = render(request, "429.html", status=429)
    response["Retry-After"] = str(RETRY_SECONDS)
    patch_cache_control(response, no_store=True)
    return response


def client_address(request: HttpRequest) -> str:
    """Return the address that a request came from; `""` where the server or its proxy told none."""
    try:
        address: str = get_adapter().get_client_ip(request)
    except PermissionDenied:
        return ""
    return address


def wide_network(address: str) -> str | None:
    """Return the /48 of an IPv6 address, the most that one customer usually gets; None for IPv4."""
    try:
        return str(ipaddress.IPv6Network((address.partition("%")[0], 48), strict=False))
    except ValueError:
        return None


def count_known_device(request: HttpRequest, person: User | None) -> ratelimit.RateLimitUsage | None:
    """Count a sign-in attempt on the account of `person` from a device that they have signed in with before.

    Returns the usage, which a success rolls back; None where the device is not known, or its attempts are used up.
    """
    device = known_device(request, person)
    if person is None or device is None:
        return None
    return _consume(request, "known_device", key=f"{person.pk}:{device}")


def known_device(request: HttpRequest, person: User | None) -> str | None:
    """Return the id of the device if `person` has signed in with it and has not changed the password since."""
    cookie = request.COOKIES.get(_cookie(person)) if person else None
    if person is None or cookie is None:
        return None
    try:
        return str(signing.loads(cookie, salt=_salt(person), max_age=DEVICE_SECONDS))
    except signing.BadSignature:
        return None


def remember_device(request: HttpRequest, response: HttpResponse, person: User) -> None:
    """Set the device cookie: the browser shows at its next sign-in that `person` has signed in with it."""
    device = known_device(request, person) or secrets.token_urlsafe(12)
    response.set_cookie(
        _cookie(person),
        signing.dumps(device, salt=_salt(person)),
        max_age=DEVICE_SECONDS,
        # Where the browser binds the cookie to this host, it takes no narrower path than the whole site.
        path="/" if settings.COOKIE_PREFIX == "__Host-" else reverse("account_login").removesuffix("login/"),
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def _cookie(person: User) -> str:
    return f"{settings.COOKIE_PREFIX}device-{person.pk}"


def _salt(person: User) -> str:
    # Bound to the password: after it is changed, the devices of an attacker who knew it are unknown again.
    return f"accounts.known_device:{person.pk}:{person.get_session_auth_hash()}"


def _consume(request: HttpRequest, action: str, key: str | None = None) -> ratelimit.RateLimitUsage | None:
    return ratelimit.consume(request, app="allauth.account", action=action, key=key, limit_get=True)
