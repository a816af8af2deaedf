"""Security headers that Django's own middleware does not write, and the nonce of our scripts."""

import ipaddress
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

# Our own pages get the browser features that they use; every other feature is off.
PERMISSIONS = (
    "accelerometer=(), autoplay=(self), browsing-topics=(), camera=(), clipboard-write=(self), "
    "display-capture=(), fullscreen=(self), geolocation=(), gyroscope=(), hid=(), magnetometer=(), microphone=(), "
    "midi=(), payment=(), publickey-credentials-create=(self), publickey-credentials-get=(self), "
    "screen-wake-lock=(), serial=(), usb=(), xr-spatial-tracking=()"
)


class SecurityHeadersMiddleware:
    """Set Permissions-Policy, Cross-Origin-Resource-Policy (no other site may embed our files) and Cache-Control.

    Without a Cache-Control of its own, a page is not stored by the browser: after a sign-out, the back button shows no
    numbers and no codes. A sender's address that is not an IP address, as a proxy may pass on, is emptied.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.META["REMOTE_ADDR"] = _address(request.META.get("REMOTE_ADDR", ""))
        response = self.get_response(request)
        response.headers.setdefault("Permissions-Policy", PERMISSIONS)
        response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        response.headers.setdefault("Cache-Control", "no-store, private")
        return response


def nonce(request: HttpRequest) -> dict[str, object]:
    """Return `csp_nonce` for templates: the nonce that the Content-Security-Policy of the same answer names."""
    return {"csp_nonce": getattr(request, "csp_nonce", "")}


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return ""
