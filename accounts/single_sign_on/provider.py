"""allauth's OpenID Connect provider, with what it leaves out: a nonce, each ID token's signature, and whose answer it is.

State and PKCE are allauth's. The address of the answer is another one for each provider, and the state belongs to it, so
that no provider can pass its answer off as another's (mix-up).
"""

import hmac
import secrets
from typing import Any

from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialLogin, SocialToken
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.conf import settings
from django.http import HttpRequest, HttpResponse

from accounts.single_sign_on import claims as claim
from accounts.single_sign_on.failures import Failure, Refused
from lib.network import oidc_documents
from lib.network.oidc_documents import TokenRefused
from lib.network.oidc_providers import Provider
from lib.web.urls import absolute_reverse

MAX_SUBJECT = 191  # characters, of its column
_SIGN_IN, _CONNECT = "login", "connect"
# Claims that the ID token alone may say: what the userinfo endpoint sends is not signed.
_SIGNED = ("iss", "sub", "aud", "nonce", "amr", "acr", "sid", "auth_time")


def named(provider_id: str) -> Provider | None:
    """Return the provider of this id, None where the settings name none."""
    provider: Provider | None = settings.OIDC_PROVIDERS.get(provider_id)
    return provider


class DeskOAuth2Adapter(OpenIDConnectOAuth2Adapter):  # type: ignore[misc]  # allauth has no types
    """Exchanges the code of an answer for the claims about a person."""

    nonce = ""

    @property
    def named_provider(self) -> Provider:
        provider: Provider = settings.OIDC_PROVIDERS[self.provider_id]
        return provider

    @property
    def openid_config(self) -> dict[str, Any]:
        return oidc_documents.discover(self.named_provider)

    def get_callback_url(self, request: HttpRequest, app: Any) -> str:
        """Return where the provider sends the person back to: under `DESK_PUBLIC_URL`, whatever the `Host` says."""
        return absolute_reverse("openid_connect_callback", args=[self.provider_id], request=request)

    def complete_login(self, request: HttpRequest, app: Any, token: SocialToken, **kwargs: Any) -> SocialLogin:
        """Return the login that the answer of the token endpoint stands for. Raises `Refused`."""
        raw = kwargs["response"].get("id_token")
        if not isinstance(raw, str):
            raise Refused(Failure.ANSWER_WRONG, "there is no ID token")
        try:
            signed = oidc_documents.decode(self.named_provider, raw, required=("sub", "exp"))
        except TokenRefused as refused:
            raise Refused(Failure.ANSWER_WRONG, f"ID token: {refused}") from None
        if not self.nonce or not hmac.compare_digest(str(signed.get("nonce", "")), self.nonce):
            raise Refused(Failure.ANSWER_WRONG, "the nonce is another one")
        subject = signed["sub"]
        if not isinstance(subject, str) or not 0 < len(subject) <= MAX_SUBJECT:
            raise Refused(Failure.ANSWER_WRONG, "the subject is no text that fits")
        more_claims = oidc_documents.userinfo(self.named_provider, token.token)
        if more_claims and more_claims.get("sub") != subject:
            raise Refused(Failure.ANSWER_WRONG, "userinfo is about another person")
        claims = {**signed, **{name: value for name, value in more_claims.items() if name not in _SIGNED}}
        login: SocialLogin = self.get_provider().sociallogin_from_response(request, claims)
        login.claims, login.id_token = claims, raw
        return login


class DeskProvider(OpenIDConnectProvider):  # type: ignore[misc]  # allauth has no types
    """A provider that `DESK_OIDC` names."""

    oauth2_adapter_class = DeskOAuth2Adapter
    pkce_enabled_default = True

    @property
    def named_provider(self) -> Provider:
        provider: Provider = settings.OIDC_PROVIDERS[self.app.provider_id]
        return provider

    def get_scope(self) -> list[str]:
        return list(self.named_provider.scopes)

    def get_scope_from_request(self, request: HttpRequest) -> list[str]:
        """Leave out what the address asks for: a link must not widen what the desk gets."""
        return self.get_scope()

    def get_auth_params_from_request(self, request: HttpRequest, action: str) -> dict[str, str]:
        """Ask for the password again where the page wants a fresh sign-in. The address adds nothing else."""
        return {"prompt": "login", "max_age": "0"} if request.POST.get("fresh") else {}

    def get_redirect_from_request_kwargs(self, request: HttpRequest) -> dict[str, Any]:
        wanted: dict[str, Any] = super().get_redirect_from_request_kwargs(request)
        wanted["process"] = _CONNECT if wanted["process"] == _CONNECT else _SIGN_IN
        return wanted

    def redirect(self, request: HttpRequest, process: str, *args: Any, **kwargs: Any) -> HttpResponse:
        nonce = secrets.token_urlsafe(32)
        kwargs["auth_params"] = {**kwargs.get("auth_params", {}), "nonce": nonce}
        response: HttpResponse = super().redirect(request, process, *args, nonce=nonce, **kwargs)
        return response

    def serialize(self) -> dict[str, Any]:
        """Name the provider by its id: two may have the same client id."""
        return {"id": self.sub_id}

    def extract_uid(self, data: dict[str, Any]) -> str:
        return str(data["sub"])

    def extract_extra_data(self, data: dict[str, Any]) -> dict[str, Any]:
        """Keep what the page of the account shows, and no other claim."""
        shown = {name: claim.text(data, name)[:254] for name in ("email", "name", "preferred_username")}
        return {name: value for name, value in shown.items() if value}

    def extract_common_fields(self, data: dict[str, Any]) -> dict[str, Any]:
        return {}

    def extract_email_addresses(self, data: dict[str, Any]) -> list[EmailAddress]:
        return []


provider_classes = [DeskProvider]
