"""Sessions that began at a provider: which one, its id of the session there, and whether it checked a second factor."""

from typing import Any

from allauth.socialaccount.models import SocialAccount, SocialLogin
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.http import HttpRequest
from django.utils.http import urlencode

from accounts import memberships
from accounts.models import User
from lib import announce
from lib.network import oidc_documents
from lib.network.oidc_documents import ProviderDown
from lib.network.oidc_providers import Provider, is_safe
from lib.web.urls import absolute_reverse

SESSION_KEY = "provider"


def had_two_factor(login: SocialLogin | None) -> bool:
    """Whether a sign-in went through a provider that checked a second factor."""
    return login is not None and bool(login.state.get("two_factor"))


def note_two_factor(person: User, login: SocialLogin | None) -> None:
    """Keep what the last sign-in says of two-factor authentication at the provider.

    Where it begins to hold, the person's other sessions end: they were begun without it.
    """
    holds = had_two_factor(login)
    if person.two_factor_at_provider == holds:
        return
    if holds:
        memberships.end_sessions(person)
    User.objects.filter(pk=person.pk).update(two_factor_at_provider=holds)
    person.two_factor_at_provider = holds


def begin(request: HttpRequest, login: SocialLogin) -> None:
    """Mark the session that has just begun, so that the provider can end it."""
    begun = {"id": login.account.provider, "sid": login.state.get("sid", "")}
    UserSession.objects.filter(session_key=request.session.session_key).update(data={"provider": begun})
    request.session[SESSION_KEY] = {**begun, "id_token": login.state.get("id_token", "")}


def end(provider: Provider, *, subject: str, sid: str) -> int:
    """End the sessions of one session at the provider, or all of a person. Returns how many ended."""
    accounts = SocialAccount.objects.filter(provider=provider.id, uid=subject).select_related("user")
    if not sid:
        ended = 0
        for account in accounts:
            ended += end_all(account.user, provider)
        return ended
    sessions = UserSession.objects.filter(data__provider__id=provider.id, data__provider__sid=sid).select_related(
        "user"
    )
    if subject:
        sessions = sessions.filter(user__in=accounts.values("user"))
    ended_sessions = list(sessions)
    for session in ended_sessions:
        session.end()
    for person in {session.user for session in ended_sessions}:
        memberships.record_ended_sessions(person, by=person, count=_of(ended_sessions, person), provider=provider.id)
    return len(ended_sessions)


def end_all(person: User, provider: Provider) -> int:
    """End all sessions of a person at the provider's word. Returns how many there were."""
    count = memberships.end_sessions(person)
    if count:
        memberships.record_ended_sessions(person, by=person, count=count, provider=provider.id)
    announce.person(person.pk)
    return count


def _of(sessions: list[UserSession], person: User) -> int:
    return sum(session.user_id == person.pk for session in sessions)


def sign_out_address(request: HttpRequest) -> str:
    """Return where the browser ends its session at the provider, too (OpenID Connect RP-Initiated Logout 1.0).

    `""` where this session began elsewhere, the settings do not ask for it, or the provider has no such address or is down.
    """
    begun: dict[str, Any] = request.session.get(SESSION_KEY) or {}
    provider: Provider | None = settings.OIDC_PROVIDERS.get(begun.get("id", ""))
    if provider is None or not provider.sign_out:
        return ""
    try:
        address = oidc_documents.discover(provider).get("end_session_endpoint")
    except ProviderDown:
        return ""
    if not is_safe(address):
        return ""
    back = absolute_reverse("account_login", request=request)
    fields = {"client_id": provider.client_id, "post_logout_redirect_uri": back}
    if begun.get("id_token"):
        fields["id_token_hint"] = begun["id_token"]
    return f"{address}{'&' if '?' in str(address) else '?'}{urlencode(fields)}"
