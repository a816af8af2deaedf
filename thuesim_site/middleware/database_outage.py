"""While the database is away, pages say so at once with 503, and come back as soon as it does."""

import sys
import time
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection
from django.http import HttpRequest, HttpResponse, HttpResponseServerError
from django.template.loader import render_to_string
from django.utils import translation

from accounts import one_time_keys
from lib.files import disk
from lib.web.kept_form import kept_form

RETRY_AFTER_SECONDS = 5
DISK_FULL_RETRY_SECONDS = 30
# After a page that found no database, the others do not wait for it on their threads for so long.
AWAY_SECONDS = 1.0


class DatabaseOutageMiddleware:
    """Comes first. One page a second tries whether the database is back; static files and health views always pass."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self._away_until = 0.0

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if time.monotonic() < self._away_until and not _needs_no_database(request):
            return outage_page(request)
        response = self.get_response(request)
        if getattr(response, "database_is_away", False):
            self._away_until = time.monotonic() + AWAY_SECONDS
        return response


NO_DATABASE = ("/healthz", "/readyz")
METRICS = "/metrics"


def _needs_no_database(request: HttpRequest) -> bool:
    return request.path_info.startswith(NO_DATABASE) or request.path.startswith(settings.STATIC_URL)


def outage_page(request: HttpRequest) -> HttpResponse:
    """Return the page of an outage, in the browser's language: the person's own cannot be read now. For programs that read
    `/metrics` it is one plain line, the same as that view's own."""
    if request.path_info == METRICS:
        response = HttpResponse("the database is down\n", status=503, content_type="text/plain")
    else:
        with translation.override(translation.get_language_from_request(request)):
            response = HttpResponse(render_to_string("503.html", kept_form(request)), status=503)
    response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    response.headers["Cache-Control"] = "no-store"
    return response


def disk_full_page(request: HttpRequest) -> HttpResponse:
    """Say that nothing was written, in the language of the page: what can be read still can be."""
    response = HttpResponse(render_to_string("disk_full.html", kept_form(request)), status=503)
    response.headers["Retry-After"] = str(DISK_FULL_RETRY_SECONDS)
    response.headers["Cache-Control"] = "no-store"
    return response


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's `handler500`: an outage of the database is said to be one, and so is a disk that is full. SQLite, locked by
    another program for longer than a page waits, can still be read: other pages are not kept from it."""
    if disk.refuses_writes(sys.exception()):
        return disk_full_page(request)
    if isinstance(sys.exception(), OperationalError | InterfaceError) and _is_away():
        response = outage_page(request)
        response.database_is_away = True  # type: ignore[attr-defined]
        return response
    if disk.is_busy(sys.exception()):
        return outage_page(request)
    return HttpResponseServerError(render_to_string("500.html", _kept_after_an_error(request)))


def _kept_after_an_error(request: HttpRequest) -> dict[str, Any]:
    """Return what is kept of the form. It may have been done before the error: one with a one-time key is sent again."""
    context = kept_form(request)
    if all(name != one_time_keys.FIELD for name, _value in context.get("fields", ())):
        context.pop("fields", None)
    return context


def _is_away() -> bool:
    """Whether the database itself is gone: a deadlock or a refused statement says nothing of it."""
    return connection.connection is None or not connection.is_usable()  # None: the connection was refused just now
