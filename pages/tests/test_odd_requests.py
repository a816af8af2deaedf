"""Requests that no page of ours sends: numbers past a column, documents nested past the stack, strange names of types."""

import re

import pytest
from allauth.mfa.models import Authenticator
from django.db import transaction
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from accounts.tests.test_audit_signals import sign_in
from pages.tests.world import World, address_of, addresses
from pages.tests.world import shared_world as shared_world

pytestmark = pytest.mark.django_db
HUGE = ["9223372036854775807", "9223372036854775808", "9" * 40, "9" * 4000, "0" * 300 + "1"]
DEEP = {
    "list": "[" * 60_000,
    "closed": "[" * 60_000 + "]" * 60_000,
    "object": '{"a":' * 30_000,
    "number": "9" * 100_000,
}
TYPES = [
    "application/json", "application/x-www-form-urlencoded; charset=nonsense", "multipart/form-data",
    "multipart/form-data; boundary=", "multipart/form-data; boundary=x; charset=utf-7", "text/xml", "\xff", "a/" * 2000,
    "application/x-www-form-urlencoded; charset=utf-16", "application/x-www-form-urlencoded; charset=idna",
    "application/x-www-form-urlencoded; charset=hex",
]  # fmt: skip


def _statuses(world: World, client: Client, address: str, **sent: str) -> list[int]:
    with transaction.atomic():  # PostgreSQL goes on after an error, too
        answers = [client.get(address), client.post(address, sent)]
        for answer in answers:
            list(answer)
        transaction.set_rollback(True)
    return [answer.status_code for answer in answers]


@pytest.mark.walk
@pytest.mark.parametrize("number", HUGE, ids=lambda number: f"{number[:3]}… of {len(number)}")
def test_a_number_in_an_address_that_no_column_holds_is_not_found(world: World, number: str) -> None:
    client, errors = Client(raise_request_exception=False), []
    world.sign_in(client, "admin")
    for name, patterns in addresses().items():
        for pattern in patterns:
            address = address_of(pattern, name, world.things["own"], world.things["own"]["rental"])
            huge = re.sub(r"/\d+/", f"/{number}/", address)
            if huge != address:
                errors += [(name, status) for status in _statuses(world, client, huge) if status >= 500]
    assert errors == []


@pytest.mark.parametrize("document", DEEP.values(), ids=DEEP.keys())
def test_a_document_nested_past_the_stack_is_refused(world: World, document: str) -> None:
    errors = []
    for role in ("", "manager"):
        client = Client(raise_request_exception=False)
        if role:
            world.sign_in(client, role)
        for name in ("mfa_login_webauthn", "mfa_add_webauthn", "mfa_reauthenticate_webauthn", "mfa_authenticate"):
            for pattern in addresses()[name]:
                errors += [
                    (role, name, status)
                    for status in _statuses(world, client, pattern, credential=document)
                    if status >= 500
                ]
        secret = world.things["own"]["callback"]
        with transaction.atomic():
            answer = client.post(f"/callback/{secret}/", document, content_type="application/json")
            transaction.set_rollback(True)
        errors += [("callback", "callback", answer.status_code)] if answer.status_code >= 500 else []
    assert errors == []


CREDENTIALS = [
    "1", "[]", '"x"', "null", "{}", "true", "NaN", "1e999", '"\\ud800"', '{"id": 1}',
    '{"rawId": [], "response": {"clientDataJSON": 5}}', '{"id": [], "rawId": {}, "response": null, "type": 7}',
    '{"id": "a", "rawId": "a", "response": [], "type": "public-key"}',
    '{"id":"AAAA","rawId":"AAAA","type":"public-key","response":{"clientDataJSON":"e30","attestationObject":"oA",'
    '"authenticatorData":"AAAA","signature":"AAAA","userHandle":"MQ"}}',
    '{"id":"AAAA","rawId":"AAAA","type":"public-key","response":{"clientDataJSON":"!","authenticatorData":"é","userHandle":"x"}}',
]  # fmt: skip


@pytest.mark.parametrize("credential", [*CREDENTIALS, *DEEP.values()], ids=lambda text: text[:40])
def test_what_is_no_answer_of_a_passkey_signs_nobody_in_and_is_no_error_of_ours(
    world: World, credential: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("allauth.mfa.webauthn.internal.auth.get_credentials", lambda person: [])
    stranger, person, half_way = (Client(raise_request_exception=False) for _ in range(3))
    sign_in(person, name="manager")
    totp = Authenticator.objects.create(user=world.people["operator"], type="totp", data={"secret": "JBSWY3DPEHPK3PXP"})
    Authenticator.objects.create(user=totp.user, type="webauthn", data={"name": "x", "credential": {}})
    sign_in(half_way, name="operator")
    answers = {}
    for client, page in (
        (stranger, "mfa_login_webauthn"),
        (person, "mfa_add_webauthn"),
        (person, "mfa_reauthenticate_webauthn"),
        (half_way, "mfa_authenticate"),
    ):
        client.get(reverse(page), headers={"x-requested-with": "XMLHttpRequest"})
        with transaction.atomic():
            answers[page] = client.post(reverse(page), {"credential": credential, "name": "x"}).status_code
            transaction.set_rollback(True)
    assert [page for page, status in answers.items() if status >= 500] == []
    assert [client.get("/").status_code for client in (stranger, half_way)] == [302, 302]
    assert Authenticator.objects.count() == 2


def test_a_redirect_to_https_follows_the_desks_own_address(settings: Settings) -> None:
    settings.SECURE_SSL_REDIRECT, settings.SECURE_SSL_HOST = True, "desk.example.com"
    answer = Client().get("/accounts/login/?next=/team/", headers={"host": "localhost:9999"})
    assert answer.headers["Location"] == "https://desk.example.com/accounts/login/?next=/team/"


@pytest.mark.walk
@pytest.mark.parametrize("content_type", TYPES, ids=lambda text: text[:60])
def test_a_body_of_a_strange_type_is_no_error_of_ours(world: World, content_type: str) -> None:
    client, errors = Client(raise_request_exception=False), []
    world.sign_in(client, "manager")
    for name in (
        "rent",
        "account_login",
        "language",
        "preferences",
        "team_settings",
        "mfa_login_webauthn",
        "spend_enter",
        "callback",
    ):
        pattern = addresses()[name][0]
        address = address_of(pattern, name, world.things["own"], world.things["own"]["rental"])
        for body in (b"a=1&service=%ff%00", b"{", b"\xff\xfe\x00", b"--x\r\n\r\n--x--"):
            with transaction.atomic():
                answer = client.generic("POST", address, body, content_type=content_type)
                transaction.set_rollback(True)
            errors += [(name, body, answer.status_code)] if answer.status_code >= 500 else []
    assert errors == []


@pytest.mark.parametrize("address", ["http://[::1", "http://[bad]/", "//[", "\xff", "a" * 9000])
@pytest.mark.parametrize("role", ["", "operator"])
def test_a_page_of_an_odd_address_that_asks_is_no_error_of_ours(world: World, address: str, role: str) -> None:
    client = Client(raise_request_exception=False)
    world.sign_in(client, role or "visitor")
    headers = {"HX-Request": "true", "HX-Current-URL": address}
    own = world.things["own"]["rental"].pk
    answers = [client.get("/board/", headers=headers), client.post("/rent/", {"service": "x"}, headers=headers)]
    answers.append(client.post(f"/rentals/{own}/check/", headers=headers))
    assert [answer.status_code for answer in answers if answer.status_code >= 500] == []
