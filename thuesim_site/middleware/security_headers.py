"""Headers of every answer that Django's own middleware does not write, and the nonce of our scripts."""

import ipaddress
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

# What the pages need is given to them alone; everything else that a browser offers to scripts stays shut.
PERMISSIONS = (
    "accelerometer=(), autoplay=(self), browsing-topics=(), camera=(), clipboard-write=(self), "
    "display-capture=(), fullscreen=(self), geolocation=(), gyroscope=(), hid=(), magnetometer=(), microphone=(), "
    "midi=(), payment=(), publickey-credentials-create=(self), publickey-credentials-get=(self), "
    "screen-wake-lock=(), serial=(), usb=(), xr-spatial-tracking=()"
)


class HeadersMiddleware:
    """Permissions-Policy; Cross-Origin-Resource-Policy: no other site may take anything of ours in; and nothing that a
    page does not say itself is kept: after a sign-out, going back shows no numbers and no codes.

    An address of the sender that is none, as a proxy may pass on, is no address at all further in.
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
    """`csp_nonce` for templates: what is in the policy's header of the same answer, once a page uses it."""
    return {"csp_nonce": getattr(request, "csp_nonce", "")}


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return ""
