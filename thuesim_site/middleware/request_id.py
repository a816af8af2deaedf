"""Give each request an id, which its log lines and its answer name."""

import re
import secrets
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from lib import log_lines

HEADER = "X-Request-ID"
_GIVEN = re.compile(r"[A-Za-z0-9._-]{1,64}")


class RequestIdMiddleware:
    """Take the id of the proxy or the program that asks, where it is one; else make one. The answer has it, too."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get(HEADER, "")
        request_id = given if _GIVEN.fullmatch(given) else secrets.token_hex(8)
        with log_lines.about(request=request_id):
            response = self.get_response(request)
        response.headers[HEADER] = request_id
        return response
