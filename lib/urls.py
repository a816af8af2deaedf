"""Addresses as they are reached from outside."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse


def absolute_reverse(
    view: str, *, request: HttpRequest, args: Sequence[Any] | None = None, kwargs: Mapping[str, Any] | None = None
) -> str:
    """Return a view's whole address: under `DESK_PUBLIC_URL`, or under the request's own host where that is not set.

    The name in a request's `Host` header is the sender's claim, so an address that goes out by e-mail follows it only
    where the desk knows no address of its own.
    """
    path = reverse(view, args=args, kwargs=dict(kwargs) if kwargs else None)
    return f"{settings.PUBLIC_URL}{path}" if settings.PUBLIC_URL else request.build_absolute_uri(path)
