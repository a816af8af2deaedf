"""The page for a form that Django's CSRF check refused: its token is not of this session, as after another sign-in, or it
comes from another address than the desk's. What was typed stays."""

import logging
from urllib.parse import urljoin, urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden
from django.middleware import csrf
from django.template.loader import render_to_string
from django.utils import timezone

from lib.web.kept_form import kept_form

# How the reasons begin that tell of an address, not of a token.
_ABOUT_ADDRESSES = tuple(reason.partition(" - ")[0] for reason in (csrf.REASON_BAD_ORIGIN, csrf.REASON_BAD_REFERER))
MAX_SHOWN = 200  # characters of what came

logger = logging.getLogger(__name__)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Django's `CSRF_FAILURE_VIEW`. The form was not taken, so it may be sent again, with the token of now: but only where
    the browser says that it was sent from here. Another site's would be sent by its reader else."""
    context = kept_form(request) if _is_from_here(request) else {}
    if "fields" in context:
        context["fields"] = [field for field in context["fields"] if field[0] != "csrfmiddlewaretoken"]
    if reason.startswith(_ABOUT_ADDRESSES) and _may_be_ours(request):
        context["addresses"] = _addresses(request)
    return HttpResponseForbidden(render_to_string("403_csrf.html", context, request))


def _is_from_here(request: HttpRequest) -> bool:
    origin = f"{request.scheme}://{request.get_host()}"
    return request.headers.get("Sec-Fetch-Site") == "same-origin" or request.headers.get("Origin") == origin


def _may_be_ours(request: HttpRequest) -> bool:
    """Whether a page of ours may have sent it: a browser says so to a server that it trusts, and nothing to others."""
    return request.headers.get("Sec-Fetch-Site", "same-origin") == "same-origin"


def _addresses(request: HttpRequest) -> dict[str, object]:
    """Return what came and what was expected, for the person who runs the proxy. How the desk is reached behind it is
    logged, and shown only to people who are signed in."""
    came = (request.headers.get("Origin") or _origin_of(request.headers.get("Referer", "")))[:MAX_SHOWN]
    seen = f"{request.scheme}://{request.get_host()}"[:MAX_SHOWN]
    expected = urljoin(settings.PUBLIC_URL, "/").removesuffix("/") or seen
    logger.warning("a form from %r was refused: %r was expected, and seen %r", came, expected, seen)
    return {
        "came": came,
        "expected": expected,
        "public_url": settings.PUBLIC_URL,
        "seen": seen if request.user.is_authenticated else "",
        "at": timezone.now(),
    }


def _origin_of(address: str) -> str:
    try:
        parts = urlsplit(address)
    except ValueError:  # "http://[::1"
        return ""
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""
