"""API keys: made, shown once, found by their digest, revoked.

A secret is `desk_` and 43 URL-safe characters: 37 random ones and a checksum of six, the CRC-32 of what stands before it.
So a scanner of secrets tells a key from a text that looks like one, and a mistyped key costs no query.
"""

import base64
import binascii
import ipaddress
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypedDict

from django.db import transaction
from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import audit, one_time_keys
from accounts.audit import Action, OncePerDay, about
from accounts.memberships import NotDone
from accounts.models import ApiKey, Scope, User
from accounts.one_time_keys import Key
from accounts.policy import Access, access_for
from lib import announce
from lib.encryption import digest

PREFIX = "desk_"
RANDOM_LENGTH, CHECKSUM_LENGTH = 37, 6
SHOWN_LENGTH = len(PREFIX) + 6  # of the secret's start, by which people tell their keys apart
# The time of the last use is written at most so often.
USED_EVERY = timedelta(minutes=1)
MAX_ADDRESSES = 20


class Bounds(TypedDict, total=False):
    """What a key may spend and until when it works. Money in whole đồng; None and absent are no bound."""

    expires_at: datetime | None
    budget_day: int | None
    budget_month: int | None
    rentals_per_day: int | None


@dataclass(frozen=True, slots=True)
class Caller:
    """A program with a valid key: the key, and what its person may do in the key's team now."""

    key: ApiKey
    access: Access

    def has(self, scope: Scope) -> bool:
        return scope in self.key.scopes


class KeyRefused(Exception):
    """A key that lets nobody in. `sentence` tells the caller why; `wrong` says that there is no such key."""

    def __init__(self, sentence: str, *, wrong: bool = False) -> None:
        super().__init__(sentence)
        self.sentence, self.wrong = sentence, wrong


def new_secret() -> str:
    """Return a new secret."""
    text = PREFIX + secrets.token_urlsafe(32)[:RANDOM_LENGTH]
    return text + _checksum(text)


def has_form(secret: str) -> bool:
    """Whether a text has the form of a secret, its checksum among it."""
    length = len(PREFIX) + RANDOM_LENGTH
    if not secret.isascii() or not secret.startswith(PREFIX) or len(secret) != length + CHECKSUM_LENGTH:
        return False
    return secret[length:] == _checksum(secret[:length])


def _checksum(text: str) -> str:
    crc = binascii.crc32(text.encode()).to_bytes(4, "big")
    return base64.urlsafe_b64encode(crc).decode()[:CHECKSUM_LENGTH]


def parse_addresses(text: str) -> list[str]:
    """Return the networks in a text, one a line or between commas: `10.0.0.0/8`, `2001:db8::/32`, `192.0.2.7`.

    Raises `NotDone` for what is none, and for more than `MAX_ADDRESSES`.
    """
    networks: list[str] = []
    for word in text.replace(",", " ").replace(";", " ").split():
        try:
            networks.append(_network(word))
        except ValueError:
            sentence = _("“%(word)s” is no address. Write addresses such as 192.0.2.7, 10.0.0.0/8 or 2001:db8::/32.")
            raise NotDone(sentence % {"word": word[:50]}) from None
    if len(networks) > MAX_ADDRESSES:
        raise NotDone(_("A key takes at most %(n)s addresses.") % {"n": MAX_ADDRESSES})
    return list(dict.fromkeys(networks))


def _network(word: str) -> str:
    """Return a network as it is compared with addresses. Raises `ValueError`."""
    network = ipaddress.ip_network(word, strict=False)
    if network.version == 4 or network.network_address.ipv4_mapped is None:
        if "%" in word:
            raise ValueError("an interface of this machine is none of the client's")
        return str(network)
    # Clients with IPv4 are seen by that address.
    return f"{network.network_address.ipv4_mapped}/{max(0, network.prefixlen - 96)}"


def make(
    by: User,
    access: Access,
    *,
    name: str,
    scopes: Collection[str],
    addresses: Sequence[str] = (),
    bounds: Bounds | None = None,
    form_key: Key | None = None,
) -> tuple[ApiKey, str]:
    """Make a key that acts as `by` in the team of `access`. Returns it with its secret, of which only the digest is kept.

    It always acts as its maker: one that acts as somebody else would read codes in that person's name.
    Raises `NotDone`; also for a form that has made a key already, whose secret was shown then.
    """
    if access.team is None or not access.may_hold_keys:
        raise NotDone(_("Only operators and managers may make API keys."))
    team, secret, chosen = access.team, new_secret(), sorted(Scope(scope).value for scope in scopes)

    def write() -> ApiKey:
        key = ApiKey.objects.create(
            team=team,
            person=by,
            name=name,
            start=secret[:SHOWN_LENGTH],
            secret_digest=digest(secret),
            scopes=chosen,
            addresses=list(addresses),
            **(bounds or {}),
        )
        detail = {"scopes": chosen, "addresses": key.addresses, "expires_at": str(key.expires_at or "")}
        detail |= {name: getattr(key, name) for name in ("budget_day", "budget_month", "rentals_per_day")}
        audit.record(Action.KEY_MADE, person=by, team=team, target=about(key), detail=detail)
        return key

    try:
        one_time_keys.raise_if_used(form_key, "key")
        return one_time_keys.once(form_key, "key", write, refusal=NotDone), secret
    except one_time_keys.DoneAlready:
        sentence = _("This form has made a key already, and it was shown then. Revoke that one if you do not have it.")
        raise NotDone(sentence) from None


def revoke(by: User, access: Access, key: ApiKey) -> bool:
    """End a key at once, also its open waits and streams. False where the person may not, or it was revoked already."""
    with transaction.atomic():
        if not ApiKey.objects.filter(access.keys(), pk=key.pk, revoked_at=None).update(revoked_at=timezone.now()):
            return False
        audit.record(Action.KEY_REVOKED, person=by, team=key.team, target=about(key))
        announce.person(key.person_id)
    return True


def authenticate(secret: str, request: HttpRequest) -> Caller:
    """Return who calls with this secret, from the address of `request`. Raises `KeyRefused`.

    Five queries, and one write a minute. What is recorded during `request` then names the key.
    """
    key = _find(secret)
    if key is None or key.revoked_at is not None:
        raise KeyRefused(_("There is no such key, or it was revoked."), wrong=key is None)
    address = request.META.get("REMOTE_ADDR") or ""
    if key.is_expired:
        used = OncePerDay(Action.KEY_EXPIRED, key.person_id, key.team_id, about(key), key.pk)
        audit.record_once_a_day([used], request=request)
        raise KeyRefused(_("This key has expired. Make a new one."))
    if key.addresses and not _is_in(address, key.addresses):
        raise KeyRefused(_("This key may not be used from this address."))
    access = access_for(key.person, team_id=key.team_id)
    if access.needs_two_factor:
        raise KeyRefused(_("The team of this key requires two-factor authentication, and its person has none."))
    if access.team is None:
        raise KeyRefused(_("The person of this key no longer works in its team."))
    _note_use(key, address)
    request.api_key = key  # type: ignore[attr-defined]
    return Caller(key, access)


def _find(secret: str) -> ApiKey | None:
    if not has_form(secret):
        return None
    return ApiKey.objects.select_related("person", "team").filter(secret_digest=digest(secret)).first()


def _note_use(key: ApiKey, address: str) -> None:
    now = timezone.now()
    if key.last_used_at is not None and key.last_used_at > now - USED_EVERY and key.last_used_from == (address or None):
        return
    stale = ApiKey.objects.filter(Q(last_used_at=None) | Q(last_used_at__lte=now), pk=key.pk)
    stale.update(last_used_at=now, last_used_from=address or None)


def _is_in(address: str, networks: Sequence[str]) -> bool:
    """Whether an address lies in one of the networks. An IPv4 address that is written as IPv6 counts as IPv4."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped:
        parsed = parsed.ipv4_mapped
    return any(parsed in ipaddress.ip_network(network) for network in networks)
