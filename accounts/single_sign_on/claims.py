"""What a provider says of a person, as the desk reads it."""

from collections.abc import Mapping
from typing import Any
from unicodedata import normalize

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from accounts.single_sign_on.failures import Failure, Refused
from lib.network.oidc_providers import Provider

MAX_GROUPS = 1000
_TRUE = (True, 1, "1", "true", "True")


def check_required(provider: Provider, claims: Mapping[str, Any]) -> None:
    """Raise `Refused` unless each claim of `require` has its value."""
    for name, value in provider.require.items():
        if value not in _texts(claims.get(name)):
            raise Refused(Failure.NOT_ALLOWED, f"the claim {name} is another one")


def groups(provider: Provider, claims: Mapping[str, Any]) -> frozenset[str]:
    """Return the groups, their names in Unicode's composed form (NFC).

    Raises `Refused` where the provider sends a link in place of them, as Entra ID does of many.
    """
    elsewhere = claims.get("_claim_names")
    if isinstance(elsewhere, dict) and provider.groups_claim in elsewhere:
        raise Refused(Failure.TOO_MANY_GROUPS, "the groups are behind a link")
    listed = _texts(_inside(claims, provider.groups_claim))
    if len(listed) > MAX_GROUPS:
        raise Refused(Failure.TOO_MANY_GROUPS, f"{len(listed)} groups")
    return frozenset(normalize("NFC", each) for each in listed)


def _inside(claims: Mapping[str, Any], name: str) -> Any:
    """Return a claim; one that has a dot in its name may be inside of another: `realm_access.roles`."""
    if name in claims or "." not in name:
        return claims.get(name)
    outer, _dot, rest = name.partition(".")
    inside = claims.get(outer)
    return _inside(inside, rest) if isinstance(inside, dict) else None


def verified_email(claims: Mapping[str, Any]) -> str:
    """Return the e-mail address that the provider has verified, `""` without one. Entra ID says it by `xms_edov`."""
    verified = claims.get("email_verified") in _TRUE or claims.get("xms_edov") in _TRUE
    return email(claims) if verified else ""


def email(claims: Mapping[str, Any]) -> str:
    """Return the e-mail address, verified or not; `""` where there is none."""
    address = claims.get("email")
    # "K" (Kelvin) is lower case "k", so another letter of another alphabet could stand for a person's own.
    if not isinstance(address, str) or len(address) > 254 or not address.isascii():
        return ""
    try:
        validate_email(address)
    except ValidationError:
        return ""
    return address.lower()


def full_name(claims: Mapping[str, Any]) -> str:
    """Return the name as people write it."""
    name = text(claims, "name") or f"{text(claims, 'given_name')} {text(claims, 'family_name')}"
    return " ".join(name.split())[:150]


def text(claims: Mapping[str, Any], name: str) -> str:
    """Return a claim that is a text, `""` for another one."""
    value = claims.get(name)
    return value if isinstance(value, str) else ""


def answers_two_factor(provider: Provider, claims: Mapping[str, Any]) -> bool:
    """Whether the provider says that it checked a second factor: by `amr` or `acr`, as the setting names their values."""
    if "*" in provider.two_factor:
        return True
    methods = {*_texts(claims.get("amr")), *_texts(claims.get("acr"))}
    return not methods.isdisjoint(provider.two_factor)


def _texts(value: Any) -> list[str]:
    """Return a claim that is one text or a list of them as a list."""
    listed = value if isinstance(value, list) else [value]
    return [each for each in listed if isinstance(each, str) and each]
