"""What sets the API apart from the pages: no cookie counts, and every error is a problem document."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import translation
from django.utils.translation import gettext as _

from api import PREFIX
from api.authentication import usage_of
from api.problems import CONTENT_TYPE, Problem

# These are for people who are signed in, too.
FOR_PEOPLE = ("/api/v1/docs", "/api/v1/docs/events", "/api/v1/openapi.json")


class ApiMiddleware:
    """Comes first, so that it sees what the other middleware answers in the place of a call: an outage, a wrong host.

    Without cookies there is no session: no redirect to the sign-in or to a set-up page, no language but
    `Accept-Language`. A key that came without TLS to a desk that has an https address is refused, not redirected.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.path_info.startswith(PREFIX):
            return self.get_response(request)
        if request.path_info not in FOR_PEOPLE or request.headers.get("Authorization"):
            request.COOKIES = {}
        if settings.SECURE_SSL_REDIRECT and not request.is_secure():
            with _language_of(request):
                sentence = _("Use the https address of the desk, and replace this key: it was sent in the clear.")
                return Problem(403, "https_required", sentence).response()
        response = self.get_response(request)
        if response.status_code >= 400 and response.headers.get("Content-Type") != CONTENT_TYPE:
            response = _as_problem(request, response)
        if (usage := usage_of(request)) is not None:
            for name, value in usage.headers.items():
                response.headers[name] = value
        return response


def _as_problem(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    kept = ("Retry-After", "Allow", "Content-Range")
    headers = {name: response.headers[name] for name in kept if name in response.headers}
    with _language_of(request):
        return Problem(response.status_code, headers=headers).response()


def _language_of(request: HttpRequest) -> translation.override:
    return translation.override(translation.get_language_from_request(request))
