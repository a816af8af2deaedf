"""What destroys or buys asks first: a dialog where scripts run, a page where they do not.

A form holds its question in the field `confirm`, or its button does. The answer is the field `confirmed`: the dialog's
script adds it, and the page has it in a form with the same fields.
"""

from collections.abc import Callable
from html import escape
from typing import Any, TypeVar

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils.safestring import SafeString

from lib.web.urls import page_before

QUESTION, ANSWER = "confirm", "confirmed"
_MAX_QUESTION = 500
# Not sent on: the page's form has a token of its own, and asks no more.
_OF_THE_FORM = ("csrfmiddlewaretoken", QUESTION)


View = TypeVar("View", bound=Callable[..., HttpResponseBase])


def never_asks(view: View) -> View:
    """Declare a view whose form asks nothing: a question that comes along is from another form of the page."""
    view.never_asks = True  # type: ignore[attr-defined]
    return view


def field(question: str) -> SafeString:
    """Return the field by which a form asks `question` before it does anything."""
    # A desk has two for each card: `format_html` takes six times as long.
    return SafeString(f'<input type="hidden" name="{QUESTION}" value="{escape(str(question))}">')


class ConfirmationMiddleware:
    """Answer a form that asks, and was not agreed to, with its question and the same form once more.

    A request of htmx comes from a script, where the question belongs to the script. It must come after the CSRF check, so
    that nobody else's page can put a question of its own here.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., HttpResponseBase], args: Any, kwargs: Any
    ) -> HttpResponse | None:
        if request.method != "POST" or getattr(view, "csrf_exempt", False) or getattr(view, "never_asks", False):
            return None
        if "HX-Request" in request.headers:
            return None
        question = request.POST.get(QUESTION)
        if not question or ANSWER in request.POST:
            return None
        fields = [
            (name, value) for name, values in request.POST.lists() for value in values if name not in _OF_THE_FORM
        ]
        context = {
            "question": question[:_MAX_QUESTION],
            "fields": [*fields, (ANSWER, "yes")],
            "back": page_before(request),
        }
        response = render(request, "confirmation.html", context)
        response["Cache-Control"] = "no-store"
        return response
