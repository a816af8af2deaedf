"""Headers of every answer that Django's own middleware does not write."""

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
    """Permissions-Policy, and Cross-Origin-Resource-Policy: no other site may take anything of ours in."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers.setdefault("Permissions-Policy", PERMISSIONS)
        response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        return response
