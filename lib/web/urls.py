"""Absolute URLs: scheme and host before the path, for other machines and for links that people pass on."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urljoin, urlsplit

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse


def absolute_reverse(
    view: str, *, request: HttpRequest, args: Sequence[Any] | None = None, kwargs: Mapping[str, Any] | None = None
) -> str:
    """Return a view's whole address: under `DESK_PUBLIC_URL`, or under the request's own host where that is not set.

    A request's `Host` header is its sender's claim. It is good enough for an address that the same sender is shown; an
    e-mail has links only where `DESK_PUBLIC_URL` is set (see `accounts.mail.sends_links`).
    """
    path = reverse(view, args=args, kwargs=dict(kwargs) if kwargs else None)
    return urljoin(settings.PUBLIC_URL, path) if settings.PUBLIC_URL else request.build_absolute_uri(path)


def root_url(request: HttpRequest) -> str:
    """Return the address of this desk, without a slash at its end: what programs put before `/api/v1/`."""
    return absolute_reverse("desk", request=request).removesuffix("/")


def page_before(request: HttpRequest) -> str:
    """Return the address of the page that a form was sent from, the desk where the browser does not say."""
    desk = reverse("desk")
    try:
        before = urlsplit(request.headers.get("Referer", ""))
    except ValueError:  # "http://[::1"
        return desk
    if before.netloc != request.get_host() or not before.path.startswith(desk):
        return desk
    return f"{before.path}?{before.query}" if before.query else before.path
