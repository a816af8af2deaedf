"""Whose sign-in it is: a person who is connected already, one who is found by a verified e-mail address, or a new one."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount, SocialLogin
from django.db import transaction

from accounts import audit, lookalikes, memberships, notices
from accounts.audit import Action, about
from accounts.models import User
from accounts.single_sign_on import claims as claim
from accounts.single_sign_on import groups
from accounts.single_sign_on.failures import Failure, Refused
from lib.network.oidc_providers import Provider

_MAX_NAME = 40
_UNFIT = re.compile(r"[^\w.@+-]+", re.ASCII)


def by_email(provider: Provider, claims: Mapping[str, Any]) -> User | None:
    """Return the person with the e-mail address that a trusted provider has verified; None without one.

    Raises `Refused` where the address is of an account that this provider may not open.
    """
    address = claim.email(claims)
    if not address:
        return None
    people = list(User.objects.filter(email__iexact=address)[:2])
    if not people and not EmailAddress.objects.filter(email__iexact=address, verified=True).exists():
        return None
    if len(people) == 1 and provider.trust_email and claim.verified_email(claims):
        return people[0]
    raise Refused(Failure.EMAIL_TAKEN, "the e-mail address is of another account")


@transaction.atomic
def link(person: User, login: SocialLogin, address: str) -> None:
    """Connect a person with the account at the provider that has their e-mail address.

    Unless the desk has verified the address itself, another person may have typed it for an account of their own. So what
    was set up before ends: password, passkeys and app, sessions, API keys, connections with other providers and what
    the groups there gave.
    """
    detail: dict[str, object] = {"single sign-on": login.account.provider, "email": address}
    if not EmailAddress.objects.filter(user=person, email__iexact=address, verified=True).exists():
        person.set_unusable_password()
        person.save(update_fields=["password"])
        Authenticator.objects.filter(user=person).delete()
        for account in SocialAccount.objects.filter(user=person):
            account.delete()
            groups.apply(person, account.provider, groups.Granted(), why="disconnected")
        memberships.revoke_keys(person, person)
        detail["sessions"] = memberships.end_sessions(person)
        EmailAddress.objects.filter(user=person).delete()
        EmailAddress.objects.create(user=person, email=address, verified=True, primary=True)
    login.account.user = login.user = person
    login.account.save()
    audit.record(Action.PROVIDER_LINKED, person=person, target=about(person), detail=detail)
    notices.tell(person, Action.PROVIDER_LINKED)


@transaction.atomic
def create(provider: Provider, login: SocialLogin, claims: Mapping[str, Any], *, teams: Iterable[int]) -> User:
    """Make the account of a new person, without a password. Raises `Refused` without an e-mail address."""
    address = claim.email(claims)
    if not address:
        raise Refused(Failure.EMAIL_MISSING, "there is no e-mail address")
    teams, name = list(teams), claim.full_name(claims)
    if lookalikes.has_invisible(name) or lookalikes.resembled_in(teams, "", name):
        name = ""  # the user name tells them apart
    person = User(username=_username(claims, teams), first_name=name, email=address)
    person.set_unusable_password()
    person.save()
    login.account.user = login.user = person
    login.account.save()
    if provider.trust_email and claim.verified_email(claims):
        EmailAddress.objects.create(user=person, email=address, verified=True, primary=True)
    audit.record(
        Action.USER_ADD,
        person=person,
        target=about(person),
        detail={"single sign-on": provider.id, "username": [None, person.username], "email": [None, address]},
    )
    return person


def _username(claims: Mapping[str, Any], teams: Iterable[int]) -> str:
    """Return a user name that no account has and that looks like no other in the teams."""
    wanted = claim.text(claims, "preferred_username") or claim.text(claims, "nickname") or claim.email(claims)
    base = _UNFIT.sub("", wanted.partition("@")[0])[:_MAX_NAME] or "person"
    number = 1
    while True:
        name = base if number == 1 else f"{base}-{number}"
        if not User.objects.filter(username__iexact=name).exists() and not lookalikes.resembled_in(teams, name):
            return name
        number += 1
