"""How allauth's sign-in through a provider behaves here: who is let in, and what their groups give them."""

import logging
from typing import Any, NoReturn

import requests
from allauth.core.internal.urlkit import script_aware_resolve
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialLogin
from django.conf import settings
from django.db import IntegrityError, transaction
from django.http import HttpRequest
from django.urls import Resolver404, reverse

from accounts import audit, invitations, memberships
from accounts.audit import Action
from accounts.models import Invitation, User
from accounts.single_sign_on import claims as claim
from accounts.single_sign_on import groups, people
from accounts.single_sign_on.failures import Failure, Refused
from accounts.single_sign_on.provider import DeskProvider
from lib.network.oidc_documents import BoundedSession
from lib.network.oidc_providers import Provider

CONNECT = "connect"

logger = logging.getLogger(__name__)


class ProviderSignIn(DefaultSocialAccountAdapter):  # type: ignore[misc]  # allauth has no types
    """Reads the providers from the settings alone, and makes every decision before allauth signs anyone in."""

    def list_apps(
        self, request: HttpRequest, provider: str | None = None, client_id: str | None = None
    ) -> list[SocialApp]:
        """Return the providers of the settings as allauth has them, without a query."""
        return [
            SocialApp(
                provider=DeskProvider.id,
                provider_id=each.id,
                name=each.name[:40],
                client_id=each.client_id,
                secret=each.client_secret,
                settings={"server_url": each.issuer},
            )
            for each in settings.OIDC_PROVIDERS.values()
            if provider in {None, DeskProvider.id, each.id} and client_id in {None, each.client_id}
        ]

    def get_requests_session(self) -> BoundedSession:
        return BoundedSession()

    def authenticate_by_email(self, sociallogin: SocialLogin) -> None:
        """Find nobody: `people.by_email` does, by rules of its own."""

    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        """Never through allauth: `admit` has made the account of a new person by then."""
        return False

    def get_connect_redirect_url(self, request: HttpRequest, socialaccount: SocialAccount) -> str:
        return f"{reverse('account_page')}#providers"

    def on_authentication_error(
        self,
        request: HttpRequest,
        provider: DeskProvider,
        error: Any = None,
        exception: Exception | None = None,
        extra_context: Any = None,
    ) -> NoReturn:
        """Raise `Refused` in place of allauth's page. The text of an exception may hold what the provider sent."""
        if isinstance(exception, requests.RequestException):
            raise Refused(Failure.PROVIDER_DOWN, f"no answer to the code ({type(exception).__name__})") from None
        if exception is not None:
            raise Refused(Failure.ANSWER_WRONG, f"no token for the code ({type(exception).__name__})") from None
        code = request.GET.get("error", "")
        denied = code in {"access_denied", "login_required", "consent_required", "interaction_required"}
        raise Refused(Failure.DENIED if denied else Failure.ANSWER_WRONG, f"the provider says {code[:40]!r}")

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        provider: Provider = settings.OIDC_PROVIDERS[sociallogin.account.provider]
        known = sociallogin.user if sociallogin.is_existing else None
        if sociallogin.state.get("process") == CONNECT:
            if not request.user.is_authenticated:
                raise Refused(Failure.STATE_LOST, "signed out before the answer came")
            claim.check_required(provider, sociallogin.claims)
            if known is not None and known != request.user:
                raise Refused(Failure.CONNECTED_ELSEWHERE, "connected with another person")
            return
        try:
            admit(provider, sociallogin, known)
        except IntegrityError:  # the same person came twice at once
            raise Refused(Failure.STATE_LOST, "made by another request meanwhile") from None
        sociallogin.state |= {
            "sid": str(sociallogin.claims.get("sid", ""))[:200],
            "two_factor": claim.answers_two_factor(provider, sociallogin.claims),
            **({"id_token": sociallogin.id_token} if provider.sign_out else {}),
        }


def admit(provider: Provider, login: SocialLogin, known: User | None) -> None:
    """Decide who signs in, and give them what their groups say. `login.user` is then an account that is stored.

    Raises `Refused` where nobody does.
    """
    claims = login.claims
    claim.check_required(provider, claims)
    rights = groups.granted(provider.id, claim.groups(provider, claims))
    invitation = _invitation(login)
    with transaction.atomic():
        person = known or people.by_email(provider, claims)
        if person is not None and not person.is_active:
            raise Refused(Failure.DEACTIVATED, "the account is deactivated")
        if person is None:
            if not rights and invitation is None:
                raise Refused(Failure.NO_TEAM, "no rule for the groups of a new person")
            teams = [*rights.roles, *([invitation.team_id] if invitation else [])]
            person = people.create(provider, login, claims, teams=teams)
        elif known is None:
            people.link(person, login, claim.verified_email(claims))
        groups.apply(person, provider.id, rights)
        has_place = person.is_staff or invitation is not None or person.memberships.exists()
        if not has_place:
            memberships.revoke_keys(person, person)
            memberships.end_sessions(person)
    if not has_place:
        raise Refused(Failure.NO_TEAM, "no rule for the groups, and no team by hand")


def _invitation(login: SocialLogin) -> Invitation | None:
    """Return the invitation whose link the person came from, if it is usable."""
    address = str(login.state.get("next") or "")
    try:
        match = script_aware_resolve(address.partition("?")[0])
    except Resolver404:
        return None
    return invitations.find(match.kwargs["secret"]) if match.url_name == "join" else None


def record_refusal(request: HttpRequest, provider: Provider, refused: Refused) -> None:
    """Write why nobody was signed in: to the log, and to the audit log unless a stranger could fill it up."""
    logger.warning("Sign-in through %s: %s (%s)", provider.id, refused.failure.name, refused.reason)
    if refused.failure not in {Failure.STATE_LOST, Failure.PROVIDER_DOWN}:
        audit.record(
            Action.SIGN_IN_FAILED,
            request=request,
            detail={"single sign-on": provider.id, "why": refused.failure.name.lower()},
        )
