"""Refuse NUL in addresses and forms: no browser sends one, and PostgreSQL stores none."""

from collections.abc import Callable
from typing import Any

from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse


class NulBytesMiddleware:
    """Answer 400 to an address or a form with a NUL in it, before a view queries the database with it.

    The body of a request to a view without CSRF check is not read here: the callback's view reads what ThueSim posts.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Callable[..., Any], args: Any, kwargs: Any) -> None:
        queries = [request.GET] if getattr(view, "csrf_exempt", False) else [request.GET, request.POST]
        if any("\0" in text for query in queries for name, texts in query.lists() for text in (name, *texts)):
            raise BadRequest("A text holds a NUL.")
