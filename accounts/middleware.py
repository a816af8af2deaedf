"""Every page asks who is there; a signed-in request carries what its person may do, in the language they read."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.http.response import HttpResponseRedirectBase
from django.shortcuts import redirect, resolve_url
from django.utils import translation
from django.utils.functional import SimpleLazyObject
from django_htmx.http import HttpResponseClientRedirect

from accounts import audit
from accounts.policy import access_for

# What somebody without the second step that their team requires still reaches: the way to set it up, and the way out.
_WITHOUT_SECOND_STEP = ("account_", "mfa_", "usersessions_", "language", "team_switch", "healthz", "readyz", "metrics")


class PersonMiddleware:
    """`request.access` is computed at its first use; a person's own language goes before the browser's.

    Where the team requires a second step and the person has none, every page leads to its set-up.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        user = request.user
        if user.is_authenticated:
            request.access = SimpleLazyObject(lambda: access_for(user))  # type: ignore[attr-defined]
            if user.language:
                translation.activate(user.language)
                request.LANGUAGE_CODE = translation.get_language()
        with audit.during(request):
            return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., HttpResponseBase], args: Any, kwargs: Any
    ) -> HttpResponse | None:
        access = getattr(request, "access", None)
        name = (request.resolver_match and request.resolver_match.view_name) or ""
        if access is None or name.startswith(_WITHOUT_SECOND_STEP) or not access.needs_second_step:
            return None
        if request.headers.get("HX-Request") == "true":
            return HttpResponseClientRedirect(resolve_url("mfa_index"))
        return redirect("mfa_index")


class SignInRequiredMiddleware(LoginRequiredMiddleware):
    """Django's own, but that the redirect of an htmx request leads the browser itself away, and back to its page."""

    def handle_no_permission(  # type: ignore[override]  # django-htmx's redirect is one as well
        self, request: HttpRequest, view_func: Callable[..., HttpResponseBase]
    ) -> HttpResponseRedirectBase:
        htmx = getattr(request, "htmx", None)
        if not htmx:
            return super().handle_no_permission(request, view_func)
        sign_in = redirect_to_login(htmx.current_url_abs_path or "/", resolve_url(settings.LOGIN_URL))
        return HttpResponseClientRedirect(sign_in.url)
