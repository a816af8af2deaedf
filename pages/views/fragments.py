"""Addresses that answer with a part of a page."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse

from accounts.desk_request import DeskRequest

_View = Callable[..., HttpResponse]


def part_of(page: str) -> Callable[[_View], _View]:
    """Lead a browser that opens the address of a part as a page to `page`, the name of an address with the same arguments.

    A browser asks for a page with `text/html` in `Accept`; htmx and `fetch` do not. `Sec-Fetch-Mode` would tell it too,
    but is not sent without https.
    """

    def decorator(view: _View) -> _View:
        @wraps(view)
        def shown(request: DeskRequest, **kwargs: Any) -> HttpResponse:
            if not request.htmx and "text/html" in request.headers.get("Accept", ""):
                return HttpResponseRedirect(reverse(page, kwargs=kwargs))
            return view(request, **kwargs)

        return shown

    return decorator
