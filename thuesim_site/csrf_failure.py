"""The page for a form whose CSRF token is not of this session, as after another sign-in. What was typed stays."""

from django.http import HttpRequest, HttpResponse, HttpResponseForbidden
from django.template.loader import render_to_string

from lib.kept_form import kept_form


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Django's `CSRF_FAILURE_VIEW`. The form was not taken, so it may be sent again, with the token of now: but only where
    the browser says that it was sent from here. Another site's would be sent by its reader else."""
    context = kept_form(request) if _is_from_here(request) else {}
    if "fields" in context:
        context["fields"] = [field for field in context["fields"] if field[0] != "csrfmiddlewaretoken"]
    return HttpResponseForbidden(render_to_string("403_csrf.html", context, request))


def _is_from_here(request: HttpRequest) -> bool:
    origin = f"{request.scheme}://{request.get_host()}"
    return request.headers.get("Sec-Fetch-Site") == "same-origin" or request.headers.get("Origin") == origin
