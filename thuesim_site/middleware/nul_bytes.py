"""What is sent to any page holds no NUL: no browser sends one, and PostgreSQL keeps none."""

from collections.abc import Callable
from typing import Any

from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse


class TextsMiddleware:
    """Answers 400 to an address or a form with a NUL in it, before any page looks something up by it.

    What ThueSim posts is read by its own view as it is: the body of a page without a CSRF token is left alone.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Callable[..., Any], args: Any, kwargs: Any) -> None:
        sent = [request.GET] if getattr(view, "csrf_exempt", False) else [request.GET, request.POST]
        if any("\0" in text for query in sent for name, texts in query.lists() for text in (name, *texts)):
            raise BadRequest("A text holds a NUL.")
