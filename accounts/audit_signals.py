"""Audit records of what Django and allauth do: sign-ins and failures, passwords, second steps.

They tell it by signals alone; nothing of ours is decided here.
"""

from typing import Any

from allauth.account import signals as account
from allauth.mfa import signals as mfa
from allauth.mfa.models import Authenticator
from django.contrib.auth import signals as auth
from django.dispatch import receiver
from django.http import HttpRequest

from accounts import audit
from accounts.models import User
from lib import announce


@receiver(auth.user_logged_in)
def signed_in(request: HttpRequest, user: User, **kwargs: Any) -> None:
    methods = request.session.get("account_authentication_methods", [])
    by = [str(method.get("type") or method.get("method", "")) for method in methods]
    audit.record("sign_in", person=user, request=request, detail={"by": by})


@receiver(auth.user_logged_out)
def signed_out(request: HttpRequest, user: User | None, **kwargs: Any) -> None:
    if user is not None:
        audit.record("sign_out", person=user, request=request)
        # Django tells of it before it ends the session, and the screens look at once.
        request.session.flush()
        announce.person(user.pk)


@receiver(auth.user_login_failed)
def sign_in_failed(credentials: dict[str, Any], request: HttpRequest | None = None, **kwargs: Any) -> None:
    from accounts.allauth_adapters import _known

    audit.record("sign_in_failed", person=_known(credentials), request=request)


@receiver([account.password_changed, account.password_set])
def password_changed(request: HttpRequest, user: User, **kwargs: Any) -> None:
    audit.record("password_changed", person=user, request=request)
    announce.person(user.pk)


@receiver(account.password_reset)
def password_reset(request: HttpRequest, user: User, **kwargs: Any) -> None:
    audit.record("password_reset", person=user, request=request)
    announce.person(user.pk)


@receiver(mfa.authentication_failed)
def second_step_failed(request: HttpRequest, user: User, **kwargs: Any) -> None:
    audit.record("second_step_failed", person=user, request=request)


@receiver([mfa.authenticator_added, mfa.authenticator_reset])
def second_step_added(request: HttpRequest, user: User, authenticator: Authenticator, **kwargs: Any) -> None:
    codes = authenticator.type == Authenticator.Type.RECOVERY_CODES
    action = "recovery_codes_made" if codes else "second_step_added"
    audit.record(action, person=user, request=request, detail={"kind": str(authenticator.type)})
    announce.person(user.pk)


@receiver(mfa.authenticator_removed)
def second_step_removed(request: HttpRequest, user: User, authenticator: Authenticator, **kwargs: Any) -> None:
    audit.record("second_step_removed", person=user, request=request, detail={"kind": str(authenticator.type)})
    announce.person(user.pk)
