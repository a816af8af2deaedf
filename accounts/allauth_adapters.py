"""How allauth behaves here: signing up needs an invitation, the last two-factor method stays where a team
requires one, and an ended session is recorded and closes its open screens."""

import base64
import ipaddress
import secrets
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.auth_backends import AuthenticationBackend
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from allauth.usersessions.adapter import DefaultUserSessionsAdapter
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.utils import translation
from django.utils.translation import gettext_lazy as _

from accounts import audit, mail, memberships
from accounts.models import User
from accounts.policy import must_keep_two_factor, two_factor_methods
from accounts.sign_in import throttle
from accounts.single_sign_on import connections, provider_sessions
from lib import encryption
from lib.web.urls import absolute_reverse

# A throttled sign-in is recorded at most once in this time per address, so that failed sign-ins cannot flood the table.
THROTTLED_SECONDS = 60


class ClosedSignup(DefaultAccountAdapter):
    """People are added by a manager or an admin."""

    error_messages = {
        **DefaultAccountAdapter.error_messages,
        **dict.fromkeys(
            ("username_password_mismatch", "email_password_mismatch"),
            _("The user name, the e-mail or the password is wrong."),
        ),
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def is_reauthentication_required(self, *, app: str, **kwargs: Any) -> bool:
        """For connecting an account at a provider, the sign-in itself counts as well while it is fresh."""
        if app == "allauth.socialaccount" and connections.is_fresh(self.request):
            return False
        return bool(super().is_reauthentication_required(app=app, **kwargs))

    def get_client_ip(self, request: HttpRequest) -> str:
        """Return the client's address; an IPv4 address in IPv6 notation as IPv4, or all of them would be one /64."""
        address = str(super().get_client_ip(request)).partition("%")[0]
        try:
            return str(ipaddress.IPv6Address(address).ipv4_mapped or address)
        except ValueError:  # IPv4, or what a proxy took for an address
            return address

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Refuse after too many failures, per account and per address, and write it to the audit log.

        A device that the account was signed in with before has a count of its own.
        """
        if not settings.PASSWORDS:
            raise ValidationError(
                _("Passwords are switched off on this desk. Sign in with the button of your provider.")
            )
        person = account_named(credentials)
        self._login_failed_rl_usage = throttle.count_known_device(request, person)
        if self._login_failed_rl_usage:
            return
        try:
            super().pre_authenticate(request, **credentials)
        except ValidationError:
            address = self.get_client_ip(request)
            if cache.add(f"sign-in-throttled:{address}", 1, THROTTLED_SECONDS):
                audit.record(audit.Action.SIGN_IN_THROTTLED, person=person, request=request)
            raise

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        """Return what the failures of an account are counted under: one key for its user name and its e-mail.

        allauth's has the request's Host as well, whose port the sender is free to choose: a new count with each.
        """
        person = account_named(credentials)
        return f"account:{person.pk}" if person else f"name:{_typed_name(credentials).lower()}"

    def post_login(self, request: HttpRequest, user: User, **kwargs: Any) -> HttpResponse:
        provider_login = (kwargs.get("signal_kwargs") or {}).get("sociallogin")
        provider_sessions.note_two_factor(user, provider_login)
        response: HttpResponse = super().post_login(request, user, **kwargs)
        if provider_login is not None:
            provider_sessions.begin(request, provider_login)
        throttle.remember_device(request, response, user)
        return response

    def get_login_stages(self) -> list[str]:
        """Ask for two-factor authentication unless the provider did."""
        own = {"allauth.mfa.stages.AuthenticateStage": "accounts.single_sign_on.stages.TwoFactorUnlessAtProvider"}
        return [own.get(stage, stage) for stage in super().get_login_stages()]

    def get_reset_password_from_key_url(self, key: str) -> str:
        """Return the address at which a new password is set. With `PUBLIC_URL`, the request's Host plays no part in it."""
        form = absolute_reverse(
            "account_reset_password_from_key", kwargs={"uidb36": "UID", "key": "KEY"}, request=self.request
        )
        return form.replace("UID-KEY", quote(key))

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Send an e-mail in the person's language, beside the request."""
        person = context.get("user")
        with translation.override(getattr(person, "language", "") or translation.get_language()):
            message = self.render_mail(template_prefix, email, {"request": self.request, "email": email, **context})
        mail.send(message)


def account_named(credentials: dict[str, Any]) -> User | None:
    """Return the account that was typed in at the sign-in. No other name is recorded: it may be a mistyped password."""
    name = _typed_name(credentials)
    lookup = {"email__iexact": name} if "@" in name else {"username__iexact": name}
    return User.objects.filter(**lookup).first() if name else None


def _typed_name(credentials: dict[str, Any]) -> str:
    return str(credentials.get("username") or credentials.get("email") or "")


class RequiredTwoFactor(DefaultMFAAdapter):
    """A person whose team requires two-factor authentication cannot remove their last method."""

    error_messages = {
        **DefaultMFAAdapter.error_messages,
        "cannot_delete_authenticator": _(
            "Your team requires two-factor authentication. Add another method before you remove this one."
        ),
    }

    def encrypt(self, text: str) -> str:
        """Encrypt with the keys of the API tokens: a leaked database alone does not let an attacker generate codes."""
        return encryption.encrypt(text)

    def decrypt(self, encrypted_text: str) -> str:
        """Return the secret. A secret that was stored before there was encryption is returned as it is.

        Where the key is lost, it is a random secret, which fits no code: an attacker could compute the codes of an
        empty one.
        """
        if not encryption.is_encrypted(encrypted_text):
            return encrypted_text
        return encryption.decrypt(encrypted_text) or base64.b32encode(secrets.token_bytes(20)).decode()

    def can_delete_authenticator(self, authenticator: Authenticator) -> bool:
        others = two_factor_methods(authenticator.user_id).exclude(pk=authenticator.pk)
        return others.exists() or not must_keep_two_factor(authenticator.user)


class WatchedSessions(DefaultUserSessionsAdapter):
    """Ending a session records it and closes its open screens."""

    def end_sessions(self, sessions: Sequence[UserSession]) -> None:
        super().end_sessions(sessions)
        for person in {session.user for session in sessions}:
            memberships.record_ended_sessions(
                person, by=person, count=sum(session.user_id == person.pk for session in sessions)
            )


class OneCheck(AuthenticationBackend):
    """Hash one password per sign-in attempt, so that the time of the answer does not tell whether an account exists.

    allauth looks an e-mail up twice, as an e-mail and as a user name, and would hash twice for a known address and once
    for an unknown one. Django makes a new backend for each attempt.
    """

    def __init__(self) -> None:
        self._checked: set[int] = set()

    def get_user(self, user_id: int) -> User | None:
        """Return an account that may sign in. Every request asks: its SQL is written out, as that of `accounts.policy`."""
        for person in User.objects.raw("SELECT * FROM accounts_user WHERE id = %s", [user_id]):
            return person if self.user_can_authenticate(person) else None
        return None

    def _check_password(self, user: User | None, password: str) -> User | None:
        if user is None or user.pk in self._checked:
            return None
        self._checked.add(user.pk)
        person: User | None = super()._check_password(user, password)
        return person
