"""What a provider publishes: bounded, kept for a while, and not believed about another one."""

import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from lib.network import oidc_documents
from lib.network.oidc_documents import BoundedSession, ProviderDown, discover
from lib.network.oidc_providers import Provider
from thuesim_site.testing_tls import Authority


class Site(ThreadingHTTPServer):
    """Answers with `answers[path]`: a document, bytes, or a status; and not before it `may_answer`."""

    answers: dict[str, Any]
    asked: list[str]
    may_answer: threading.Event


class _Handler(BaseHTTPRequestHandler):
    server: Site

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        answer = self.server.answers.get(self.path, 404)
        self.server.may_answer.wait(60)
        status = answer if isinstance(answer, int) else 200
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/elsewhere")
        self.end_headers()
        if not isinstance(answer, int):
            with suppress(OSError):  # a client that has given up
                self.wfile.write(answer if isinstance(answer, bytes) else json.dumps(answer).encode())

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site(("127.0.0.1", 0), _Handler)
    site.answers, site.asked, site.may_answer = {}, [], threading.Event()
    site.may_answer.set()
    thread = threading.Thread(target=site.serve_forever, args=(0.01,))
    thread.start()
    oidc_documents.forget()
    yield site
    oidc_documents.forget()
    site.shutdown()
    thread.join()
    site.server_close()


@pytest.fixture
def provider(site: Site) -> Provider:
    issuer = f"http://127.0.0.1:{site.server_port}"
    names = ("authorization_endpoint", "token_endpoint", "jwks_uri")
    site.answers["/.well-known/openid-configuration"] = {"issuer": issuer, **dict.fromkeys(names, f"{issuer}/x")}
    return Provider("office", "Office", issuer, "desk", "secret")


CONFIGURATION = "/.well-known/openid-configuration"


def test_it_is_asked_once_an_hour_and_the_old_answer_counts_while_it_is_down(
    site: Site, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = discover(provider)
    assert discover(provider) == first
    assert site.asked == [CONFIGURATION]
    now = time.monotonic()
    site.answers[CONFIGURATION] = 503
    monkeypatch.setattr(time, "monotonic", lambda: now + oidc_documents.FRESH_SECONDS + 1)
    assert discover(provider) == first
    assert discover(provider) == first
    assert len(site.asked) == 2  # a provider that is down is not asked by every request
    monkeypatch.setattr(time, "monotonic", lambda: now + oidc_documents.STALE_SECONDS + 61)
    with pytest.raises(ProviderDown, match="status 503"):
        discover(provider)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (404, "status 404"),
        (302, "status 302"),
        (b"<html>", "no JSON object"),
        (b"[" * 100_000, "no JSON object"),
        ([], "no JSON object"),
        (b"{" + b" " * (oidc_documents.MAX_BYTES + 1), "cannot be reached"),
        ({"issuer": "https://other.invalid"}, "another issuer"),
    ],
)
def test_an_answer_that_is_no_use_is_said_in_a_clause(site: Site, provider: Provider, answer: Any, said: str) -> None:
    site.answers[CONFIGURATION] = answer
    with pytest.raises(ProviderDown, match=said):
        discover(provider)
    assert "/elsewhere" not in site.asked


def test_the_secret_is_not_sent_in_the_clear(site: Site, provider: Provider) -> None:
    site.answers[CONFIGURATION]["token_endpoint"] = "http://sso.invalid/token"
    with pytest.raises(ProviderDown, match="token_endpoint is no https"):
        discover(provider)


def test_an_answer_that_comes_too_slowly_is_given_up(
    site: Site, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oidc_documents, "READ_SECONDS", 0.05)
    site.may_answer.clear()
    with pytest.raises(ProviderDown, match="in time"):
        discover(provider)
    site.may_answer.set()


def test_no_redirect_is_followed_and_a_caller_cannot_ask_for_more_time(site: Site, provider: Provider) -> None:
    site.answers["/away"] = 302
    with BoundedSession() as session:
        assert session.get(f"{provider.issuer}/away", timeout=1000, allow_redirects=True).status_code == 302
        with pytest.raises(requests.ConnectionError):
            session.get("http://127.0.0.1:9/")


def test_a_certificate_of_an_authority_that_this_machine_trusts_is_trusted(
    site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(authority.issue("127.0.0.1"))
    site.socket = context.wrap_socket(site.socket, server_side=True)
    site.answers["/"] = {}
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    address = f"https://127.0.0.1:{site.server_port}/"
    with BoundedSession() as session, pytest.raises(requests.exceptions.SSLError):
        session.get(address)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    with BoundedSession() as session:
        assert session.get(address).status_code == 200
