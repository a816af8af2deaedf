"""A person's connections with accounts at providers, as the page of their own account shows and changes them."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from allauth.account import app_settings
from allauth.account.internal.flows.login import get_authentication_records
from allauth.account.internal.flows.reauthentication import get_reauthentication_flows
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.db import transaction
from django.http import HttpRequest
from django.utils.translation import gettext as _

from accounts import audit, memberships, notices
from accounts.audit import Action, about
from accounts.memberships import NotDone
from accounts.models import User
from accounts.single_sign_on import groups
from lib.network.oidc_providers import Provider

# What a person proves here, as allauth records it.
_OWN_METHODS = {"password", "mfa"}


@dataclass(frozen=True, slots=True)
class Connection:
    """A provider as one person has it: `account` is None while they are not connected."""

    provider: Provider
    account: SocialAccount | None

    @property
    def who(self) -> str:
        """How the person is called there."""
        claims = self.account.extra_data if self.account else {}
        return str(claims.get("email") or claims.get("preferred_username") or claims.get("name") or "")


def of(person: User) -> Sequence[Connection]:
    """Return every provider, each with the person's account there. One query, none without providers."""
    providers: Sequence[Provider] = list(settings.OIDC_PROVIDERS.values())
    if not providers:
        return []
    accounts = {account.provider: account for account in SocialAccount.objects.filter(user=person).order_by("-pk")}
    return [Connection(provider, accounts.get(provider.id)) for provider in providers]


def is_fresh(request: HttpRequest) -> bool:
    """Whether the person signed in within the last five minutes, in this session.

    A sign-in at a provider counts for those alone who have neither a password nor a second factor here: it may happen
    without a question, from an open session there.
    """
    flows = get_reauthentication_flows(request.user)
    records = get_authentication_records(request, request.user)
    counted = [each for each in records if each["method"] in _OWN_METHODS or not flows]
    return bool(counted) and time.time() - float(counted[-1]["at"]) < app_settings.REAUTHENTICATION_TIMEOUT


def disconnect(person: User, account: SocialAccount) -> None:
    """End a connection, and with it what the groups there gave. Raises `NotDone` where it is the only way to sign in."""
    others = SocialAccount.objects.filter(user=person, provider__in=settings.OIDC_PROVIDERS).exclude(pk=account.pk)
    passkeys = Authenticator.objects.filter(user=person, type=Authenticator.Type.WEBAUTHN)
    own = settings.PASSWORDS and (person.has_usable_password() or passkeys.exists())
    if not own and not others.exists():
        raise NotDone(_("This is your only way to sign in. Connect another provider, or set a password, first."))
    _remove(account, by=person)


def disconnect_by_admin(by: User, person: User) -> int:
    """End every connection of `person`, as of one who signed in to an account that is not theirs, and their sessions.

    Returns how many connections there were.
    """
    accounts = list(SocialAccount.objects.filter(user=person))
    with transaction.atomic():
        for account in accounts:
            _remove(account, by=by)
        if accounts and (count := memberships.end_sessions(person)):
            memberships.record_ended_sessions(person, by=by, count=count)
    return len(accounts)


@transaction.atomic
def _remove(account: SocialAccount, *, by: User) -> None:
    person = account.user
    account.delete()
    groups.apply(person, account.provider, groups.Granted(), why="disconnected")
    detail = {"single sign-on": account.provider}
    audit.record(Action.PROVIDER_DISCONNECTED, person=by, target=about(person), detail=detail)
    notices.tell(person, Action.PROVIDER_DISCONNECTED, by=by)
