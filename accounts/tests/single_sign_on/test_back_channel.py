"""A provider ends sessions by a signed token; nobody else does."""

import time
from typing import Any

import jwt
import pytest
from allauth.usersessions.models import UserSession
from cryptography.hazmat.primitives import serialization
from django.test import Client
from pytest_django import Settings

from accounts.audit import Action
from accounts.models import AuditRecord, GroupRule, Team
from accounts.single_sign_on.back_channel import EVENT
from accounts.tests.single_sign_on.fake_provider import FakeProvider, rsa_key
from accounts.tests.single_sign_on.test_sign_in import LINH
from lib import announce

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]

HERE = "/accounts/oidc/company/logout/"


@pytest.fixture
def browsers(company: FakeProvider, team: Team) -> list[Client]:
    """One person at two browsers, in two sessions of the provider."""
    GroupRule.objects.create(provider="company", group="*", right="operator", team=team)
    clients = [Client(), Client()]
    for number, client in enumerate(clients):
        company.signed = {"sid": f"session-{number}"}
        company.sign_in(client, **LINH)
    company.signed = {}
    return clients


def logout_token(company: FakeProvider, **over: Any) -> str:
    claims = {"sub": "sub-of-linh", "jti": f"jti-{time.monotonic_ns()}", "events": {EVENT: {}}, **over}
    headers = claims.pop("headers", {"typ": "logout+jwt"})
    return company.token(headers=headers, **claims)


def send(token: str, address: str = HERE) -> int:
    client = Client(enforce_csrf_checks=True)  # it has no cookie
    return client.post(address, {"logout_token": token}).status_code


def alive(clients: list[Client]) -> list[bool]:
    return [client.get("/").status_code == 200 for client in clients]


def test_a_person_is_signed_out_everywhere_recorded_and_their_screens_are_told(
    company: FakeProvider, browsers: list[Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[int] = []
    monkeypatch.setattr(announce, "person", told.append)
    assert alive(browsers) == [True, True]
    assert send(logout_token(company)) == 200
    assert alive(browsers) == [False, False]
    record = AuditRecord.objects.get(action=Action.SESSIONS_ENDED)
    assert record.detail == {"sessions": 2, "single sign-on": "company"}
    assert record.person is not None
    assert record.person.pk in told


@pytest.mark.database
def test_one_session_there_ends_that_session_here(company: FakeProvider, browsers: list[Client]) -> None:
    assert send(logout_token(company, sid="session-1", sub=None)) == 200
    assert alive(browsers) == [True, False]
    assert send(logout_token(company, sid="session-0", sub="sub-of-lan")) == 200  # of another person: nothing
    assert alive(browsers) == [True, False]
    assert send(logout_token(company, sid="session-0")) == 200
    assert alive(browsers) == [False, False]
    assert not UserSession.objects.exists()


def test_a_token_is_taken_once(company: FakeProvider, browsers: list[Client]) -> None:
    token = logout_token(company)
    assert send(token) == 200
    company.sign_in(browsers[0], **LINH)
    assert send(token) == 400
    assert alive(browsers[:1]) == [True]


@pytest.mark.database
def test_an_older_typ_is_taken(company: FakeProvider, browsers: list[Client]) -> None:
    assert send(logout_token(company, headers={})) == 200


def test_a_token_that_does_not_hold_ends_nothing(company: FakeProvider, browsers: list[Client]) -> None:
    now = time.time()
    forged: list[dict[str, Any]] = [
        {"aud": "another-client"},
        {"iss": "https://other.invalid/sso"},
        {"iat": int(now) - 3600},
        {"iat": int(now) + 3600},
        {"iat": None},
        {"exp": int(now) - 3600},
        {"nonce": "one"},
        {"events": None},
        {"events": {}},
        {"events": {EVENT: "yes"}},
        {"events": [EVENT]},
        {"jti": None},
        {"jti": ""},
        {"sub": None, "sid": None},
        {"sub": ["sub-of-linh"]},
        {"sid": {"a": 1}},
        {"headers": {"typ": "at+jwt"}},
        {"headers": {"kid": "unknown"}},
    ]
    assert [over for over in forged if send(logout_token(company, **over)) != 400] == []
    assert alive(browsers) == [True, True]


def test_an_id_token_is_no_logout_token(company: FakeProvider, browsers: list[Client]) -> None:
    assert send(company.token(sub="sub-of-linh", jti="a")) == 400
    assert alive(browsers) == [True, True]


def test_a_token_without_a_signature_or_with_one_that_anybody_can_make_ends_nothing(
    company: FakeProvider, browsers: list[Client]
) -> None:
    claims: dict[str, Any] = {
        "iss": company.issuer, "aud": "desk", "iat": int(time.time()), "jti": "a", "sub": "sub-of-linh",
        "events": {EVENT: {}},
    }  # fmt: skip
    public = company.key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    confused = _hmac(claims, public)  # HS256 with the public key as its secret
    unsigned = jwt.encode(claims, "", algorithm="none", headers={"kid": "one"})
    by_secret = jwt.encode(claims, company.settings.client_secret.ljust(32), algorithm="HS256", headers={"kid": "one"})
    stolen_name = company.token(key=rsa_key(), algorithm="RS256", **claims)
    tampered = logout_token(company)[:-4] + "AAAA"
    for token in (confused, unsigned, by_secret, stolen_name, tampered, "", "a.b.c", "x" * 30_000):
        assert send(token) == 400
    assert alive(browsers) == [True, True]


def _hmac(claims: dict[str, Any], secret: bytes) -> str:
    """PyJWT refuses to sign with a public key; an attacker does not use PyJWT."""
    import base64
    import hashlib
    import hmac
    import json

    def part(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).decode().rstrip("=")

    signed = f"{part(json.dumps({'alg': 'HS256', 'kid': 'one'}).encode())}.{part(json.dumps(claims).encode())}"
    return f"{signed}.{part(hmac.new(secret, signed.encode(), hashlib.sha256).digest())}"


def test_another_provider_signs_nobody_out(providers: dict[str, FakeProvider], browsers: list[Client]) -> None:
    other = providers["other"]
    other.key, other.algorithm = rsa_key(), "RS256"
    assert send(logout_token(other)) == 400
    assert send(logout_token(other, iss=providers["company"].issuer)) == 400
    assert send(logout_token(other), "/accounts/oidc/other/logout/") == 200  # its own, who is not here
    assert send(logout_token(other, sid="session-0"), "/accounts/oidc/other/logout/") == 200
    assert alive(browsers) == [True, True]


def test_keys_are_read_once_and_again_for_a_new_one_but_not_for_every_made_up_name(
    company: FakeProvider, browsers: list[Client], settings: Settings
) -> None:
    company.calls.clear()
    for _ in range(5):
        assert send(logout_token(company, headers={"kid": "made-up"})) == 400
    assert company.calls.count(f"{company.issuer}/keys") <= 1
    assert not [call for call in company.calls if call.endswith("openid-configuration")]


def test_a_provider_whose_keys_cannot_be_read_is_asked_to_try_later(
    company: FakeProvider, browsers: list[Client]
) -> None:
    from lib.network import oidc_documents

    oidc_documents.forget()
    company.is_down = True
    assert send(logout_token(company)) == 503
    assert alive(browsers) == [True, True]


def test_there_is_no_such_provider(db: None) -> None:
    assert send("a.b.c", "/accounts/oidc/nowhere/logout/") == 404


def test_signing_out_here_goes_on_to_the_provider_where_the_setting_says_so(
    company: FakeProvider, browsers: list[Client], configure: Any
) -> None:
    assert browsers[0].post("/accounts/logout/").headers["Location"] == "/accounts/login/"
    configure(sign_out=True)
    client = Client()
    company.sign_in(client, **LINH)
    response = client.post("/accounts/logout/")
    address = response.context["address"]
    assert address.startswith(
        f"{company.issuer}/end_session?client_id=desk&post_logout_redirect_uri=http%3A%2F%2Ftestserver"
    )
    assert "id_token_hint=ey" in address
    assert alive([client]) == [False]
    company.is_down = True
    assert client.post("/accounts/logout/").status_code == 302
