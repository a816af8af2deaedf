"""A provider without a network: what it publishes, its tokens, and a browser's way through it and back."""

import hashlib
import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock
from urllib.parse import parse_qsl, urlsplit

import jwt
import requests
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from django.test import Client, override_settings

from lib.network import oidc_documents
from lib.network.oidc_providers import Provider

SECRET = "a-client-secret-of-the-tests"
_KEY = ec.generate_private_key(ec.SECP256R1())


def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def public_jwk(key: Any, name: str) -> dict[str, Any]:
    maker = jwt.algorithms.RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else jwt.algorithms.ECAlgorithm
    return {**json.loads(maker.to_jwk(key.public_key())), "kid": name, "use": "sig"}


@dataclass
class FakeProvider:
    """`claims` are what it says of the person who is signed in there; `calls` are the addresses it was asked at."""

    settings: Provider
    key: Any = _KEY
    algorithm: str = "ES256"
    claims: dict[str, Any] = field(default_factory=dict)
    signed: dict[str, Any] = field(default_factory=dict)  # in the ID token alone, in the place of what belongs there
    is_down: bool = False
    names_issuer: bool = False
    calls: list[str] = field(default_factory=list)
    _asked: dict[str, str] = field(default_factory=dict)

    @property
    def issuer(self) -> str:
        return self.settings.issuer

    @property
    def configuration(self) -> dict[str, Any]:
        names = ("authorization", "token", "userinfo", "end_session")
        return {
            "issuer": self.issuer,
            **{f"{name}_endpoint": f"{self.issuer}/{name}" for name in names},
            "jwks_uri": f"{self.issuer}/keys",
            "authorization_response_iss_parameter_supported": self.names_issuer,
        }

    def token(
        self, *, key: Any = None, algorithm: str = "", headers: dict[str, Any] | None = None, **claims: Any
    ) -> str:
        now = int(time.time())
        about = {"iss": self.issuer, "aud": self.settings.client_id, "iat": now, "exp": now + 120, **claims}
        about = {name: value for name, value in about.items() if value is not None}
        return jwt.encode(
            about, key or self.key, algorithm=algorithm or self.algorithm, headers={"kid": "one", **(headers or {})}
        )

    def answer(self, method: str, url: str, data: Any = None, **_kwargs: Any) -> requests.Response:
        self.calls.append(url)
        if self.is_down:
            raise requests.ConnectionError("refused")
        match urlsplit(url).path.rpartition("/")[2]:
            case "openid-configuration":
                return _response(self.configuration)
            case "keys":
                return _response({"keys": [public_jwk(self.key, "one")]})
            case "token":
                return self._exchange(data or {})
            case "userinfo":
                return _response({"sub": "sub-of-linh", **self.claims})
        return _response({}, 404)

    def _exchange(self, data: dict[str, str]) -> requests.Response:
        challenge = urlsafe_b64encode(hashlib.sha256(data["code_verifier"].encode()).digest()).decode().rstrip("=")
        if data["code"] != "the-code" or challenge != self._asked["code_challenge"] or data["client_secret"] != SECRET:
            return _response({"error": "invalid_grant"}, 400)
        claims = {"sub": "sub-of-linh", "nonce": self._asked["nonce"], **self.claims, **self.signed}
        return _response({"access_token": "an-access-token", "token_type": "Bearer", "id_token": self.token(**claims)})

    def begin(self, client: Client, **sent: str) -> dict[str, str]:
        """Press the provider's button. Returns what the browser takes there."""
        response = client.post(f"/accounts/oidc/{self.settings.id}/login/", sent)
        assert response.status_code == 200, (response.status_code, getattr(response, "url", ""))
        self._asked = dict(parse_qsl(urlsplit(response.context["address"]).query))
        return self._asked

    def come_back(self, client: Client, **over: str) -> Any:
        """Follow the provider's redirect back to the desk."""
        sent = {"code": "the-code", "state": self._asked["state"], **over}
        if self.names_issuer:
            sent.setdefault("iss", self.issuer)
        return client.get(f"/accounts/oidc/{self.settings.id}/login/callback/", sent)

    def sign_in(self, client: Client, **claims: Any) -> Any:
        """Go there and back as the person whom `claims` describe."""
        self.claims = claims
        self.begin(client)
        return self.come_back(client)


@contextmanager
def two_providers() -> Iterator[dict[str, FakeProvider]]:
    """Let the settings name two providers, `company` and `other`, that are asked without a network."""
    named = {
        name: Provider(name, name.title(), f"https://{name}.invalid/sso", "desk", SECRET)
        for name in ("company", "other")
    }
    fakes = {name: FakeProvider(each) for name, each in named.items()}

    def request(_session: object, method: str, url: str, **kwargs: Any) -> requests.Response:
        return next(fake for fake in fakes.values() if url.startswith(fake.issuer)).answer(method, url, **kwargs)

    oidc_documents.forget()
    with override_settings(OIDC_PROVIDERS=named), mock.patch.object(oidc_documents.BoundedSession, "request", request):
        yield fakes
    oidc_documents.forget()


def _response(document: dict[str, Any], status: int = 200) -> requests.Response:
    response = requests.Response()
    response.status_code = status
    response.headers["content-type"] = "application/json"
    response._content = json.dumps(document).encode()
    return response
