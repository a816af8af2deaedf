"""The step of a sign-in that asks for two-factor authentication."""

from allauth.mfa.stages import AuthenticateStage
from django.http import HttpRequest

from accounts.single_sign_on import provider_sessions


class TwoFactorUnlessAtProvider(AuthenticateStage):  # type: ignore[misc]  # allauth has no types
    """allauth's step, left out where the provider says that it checked a second factor itself."""

    def _should_handle(self, request: HttpRequest) -> bool:
        login = (self.login.signal_kwargs or {}).get("sociallogin")
        return not provider_sessions.had_two_factor(login) and bool(super()._should_handle(request))
