"""The request as our views see it: signed in, with a team; and where it may lead back to."""

from django.http import HttpRequest
from django.utils.http import url_has_allowed_host_and_scheme
from django_htmx.middleware import HtmxDetails

from accounts.models import User
from accounts.policy import Access


class DeskRequest(HttpRequest):
    """A signed-in person's request. `access` says what they may do, and for which team the page speaks."""

    user: User
    htmx: HtmxDetails
    access: Access


def asking_address(request: HttpRequest) -> str | None:
    """Return the local address of the page that an htmx request comes from; None for other requests, and where the header
    holds no address."""
    htmx = getattr(request, "htmx", None)
    try:
        return str(htmx.current_url_abs_path) if htmx and htmx.current_url_abs_path else None
    except ValueError:  # "http://[::1"
        return None


def local_address(request: HttpRequest, fallback: str = "desk") -> str:
    """Return the form's field `next` if it is one of our own addresses, else `fallback`, the name of a page."""
    address = request.POST.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(address, {request.get_host()}, require_https=request.is_secure())
    # Without the slash `redirect` would take the text for the name of a page.
    return address if is_ours and address.startswith("/") else fallback
