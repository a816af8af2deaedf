"""Audit records of what Django and allauth announce by signals: sign-ins and failures, passwords, two-factor methods."""

from typing import Any

from allauth.account import signals as account
from allauth.mfa import signals as mfa
from allauth.mfa.models import Authenticator
from allauth.socialaccount import signals as social
from allauth.socialaccount.models import SocialLogin
from django.contrib.auth import signals as auth
from django.dispatch import receiver
from django.http import HttpRequest

from accounts import audit, first_team, notices
from accounts.allauth_adapters import account_named
from accounts.audit import Action
from accounts.models import User
from lib import announce


@receiver(auth.user_logged_in)
def signed_in(request: HttpRequest, user: User, **kwargs: Any) -> None:
    methods = request.session.get("account_authentication_methods", [])
    first_team.name_for_first_person()
    by = [str(method.get("type") or method.get("provider") or method.get("method", "")) for method in methods]
    audit.record(Action.SIGN_IN, person=user, request=request, detail={"by": by})


@receiver(social.social_account_added)
def provider_connected(request: HttpRequest, sociallogin: SocialLogin, **kwargs: Any) -> None:
    detail = {"single sign-on": sociallogin.account.provider}
    audit.record(Action.PROVIDER_CONNECTED, person=sociallogin.user, request=request, detail=detail)
    notices.tell(sociallogin.user, Action.PROVIDER_CONNECTED)


@receiver(auth.user_logged_out)
def signed_out(request: HttpRequest, user: User | None, **kwargs: Any) -> None:
    if user is not None:
        audit.record(Action.SIGN_OUT, person=user, request=request)
        # Django sends this signal before it ends the session, and the screens check at once.
        request.session.flush()
        announce.person(user.pk)


@receiver(auth.user_login_failed)
def sign_in_failed(credentials: dict[str, Any], request: HttpRequest | None = None, **kwargs: Any) -> None:
    audit.record(Action.SIGN_IN_FAILED, person=account_named(credentials), request=request)


@receiver([account.password_changed, account.password_set])
def password_changed(request: HttpRequest, user: User, **kwargs: Any) -> None:
    audit.record(Action.PASSWORD_CHANGED, person=user, request=request)
    notices.tell(user, Action.PASSWORD_CHANGED)
    announce.person(user.pk)


@receiver(account.password_reset)
def password_reset(request: HttpRequest, user: User, **kwargs: Any) -> None:
    audit.record(Action.PASSWORD_RESET, person=user, request=request)
    notices.tell(user, Action.PASSWORD_RESET)
    announce.person(user.pk)


@receiver(mfa.authentication_failed)
def two_factor_failed(request: HttpRequest, user: User, **kwargs: Any) -> None:
    audit.record(Action.TWO_FACTOR_FAILED, person=user, request=request)


@receiver([mfa.authenticator_added, mfa.authenticator_reset])
def two_factor_added(request: HttpRequest, user: User, authenticator: Authenticator, **kwargs: Any) -> None:
    codes = authenticator.type == Authenticator.Type.RECOVERY_CODES
    action = Action.RECOVERY_CODES_MADE if codes else Action.TWO_FACTOR_ADDED
    audit.record(action, person=user, request=request, detail={"kind": str(authenticator.type)})
    notices.tell(user, action)
    announce.person(user.pk)


@receiver(mfa.authenticator_removed)
def two_factor_removed(request: HttpRequest, user: User, authenticator: Authenticator, **kwargs: Any) -> None:
    audit.record(Action.TWO_FACTOR_REMOVED, person=user, request=request, detail={"kind": str(authenticator.type)})
    notices.tell(user, Action.TWO_FACTOR_REMOVED)
    announce.person(user.pk)
