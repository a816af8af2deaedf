"""How allauth behaves here: nobody signs up by themselves, second steps stay where a team requires them, and what
happens to sessions is recorded and felt by the open screens."""

import base64
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
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils import translation
from django.utils.translation import gettext_lazy as _

from accounts import audit, mail, memberships
from accounts.models import User
from accounts.policy import must_keep_second_step, second_steps
from lib import encryption
from lib.urls import absolute_reverse

# The throttle's own record is written this seldom per address, so that nobody fills the table by knocking.
THROTTLED_SECONDS = 60


class ClosedSignup(DefaultAccountAdapter):  # type: ignore[misc]
    """People are added by a manager or an admin."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Refuse after too many failures, per account and per address, and say so in the audit record."""
        try:
            super().pre_authenticate(request, **credentials)
        except ValidationError:
            address = self.get_client_ip(request)
            if cache.add(f"sign-in-throttled:{address}", 1, THROTTLED_SECONDS):
                audit.record(audit.Action.SIGN_IN_THROTTLED, person=_known(credentials), request=request)
            raise

    def get_reset_password_from_key_url(self, key: str) -> str:
        """Return where a new password is set, as it is reached from outside: never by the name in a request's Host."""
        form = absolute_reverse(
            "account_reset_password_from_key", kwargs={"uidb36": "UID", "key": "KEY"}, request=self.request
        )
        return form.replace("UID-KEY", quote(key))

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Write in the person's own language, and send it beside the request."""
        person = context.get("user")
        with translation.override(getattr(person, "language", "") or translation.get_language()):
            letter = self.render_mail(template_prefix, email, {"request": self.request, "email": email, **context})
        mail.send(letter)


def _known(credentials: dict[str, Any]) -> User | None:
    """The person meant. Other names are not kept: people type passwords there by mistake."""
    name = str(credentials.get("username") or credentials.get("email") or "")
    wanted = {"email__iexact": name} if "@" in name else {"username__iexact": name}
    return User.objects.filter(**wanted).first() if name else None


class KeptSecondStep(DefaultMFAAdapter):  # type: ignore[misc]
    """The last second step of somebody whose team requires one cannot be taken away."""

    error_messages = {
        **DefaultMFAAdapter.error_messages,
        "cannot_delete_authenticator": _("Your team requires a second step. Add another one before you remove this."),
    }

    def encrypt(self, text: str) -> str:
        """With the keys of the API tokens: whoever reads the database alone makes nobody's codes."""
        return encryption.encrypt(text)

    def decrypt(self, encrypted_text: str) -> str:
        """A secret from before there was encryption is read as it is. One whose key is lost fits no code: an empty one
        would fit a code that anybody can reckon."""
        if not encryption.is_encrypted(encrypted_text):
            return encrypted_text
        return encryption.decrypt(encrypted_text) or base64.b32encode(secrets.token_bytes(20)).decode()

    def can_delete_authenticator(self, authenticator: Authenticator) -> bool:
        others = second_steps(authenticator.user_id).exclude(pk=authenticator.pk)
        return others.exists() or not must_keep_second_step(authenticator.user)


class WatchedSessions(DefaultUserSessionsAdapter):  # type: ignore[misc]
    """A session that is ended takes its open screens along."""

    def end_sessions(self, sessions: Sequence[UserSession]) -> None:
        super().end_sessions(sessions)
        for person in {session.user for session in sessions}:
            memberships.record_ended_sessions(
                person, by=person, count=sum(session.user_id == person.pk for session in sessions)
            )


class OneCheck(AuthenticationBackend):  # type: ignore[misc]
    """One password is reckoned for each try, whether there is such an account or not.

    allauth looks an e-mail up twice, as a name too: two for an address that is known, one for others, which is how long
    the answer takes. Django makes a backend for each try.
    """

    def __init__(self) -> None:
        self._checked: set[int] = set()

    def _check_password(self, user: User | None, password: str) -> User | None:
        if user is None or user.pk in self._checked:
            return None
        self._checked.add(user.pk)
        found: User | None = super()._check_password(user, password)
        return found
