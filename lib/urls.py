"""Absolute URLs: scheme and host before the path, for other machines and for links that people pass on."""

from collections.abc import Mapping, Sequence
from typing import Any

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
    return f"{settings.PUBLIC_URL}{path}" if settings.PUBLIC_URL else request.build_absolute_uri(path)
