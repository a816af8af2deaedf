"""What a provider publishes, its configuration and its keys, and the tokens that it signs with them.

The documents are kept in this process for an hour. Each call is bounded in time and bytes, and follows no redirect.
"""

import json
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jwt
import requests
from requests.adapters import BaseAdapter, HTTPAdapter

from lib.network.oidc_providers import Provider, is_safe

CONNECT_SECONDS, READ_SECONDS, TOTAL_SECONDS = 3.0, 5.0, 10.0
MAX_BYTES = 1_000_000
FRESH_SECONDS = 3600  # how long a document is used without asking again
STALE_SECONDS = 86_400  # how long it is used while the provider does not answer
RETRY_SECONDS = 60  # between two questions for a key that was not there
LEEWAY_SECONDS = 60
# Signatures by a key of which the provider alone has the secret half: neither "none" nor HMAC.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")


class ProviderDown(Exception):
    """A provider does not answer, or with what is no use. The text is a clause without a secret."""


class TokenRefused(Exception):
    """A token is not what it should be. The text is a clause without a part of the token."""


class _MachinesTrust(HTTPAdapter):
    """Trusts the certificate authorities of this machine and of `SSL_CERT_FILE`, beside those that requests brings."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, ssl_context=ssl.create_default_context(), **kwargs)


class BoundedSession(requests.Session):
    """Calls that end within `TOTAL_SECONDS`, read at most `MAX_BYTES`, and follow no redirect."""

    def get_adapter(self, url: str) -> BaseAdapter:
        """Return what speaks to this address. To read the machine's authorities takes 20 ms: only where https asks them."""
        if url.lower().startswith("https:") and not isinstance(self.adapters["https://"], _MachinesTrust):
            self.mount("https://", _MachinesTrust())
        return super().get_adapter(url)

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **kwargs: Any) -> requests.Response:
        kwargs |= {"timeout": (CONNECT_SECONDS, READ_SECONDS), "allow_redirects": False, "stream": True}
        until = time.monotonic() + TOTAL_SECONDS
        response = super().request(method, url, *args, **kwargs)
        body = bytearray()
        for piece in response.iter_content(16_384):
            body += piece
            if len(body) > MAX_BYTES or time.monotonic() > until:
                response.close()
                raise requests.ConnectionError("The answer is too long or too slow.")
        response._content = bytes(body)
        return response


class _Kept:
    """Documents by their address, each with the moment it was asked for."""

    def __init__(self) -> None:
        self._documents: dict[str, tuple[float, dict[str, Any]]] = {}
        self._asked: dict[str, float] = {}

    def get(self, address: str, fetch: Callable[[str], dict[str, Any]], *, anew: bool = False) -> dict[str, Any]:
        """Return a document, fetched if the kept one is old. `anew` asks for a newer one, once in `RETRY_SECONDS`."""
        now = time.monotonic()
        at, document = self._documents.get(address, (0.0, None))
        lately = now - self._asked.get(address, -RETRY_SECONDS) < RETRY_SECONDS
        if document is not None and ((now - at < FRESH_SECONDS and not anew) or lately):
            return document
        self._asked[address] = now
        try:
            document = fetch(address)
        except ProviderDown:
            if document is None or now - at > STALE_SECONDS:
                raise
            return document
        self._documents[address] = (now, document)
        return document

    def forget(self) -> None:
        self._documents.clear()
        self._asked.clear()


_kept = _Kept()
forget = _kept.forget


def discover(provider: Provider) -> dict[str, Any]:
    """Return the provider's configuration (OpenID Connect Discovery 1.0). Raises `ProviderDown`."""
    address = f"{provider.issuer}/.well-known/openid-configuration"
    document = _kept.get(address, _fetch)
    if str(document.get("issuer", "")).rstrip("/") != provider.issuer:
        raise ProviderDown("it says that it is another issuer")
    for endpoint in _ENDPOINTS:
        if not is_safe(document.get(endpoint)):
            raise ProviderDown(f"its {endpoint} is no https address")
    return document


def userinfo(provider: Provider, access_token: str) -> dict[str, Any]:
    """Return what the provider says of the person to whom it gave the token; empty without such an endpoint.

    Raises `ProviderDown`.
    """
    address = discover(provider).get("userinfo_endpoint")
    if not is_safe(address):
        return {}
    return _fetch(str(address), {"Authorization": f"Bearer {access_token}"})


def _fetch(address: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
    try:
        with BoundedSession() as session:
            response = session.get(address, headers=headers)
    except requests.RequestException as error:
        raise ProviderDown(_reason(error)) from None
    if response.status_code != 200:
        raise ProviderDown(f"it answers with status {response.status_code}")
    try:
        document = json.loads(response.content)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise ProviderDown("its answer is no JSON object")
    return document


def _reason(error: requests.RequestException) -> str:
    if isinstance(error, requests.Timeout):
        return "it does not answer in time"
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate is not trusted"
    return "it cannot be reached"


def decode(
    provider: Provider, token: str, *, required: Sequence[str], kinds: Sequence[str] = ("JWT",)
) -> dict[str, Any]:
    """Return the claims of a token that the provider signed for this client (OpenID Connect Core 1.0, section 3.1.3.7).

    `required` are claims that must be there; `kinds` are what the header's `typ` may be. Raises `TokenRefused` and
    `ProviderDown`.
    """
    try:
        header = jwt.get_unverified_header(token)
    except jwt.PyJWTError:
        raise TokenRefused("it is no signed token") from None
    algorithm = header.get("alg")
    if algorithm not in ALGORITHMS:
        raise TokenRefused("its algorithm is not allowed")
    if str(header.get("typ", kinds[0])).lower() not in {kind.lower() for kind in kinds}:
        raise TokenRefused("it is a token of another kind")
    configuration = discover(provider)
    key = _key(str(configuration["jwks_uri"]), header.get("kid"), str(algorithm))
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            key=key,
            algorithms=[str(algorithm)],
            audience=provider.client_id,
            issuer=str(configuration["issuer"]),
            leeway=LEEWAY_SECONDS,
            options={"require": ["iss", "aud", "iat", *required]},
        )
    except jwt.MissingRequiredClaimError as error:
        raise TokenRefused(f"it has no {error.claim}") from None
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        raise TokenRefused(f"it does not hold ({type(error).__name__})") from None
    audience = claims["aud"]
    if isinstance(audience, list) and len(audience) > 1 and claims.get("azp") != provider.client_id:
        raise TokenRefused("it was made for another client")
    return claims


def _key(address: str, name: object, algorithm: str) -> jwt.PyJWK:
    """Return the provider's key of this name; of a token without one, the only key that fits."""
    for anew in (False, True):
        fitting = [key for key in _keys(address, algorithm, anew=anew) if name is None or key.key_id == name]
        if len(fitting) == 1:
            return fitting[0]
    raise TokenRefused("the provider has no such key")


def _keys(address: str, algorithm: str, *, anew: bool) -> list[jwt.PyJWK]:
    listed = _kept.get(address, _fetch, anew=anew).get("keys")
    keys = []
    for each in listed if isinstance(listed, list) else ():
        if not isinstance(each, dict) or each.get("use", "sig") != "sig" or each.get("alg", algorithm) != algorithm:
            continue
        if each.get("kty") not in {"RSA", "EC", "OKP"}:
            continue
        try:
            keys.append(jwt.PyJWK(each, algorithm=algorithm))
        except (jwt.PyJWTError, ValueError, TypeError):  # of another curve or kind
            continue
    return keys
