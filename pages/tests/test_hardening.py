"""What strangers and fellow sites may try: every address without a CSRF token, kept pages, fixed sessions, redirects
elsewhere, false hosts and senders, hostile texts in every field."""

import json
import logging
import os
import re
import subprocess
import sys
from copy import copy
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.auth import hashers
from django.contrib.sessions.models import Session
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django.urls import reverse
from pytest_django import Settings

from accounts.models import AuditRecord, Role, User
from pages.tests.cookies import wrong_cookies
from pages.tests.world import FormClient, World, address_of, addresses
from pages.tests.world import world as world
from rentals.tests.factories import make_person, make_team
from thuesim_site.middleware.security_headers import SecurityHeadersMiddleware
from thuesim_site.redaction import DeskFilter
from thuesim_site.start.environment import BASE_DIR

pytestmark = pytest.mark.django_db


@pytest.fixture
def linh(db: None) -> User:
    return make_person(make_team("Support"), Role.MANAGER, username="linh", email="linh@example.com", language="en")


def everywhere(world: World) -> list[tuple[str, str]]:
    """Every address of the project, filled in with what is the person's own: (name, address)."""
    things = world.things["own"]
    return [
        (name, address_of(pattern, name, things, things["rental"]))
        for name, patterns in addresses().items()
        for pattern in patterns
    ]


@pytest.mark.walk
def test_no_address_takes_a_post_without_the_csrf_token_but_those_of_other_programs(world: World) -> None:
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    client.cookies = world.cookies["admin"]
    taken = [name for name, address in everywhere(world) if client.post(address, {}).status_code != 403]
    # The API asks for a key, which no browser sends by itself: a session is none there (401, or 405 for a GET's address).
    # A callback has a secret in its address, a provider's word about a sign-out its signature.
    assert [name for name in taken if not name.startswith("api:")] == ["callback", "openid_connect_logout"]
    calls = [address for name, address in everywhere(world) if name in taken and name.startswith("api:")]
    answers = {client.post(address, {}).status_code for address in calls}
    assert answers == {401, 405}


def sign_in(client: Client, name: str = "linh", password: str = "secret-enough", **sent: str) -> Any:
    return client.post(reverse("account_login"), {"login": name, "password": password, **sent})


def test_a_session_that_somebody_brought_is_not_the_one_they_are_signed_in_with(linh: User) -> None:
    client = Client()
    client.get(reverse("account_login"))
    client.cookies["sessionid"] = "a" * 32
    sign_in(client)
    first = client.cookies["sessionid"].value
    assert first != "a" * 32
    assert not Session.objects.filter(pk="a" * 32).exists()
    client.post(reverse("account_logout"))
    assert not Session.objects.filter(pk=first).exists()
    sign_in(client)
    assert client.cookies["sessionid"].value != first


def test_a_session_ends_after_a_working_day(linh: User) -> None:
    client = Client()
    sign_in(client)
    assert client.session.get_expiry_age() <= 12 * 3600
    cookie = client.cookies["sessionid"]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", "/")


ELSEWHERE = [
    "https://evil.example/", "//evil.example/", "///evil.example", "/\\evil.example", "\\\\evil.example", "http:evil",
    "javascript:alert(1)", "\t//evil.example", "https://testserver@evil.example/", "https:evil.example", "/\t/evil.example",
]  # fmt: skip


@pytest.mark.parametrize("where", ELSEWHERE)
def test_no_form_sends_anybody_to_another_site(linh: User, where: str) -> None:
    client = Client()
    answers = [
        sign_in(client, next=where),
        client.post(reverse("language"), {"language": "en", "next": where}),
        client.post(reverse("account_reauthenticate"), {"password": "secret-enough", "next": where}),
        client.get(reverse("account_login"), {"next": where}),
        client.post(reverse("account_logout"), {"next": where}),
    ]
    for answer in answers:
        assert answer.status_code == 302
        assert re.match(r"/(?![/\\\t])", answer.headers["Location"]), answer.headers["Location"]


@pytest.mark.parametrize("host", ["evil.example", "testserver.evil.example", "testserver@evil.example", "a b", ""])
def test_a_false_host_is_refused(host: str) -> None:
    assert Client().get(reverse("account_login"), headers={"host": host}).status_code == 400


def test_a_refused_request_is_one_line_of_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    log = logging.getLogger("django.security")
    handler = logging.StreamHandler(sys.stdout)
    handler.addFilter(DeskFilter())
    log.addHandler(handler)
    try:
        Client().get(reverse("account_login"), headers={"host": "evil.example"})
    finally:
        log.removeHandler(handler)
    [line] = capsys.readouterr().out.splitlines()
    assert line.startswith("Invalid HTTP_HOST header: 'evil.example'")


@pytest.mark.parametrize("sender", ["garbage", "<script>", "1.2.3.4, 5.6.7.8", "x" * 5000, "", "1.2.3.4\r\nX: y"])
def test_a_sender_that_is_no_address_breaks_nothing_and_is_recorded_nowhere(linh: User, sender: str) -> None:
    answer = Client(REMOTE_ADDR=sender).post(reverse("account_login"), {"login": "linh", "password": "wrong"})
    assert answer.status_code in {200, 403}
    assert set(AuditRecord.objects.values_list("address", flat=True)) <= {None}


# What PostgreSQL or a number refuses, what forges a header, what is long, what looks like a number.
TEXTS = ["a\x00b", "9" * 40, "\r\nSet-Cookie: x=1", "x" * 7_000, "-1", "٣"]
NAMES = [
    "q", "person", "service", "network", "prefix", "token", "status", "since", "until", "sort", "before", "after", "mine",
    "action", "next", "language", "team", "name", "note", "role", "days", "add", "remove", "purpose", "login", "password",
    "email", "username", "code", "credential", "message", "keep_trying", "networks", "prefixes", "budget_day",
]  # fmt: skip


@pytest.mark.walk
@pytest.mark.parametrize("text", TEXTS, ids=lambda text: repr(text[:12]))
def test_no_text_in_any_field_of_any_page_is_an_error_of_ours(world: World, settings: Settings, text: str) -> None:
    client, errors = FormClient(raise_request_exception=False), []
    form = urlencode(dict.fromkeys(NAMES, text))
    assert len(form) < settings.DATA_UPLOAD_MAX_MEMORY_SIZE  # else no form reads any of it
    for name, address in everywhere(world):
        if name.startswith("admin:") or name in {"account_logout", "language"}:
            continue
        world.sign_in(client, "manager")
        with transaction.atomic():  # PostgreSQL goes on after an error, too
            answers = (client.get(f"{address}?{form}"), client.post(address, form))
            transaction.set_rollback(True)
        errors += [(name, answer.status_code) for answer in answers if answer.status_code >= 500]
        assert not any("x=1" in str(answer.headers) for answer in answers)
    assert errors == []


@pytest.mark.parametrize("send", [{"query_params": {"q": "a\0"}}, {"data": {"a\0": "b"}}])
def test_a_nul_is_refused_before_a_page_looks_at_it(linh: User, send: dict[str, Any]) -> None:
    client = Client()
    client.force_login(linh)
    assert client.post(reverse("team_audit_export"), **send).status_code == 400
    assert not AuditRecord.objects.filter(action="audit_export").exists()


def test_what_a_browser_calls_itself_may_be_anything(linh: User) -> None:
    client = Client(headers={"user-agent": "<script>alert(1)</script>\x01" + "é" * 20_000})
    assert sign_in(client).status_code == 302
    page = client.get(reverse("usersessions_list")).content.decode()
    assert "<script>alert" not in page


def test_no_line_of_the_log_is_written_by_a_stranger(linh: User, caplog: pytest.LogCaptureFixture) -> None:
    client = Client(raise_request_exception=False)
    line = "x\r\n2026-01-01 00:00:00 ERROR forged"
    for address in ("/rentals/%0D%0A2026-01-01 ERROR forged/", "/callback/%0AERROR forged/"):
        client.get(address)
        client.post(address)
    client.get("/", headers={"host": "evil.example\nERROR forged"})
    sign_in(client, name=line)
    sign_in(Client(headers={"user-agent": line}))
    client.post("/rent/", {}, headers={"referer": line})
    assert [record.getMessage() for record in caplog.records if "\n" in record.getMessage()] == []


@pytest.mark.parametrize("name", ["nobody", "nobody@example.com", "linh", "linh@example.com", "gone"])
def test_a_sign_in_takes_as_long_for_an_account_that_is_not_there(
    linh: User, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_person(username="gone", is_active=False)
    reckoned: list[str] = []
    hasher = type(hashers.get_hasher("default"))
    encode = hasher.encode

    def counted(self: hashers.BasePasswordHasher, password: str, *args: Any) -> Any:
        reckoned.append(password)
        return encode(self, password, *args)

    monkeypatch.setattr(hasher, "encode", counted)
    answer = sign_in(Client(), name=name, password="wrong-password")
    assert len(reckoned) == 1  # it is the hash that takes the time
    assert "the password is wrong" in answer.content.decode() or "không đúng" in answer.content.decode()


def test_files_that_nobody_asked_for_are_dropped(rf: RequestFactory, linh: User) -> None:
    file = SimpleUploadedFile("x.html", b"<script>" * 1000)
    request = rf.post("/", {"login": "linh", "file": file})
    assert (dict(request.FILES), request.POST["login"]) == ({}, "linh")


@pytest.mark.parametrize("said", ["", "no-cache"])
def test_a_page_that_says_itself_how_long_it_is_kept_is_left_alone(said: str) -> None:
    def page(request: HttpRequest) -> HttpResponse:
        return HttpResponse(headers={"Cache-Control": said} if said else {})

    answer = SecurityHeadersMiddleware(page)(RequestFactory().get("/"))
    assert answer.headers["Cache-Control"] == (said or "no-store, private")


def test_a_script_of_ours_carries_the_nonce_of_the_policy() -> None:
    answer = Client().get(reverse("account_login"))
    [nonce] = set(re.findall(r"<script[^>]* nonce=\"([^\"]*)\"", answer.content.decode()))
    assert nonce
    assert f"'nonce-{nonce}'" in answer.headers["Content-Security-Policy"]
    other = Client().get(reverse("account_login")).headers["Content-Security-Policy"]
    assert nonce not in other


def test_behind_https_the_session_is_bound_to_this_host_and_to_tls(tmp_path: Path) -> None:
    names = [
        "SESSION_COOKIE_NAME",
        "CSRF_COOKIE_NAME",
        "LANGUAGE_COOKIE_NAME",
        "COOKIE_PREFIX",
        "SESSION_COOKIE_SECURE",
        "CSRF_COOKIE_SECURE",
        "SECURE_HSTS_SECONDS",
        "SECURE_SSL_REDIRECT",
        "SECURE_SSL_HOST",
        "PROXIES",
    ]
    code = f"import json; from thuesim_site import settings as s; print(json.dumps([getattr(s, n) for n in {names}]))"
    environment = {**os.environ, "DESK_DATA_DIR": str(tmp_path), "DESK_PUBLIC_URL": "https://desk.example.com"}
    done = subprocess.run([sys.executable, "-c", code], cwd=BASE_DIR, env=environment, capture_output=True, check=True)
    assert json.loads(done.stdout) == [
        "__Host-sessionid",
        "__Host-csrftoken",
        "__Host-django_language",
        "__Host-",
        True,
        True,
        31_536_000,
        True,
        "desk.example.com",
        [],
    ]


@pytest.mark.walk
@pytest.mark.parametrize("prefix", ["", "__Host-"])
def test_every_cookie_of_every_page_is_for_this_host_alone(world: World, settings: Settings, prefix: str) -> None:
    """The flags of RFC 6265bis: what `__Host-` wants behind https, and never anything that a script may read but CSRF's.

    Without the prefix, test_every_address.py asks it of every address.
    """
    walked = [address for _name, address in everywhere(world)] if prefix else [reverse("language")]
    settings.COOKIE_PREFIX = prefix
    settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME = f"{prefix}sessionid", f"{prefix}csrftoken"
    settings.LANGUAGE_COOKIE_NAME = f"{prefix}django_language"
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = settings.LANGUAGE_COOKIE_SECURE = bool(prefix)
    client = Client(raise_request_exception=False)
    client.force_login(world.people["manager"])
    session, faults, names = copy(client.cookies), [], set[str]()
    for address in walked:
        client.cookies = copy(session)
        with transaction.atomic():
            for answer in (client.get(address), client.post(address, {"language": "en"})):
                names |= set(answer.cookies)
                faults += wrong_cookies(answer.cookies, prefix)
                list(answer)  # reads a recording to its end, which closes its file
            transaction.set_rollback(True)
    signed_in = Client()
    sign_in(signed_in, name="manager")
    names |= set(signed_in.cookies)
    assert [*faults, *wrong_cookies(signed_in.cookies, prefix)] == []
    device = f"device-{world.people['manager'].pk}"
    assert {"sessionid", "csrftoken", "django_language", device} <= {name.removeprefix(prefix) for name in names}


def test_without_debug_an_error_says_nothing_of_itself(
    linh: User, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("secret-of-the-house")

    settings.DEBUG = False
    monkeypatch.setattr("pages.views.history.render", fail)
    client = Client(raise_request_exception=False)
    client.force_login(linh)
    answer = client.get(reverse("history"))
    assert answer.status_code == 500
    assert "secret-of-the-house" not in answer.content.decode()
    assert "Traceback" not in answer.content.decode()
