"""Variables of every template."""

import re

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse

from accounts import mail
from accounts.desk_request import asking_address

_THIS_MACHINE = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:\d+)?")


def desk(request: HttpRequest) -> dict[str, object]:
    """Return the variables of every template.

    `demo`: the sandbox stands in for the upstream, with a page at `sandbox_url`, which opens on the desk's machine alone;
    `is_here` says that the browser is there. `access`: what the person may do, None
    before sign-in. `sends_links`: people change their e-mail address themselves. `providers`: who signs people in, besides
    `passwords` or in their place. `here`: the address of the page on the screen, for a form that leads back to it.
    `csrf_cookie`: the name of the cookie that scripts read.
    """
    return {
        "demo": settings.DEMO,
        "sandbox_url": f"{settings.THUESIM_BASE_URL}/" if settings.DEMO else "",
        "is_here": _THIS_MACHINE.fullmatch(request.META.get("HTTP_HOST", "")) is not None,
        "sends_links": mail.sends_links(),
        "providers": list(settings.OIDC_PROVIDERS.values()),
        "passwords": settings.PASSWORDS,
        "access": getattr(request, "access", None),
        "here": _page_of(request),
        "csrf_cookie": settings.CSRF_COOKIE_NAME,
    }


def _page_of(request: HttpRequest) -> str:
    if getattr(request, "htmx", None):  # a fragment: the page around it
        return asking_address(request) or reverse("desk")
    return request.get_full_path() if request.method in {"GET", "HEAD"} else reverse("desk")
