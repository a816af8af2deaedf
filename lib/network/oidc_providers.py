"""The single sign-on providers that a setting names, in TOML: one table for each provider.

    [company]
    name = "Our company"
    issuer = "https://sso.example.com/realms/office"
    client_id = "desk"
    client_secret = "…"

What each entry means: docs/single-sign-on.md.
"""

import ipaddress
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any
from urllib.parse import urlsplit

MAX_PROVIDERS = 20
_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,38}")
_REQUIRED = ("issuer", "client_id", "client_secret")


@dataclass(frozen=True)
class Provider:
    """One provider. Its `id` stands in addresses and rows and never changes; `two_factor` are values of `acr` and `amr`."""

    id: str
    name: str
    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    groups_claim: str = "groups"
    trust_email: bool = False
    two_factor: tuple[str, ...] = ()
    require: Mapping[str, str] = field(default_factory=dict)
    sign_out: bool = False


def parse(text: str) -> dict[str, Provider]:
    """Return the providers in `text` by their id. Raises `ValueError` with a clause that repeats no value."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"\(at [^()]*\)$", str(error))
        raise ValueError(f"is no TOML {place[0] if place else ''}".rstrip()) from None
    if len(tables) > MAX_PROVIDERS:
        raise ValueError(f"may name at most {MAX_PROVIDERS} providers")
    return {name: _provider(name, table) for name, table in tables.items()}


def _provider(name: str, table: Any) -> Provider:
    if not _ID.fullmatch(name):
        raise ValueError("must call each provider by small letters, digits and hyphens, such as [company]")
    if not isinstance(table, dict):
        raise ValueError(  # noqa: TRY004 - about a text that a person wrote
            f"must give {name} as a table, [{name}], with an issuer, a client_id and a client_secret"
        )
    known = {each.name for each in fields(Provider)} - {"id"}
    if unknown := sorted(set(table) - known):
        raise ValueError(f"has an unknown entry {unknown[0]!r} in [{name}]; there are {', '.join(sorted(known))}")
    for entry in _REQUIRED:
        if not table.get(entry):
            raise ValueError(f"lacks the {entry} in [{name}]")
    values = {"name": name, **{entry: _value(name, entry, value) for entry, value in table.items()}}
    if "openid" not in values.get("scopes", ("openid",)):
        raise ValueError(f"must have openid among the scopes in [{name}]")
    return Provider(id=name, **values)


def _value(name: str, entry: str, value: Any) -> Any:
    """Return the value of an entry as `Provider` has it. Raises `ValueError`."""
    if entry == "require":
        if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
            raise ValueError(f'must write require in [{name}] as {{ claim = "value" }}')
        return dict(value)
    if entry in {"scopes", "two_factor"}:
        values = value.split() if isinstance(value, str) else value
        if not isinstance(values, list) or not all(isinstance(each, str) for each in values):
            raise ValueError(f'must write {entry} in [{name}] as a list, ["…", "…"]')
        return tuple(values)
    if entry in {"trust_email", "sign_out"}:
        if not isinstance(value, bool):
            raise ValueError(f"must have true or false for {entry} in [{name}]")
        return value
    if not isinstance(value, str) or value != value.strip():
        raise ValueError(f"must have a text for {entry} in [{name}]")
    if entry == "issuer":
        return _issuer(name, value)
    return value


def _issuer(name: str, text: str) -> str:
    if not is_safe(text) or urlsplit(text).query or urlsplit(text).fragment or urlsplit(text).username:
        raise ValueError(
            f"must have an https address for the issuer in [{name}]; plain http is taken on this machine alone"
        )
    return text.rstrip("/")


def is_safe(address: object) -> bool:
    """Whether secrets may be sent there: https, or plain http that does not leave this machine."""
    if not isinstance(address, str) or any(character.isspace() for character in address):
        return False
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
        parts.port  # noqa: B018 - it raises
    except ValueError:
        return False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and _is_here(host)))


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
