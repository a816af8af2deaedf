"""A forgotten password: by e-mail where the desk sends it, else by a link that a manager or an admin hands over."""

from collections.abc import Callable
from functools import wraps

from allauth.account import views as allauth_views
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache

from accounts import mail
from accounts.sign_in import throttle

_View = Callable[[HttpRequest], HttpResponse]


def _by_hand_without_mail(view: _View) -> _View:
    """Where no e-mail can be sent, show who helps instead of pretending to send one."""

    @login_not_required
    @never_cache
    @wraps(view)
    def wrapped(request: HttpRequest) -> HttpResponse:
        if not settings.PASSWORDS:
            raise Http404
        if mail.sends_links():
            return view(request)
        hours = settings.PASSWORD_RESET_TIMEOUT // 3600
        return render(request, "account/password_reset_by_hand.html", {"hours": hours})

    return wrapped


password_reset = _by_hand_without_mail(allauth_views.password_reset)
password_reset_done = _by_hand_without_mail(allauth_views.password_reset_done)


@login_not_required
@never_cache
def password_reset_from_key(request: HttpRequest, uidb36: str, key: str) -> HttpResponse:
    """Let a new password be set by a link; 429 to who tries many wrong ones."""
    if not settings.PASSWORDS:
        raise Http404
    response: HttpResponse = allauth_views.password_reset_from_key(request, uidb36=uidb36, key=key)
    is_wrong = (getattr(response, "context_data", None) or {}).get("token_fail")
    return throttle.too_many(request) if is_wrong and throttle.too_many_wrong_secrets(request) else response
