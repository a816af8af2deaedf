"""Middleware: what a signed-in person may do, the language and the time zone they read, and the way to the sign-in."""

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
from accounts.desk_request import asking_address
from accounts.policy import access_for
from lib.time_zones import reading_in

# The pages that a person reaches without the two-factor authentication that their team requires: set-up, help, sign-out.
_WITHOUT_TWO_FACTOR = (
    "account_",
    "mfa_",
    "usersessions_",
    "openid_connect_",
    "break_glass",
    "help",
    "language",
    "team_switch",
    "manifest",
    "service_worker",
    "offline",
    "healthz",
    "readyz",
    "readyz_web",
    "metrics",
)


class PersonMiddleware:
    """Set `request.access`, computed at its first use, and the person's own language in place of the browser's,
    and write times in their zone.

    Where the team requires two-factor authentication and the person has none, every page leads to its set-up.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        user = request.user
        time_zone = ""
        if user.is_authenticated:
            time_zone = user.time_zone
            request.access = SimpleLazyObject(lambda: access_for(user))  # type: ignore[attr-defined]
            if user.language:
                translation.activate(user.language)
                request.LANGUAGE_CODE = translation.get_language()
        with audit.during(request), reading_in(time_zone):
            return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., HttpResponseBase], args: Any, kwargs: Any
    ) -> HttpResponse | None:
        access = getattr(request, "access", None)
        name = (request.resolver_match and request.resolver_match.view_name) or ""
        if access is None or name.startswith(_WITHOUT_TWO_FACTOR) or not access.needs_two_factor:
            return None
        if request.headers.get("HX-Request") == "true":
            return HttpResponseClientRedirect(resolve_url("mfa_index"))
        return redirect("mfa_index")


class SignInRequiredMiddleware(LoginRequiredMiddleware):
    """Django's middleware, but an htmx request makes the whole browser go to the sign-in, and back to its page after."""

    def handle_no_permission(  # type: ignore[override]  # django-htmx's redirect is one as well
        self, request: HttpRequest, view_func: Callable[..., HttpResponseBase]
    ) -> HttpResponseRedirectBase:
        htmx = getattr(request, "htmx", None)
        if not htmx:
            return super().handle_no_permission(request, view_func)
        sign_in = redirect_to_login(asking_address(request) or "/", resolve_url(settings.LOGIN_URL))
        return HttpResponseClientRedirect(sign_in.url)
