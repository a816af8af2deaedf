"""The desk asks itself through its public address: what a proxy does wrong is said, and nothing else."""

import asyncio
import contextlib
import dataclasses
import gzip
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.utils import translation
from pytest_django import Settings

from lib.network import probes, public_url
from lib.network.public_url import CLAIMED_ADDRESS, Finding, examine
from lib.network.public_url_problems import SENTENCES, Problem
from lib.web.asgi import Application, Message, Receive, Send
from pages.tests.live.server import serving
from thuesim_site.serving.connections import client_of
from thuesim_site.serving.probe_responses import Probes
from thuesim_site.serving.proxies import behind_proxies
from thuesim_site.start import public_url_check
from thuesim_site.testing import free_port
from thuesim_site.testing_tls import Authority

PROXY, VISITOR = "10.0.0.9", "203.0.113.5"
Proxy = Callable[[Application], Application]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Iterator[None]:
    """Silences of a tenth of a second, a machine that is never too slow, and a proxy that is believed."""
    monkeypatch.setattr(probes, "SECOND_EVENT_SECONDS", 0.05)
    monkeypatch.setattr(probes, "SILENT_SECONDS", 0.1)
    for name in ("LATE_SECONDS", "CONNECT_SECONDS", "ANSWER_SECONDS"):
        monkeypatch.setattr(public_url, name, 60)
    settings.PROXIES = [PROXY]
    client_of.cache_clear()
    yield
    client_of.cache_clear()


def proxy(**over: str | None) -> Proxy:
    """A proxy that sends these headers; None takes one away."""
    sent = {"x_forwarded_for": VISITOR, "x_forwarded_proto": "https", **over}

    def between(application: Application) -> Application:
        async def passed_on(scope: Message, receive: Receive, send: Send) -> None:
            own = {name.replace("_", "-").encode(): value for name, value in sent.items()}
            headers = [header for header in scope["headers"] if header[0] not in own]
            headers += [(name, value.encode()) for name, value in own.items() if value is not None]
            scheme = "http"  # what the desk behind it sees
            await application({**scope, "client": (PROXY, 4711), "headers": headers, "scheme": scheme}, receive, send)

        return passed_on

    return between


def compressing(application: Application) -> Application:
    """A good proxy that compresses text for who takes it, but no stream, as nginx with the usual `gzip_types`."""

    async def passed_on(scope: Message, receive: Receive, send: Send) -> None:
        takes = b"gzip" in dict(scope["headers"]).get(b"accept-encoding", b"")

        async def packed(message: Message) -> None:
            if takes and message["type"] == "http.response.start":
                headers = [header for header in message["headers"] if header[0] != b"content-length"]
                message = {**message, "headers": [*headers, (b"content-encoding", b"gzip")]}
            elif takes and message.get("body"):
                message = {**message, "body": gzip.compress(message["body"])}
            await send(message)

        await proxy()(application)(scope, receive, send if scope["path"].endswith("/stream") else packed)

    return passed_on


def buffering(application: Application) -> Application:
    """A good proxy that sends the head of a stream with its end, as nginx without `X-Accel-Buffering`."""

    async def passed_on(scope: Message, receive: Receive, send: Send) -> None:
        kept: list[Message] = []

        async def later(message: Message) -> None:
            kept.append(message)
            if not message.get("more_body", message["type"] == "http.response.start"):
                for each in kept:
                    await send(each)

        await proxy()(application)(scope, receive, later)

    return passed_on


def that(*, path: str = "", status: int = 0, hold: float = 0, cut: bool = False, encoding: bytes = b"") -> Proxy:
    """A good proxy but for one thing."""

    def between(application: Application) -> Application:
        async def passed_on(scope: Message, receive: Receive, send: Send) -> None:
            sent = 0

            async def late(message: Message) -> None:
                nonlocal sent
                sent += message["type"] == "http.response.body"
                if message["type"] == "http.response.start":
                    headers = message["headers"] + ([(b"content-encoding", encoding)] if encoding else [])
                    message = {**message, "status": status or message["status"], "headers": headers}
                elif sent == 1:
                    await asyncio.sleep(hold if scope["path"].endswith("/stream") else 0)
                if cut and sent == 3:
                    raise ConnectionResetError
                await send(message)

            await proxy()(application)({**scope, "path": path or scope["path"]}, receive, late)

        return passed_on

    return between


@contextlib.contextmanager
def served(application: Application, certificate: Path | None = None, *, port: int = 0) -> Iterator[str]:
    """Serve over TLS, or without a certificate plainly; yields the address."""
    with serving(application, port=port, certificate=certificate) as served_on:
        yield f"{'https' if certificate else 'http'}://127.0.0.1:{served_on}"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def check(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Finding]]:
    """Examine a desk behind a proxy, with a certificate that holds for so many days for a host."""

    def findings(between: Proxy, *, host: str = "127.0.0.1", days: float = 30, trusted: bool = True) -> list[Finding]:
        if trusted:
            monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
        with served(between(behind_proxies(Probes())), authority.issue(host, days=days)) as url:
            return examine(url)

    return findings


def test_a_good_proxy_has_nothing_wrong(check: Callable[..., list[Finding]]) -> None:
    assert check(proxy()) == []
    # It adds to what a client says: the last address is believed, and it is the visitor's.
    assert check(proxy(x_forwarded_for=f"{CLAIMED_ADDRESS}, {VISITOR}")) == []
    assert check(compressing) == []


@pytest.mark.parametrize(
    ("between", "problems"),
    [
        (proxy(host="127.0.0.1"), [Problem.HOST_CHANGED]),  # without the port
        (proxy(origin="https://desk.internal"), [Problem.ORIGIN_CHANGED]),
        (proxy(origin=None), [Problem.ORIGIN_CHANGED]),
        (proxy(x_forwarded_proto=None), [Problem.SCHEME_LOST]),
        (proxy(x_forwarded_proto="http"), [Problem.SCHEME_LOST]),
        (proxy(x_forwarded_for=None), [Problem.CLIENT_LOST]),
        (proxy(x_forwarded_for=CLAIMED_ADDRESS), [Problem.CLIENT_CLAIMED]),
        (that(status=502, path="/elsewhere"), [Problem.DESK_AWAY]),
        (that(status=302, path="/elsewhere"), [Problem.REDIRECTED]),
        (that(path="/elsewhere"), [Problem.OTHER_PROGRAM]),
        (that(cut=True), [Problem.CUT]),
        (that(encoding=b"gzip"), [Problem.COMPRESSED]),
    ],
)
def test_what_a_proxy_does_wrong_is_found(
    check: Callable[..., list[Finding]], between: Proxy, problems: list[Problem]
) -> None:
    assert [finding.problem for finding in check(between)] == problems


def test_a_proxy_on_this_machine_that_adds_the_visitor_passes_no_claim_on(
    check: Callable[..., list[Finding]], settings: Settings
) -> None:
    settings.PROXIES = [PROXY, "127.0.0.1", "10.0.0.7"]
    client_of.cache_clear()
    assert check(proxy(x_forwarded_for=f"{CLAIMED_ADDRESS}, 127.0.0.1")) == []
    # The proxy before it did not.
    found = check(proxy(x_forwarded_for=f"{CLAIMED_ADDRESS}, 10.0.0.7"))
    assert [finding.problem for finding in found] == [Problem.CLIENT_CLAIMED]


def test_a_stream_that_is_held_back_is_buffered(
    check: Callable[..., list[Finding]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(public_url, "LATE_SECONDS", 0.3)
    assert [finding.problem for finding in check(that(hold=0.4))] == [Problem.BUFFERED]


def test_a_stream_whose_head_is_held_back_too_is_buffered(
    check: Callable[..., list[Finding]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(public_url, "ANSWER_SECONDS", 2)  # for the first answer as well, which is not held back
    monkeypatch.setattr(probes, "SILENT_SECONDS", 3)
    assert [finding.problem for finding in check(buffering)] == [Problem.BUFFERED]


def test_a_proxy_that_is_not_named_is_not_believed(check: Callable[..., list[Finding]], settings: Settings) -> None:
    settings.PROXIES = []
    client_of.cache_clear()
    found = check(proxy())
    assert [finding.problem for finding in found] == [Problem.SCHEME_NOT_BELIEVED, Problem.CLIENT_NOT_BELIEVED]
    assert found[1].values == {"peer": PROXY}


def test_a_proxy_without_the_secret_is_told_so_alone(check: Callable[..., list[Finding]], settings: Settings) -> None:
    settings.PROXY_SECRET = "a-secret-of-the-proxy"
    assert [finding.problem for finding in check(proxy())] == [Problem.SECRET_MISSING]
    assert check(proxy(x_desk_proxy_secret=settings.PROXY_SECRET)) == []


@pytest.mark.parametrize(
    ("certificate", "problem"),
    [
        ({"days": -1}, Problem.CERTIFICATE_EXPIRED),
        ({"days": 3.5}, Problem.CERTIFICATE_SOON),
        ({"host": "other.example.com"}, Problem.CERTIFICATE_HOST),
        ({"trusted": False}, Problem.CERTIFICATE_UNTRUSTED),
    ],
)
def test_a_bad_certificate_is_told_and_the_rest_is_seen_as_well(
    check: Callable[..., list[Finding]], certificate: dict[str, Any], problem: Problem
) -> None:
    found = [finding.problem for finding in check(proxy(origin=None), **certificate)]
    assert found == [problem, Problem.ORIGIN_CHANGED]


def test_where_nothing_listens_or_no_tls_is_spoken_one_sentence_says_so() -> None:
    assert [finding.problem for finding in examine(f"https://127.0.0.1:{free_port()}")] == [Problem.UNREACHABLE]
    with served(behind_proxies(Probes())) as url:
        assert [finding.problem for finding in examine(url.replace("http", "https"))] == [Problem.NO_TLS]
        assert examine(url) == []  # without a proxy there is none to name


@pytest.mark.parametrize(
    ("status", "header", "body", "problem"),
    [
        (400, b"server", b"The plain HTTP request was sent to HTTPS port", Problem.TLS_WANTED),
        (400, b"server", b"Bad request", Problem.OTHER_PROGRAM),
        (401, b"www-authenticate", b"401 Authorization Required", Problem.BASIC_AUTHENTICATION),
        (401, b"server", b"401 Authorization Required", Problem.OTHER_PROGRAM),
    ],
)
def test_a_proxy_that_wants_tls_or_a_password_of_its_own_is_told_so(
    status: int, header: bytes, body: bytes, problem: Problem
) -> None:
    async def proxy_alone(scope: Message, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": status, "headers": [(header, b"Basic")]})
        await send({"type": "http.response.body", "body": body})

    with served(proxy_alone) as url:
        assert [finding.problem for finding in examine(url)] == [problem]


def test_a_clock_that_is_far_away_is_told(check: Callable[..., list[Finding]], monkeypatch: pytest.MonkeyPatch) -> None:
    answer = probes.answer
    monkeypatch.setattr(probes, "answer", lambda facts, token: answer({**facts, "time": facts["time"] - 90}, token))
    [found] = check(proxy())
    assert found.problem == Problem.CLOCKS
    assert 90 <= found.values["seconds"] < 120  # with what the answer took


def test_below_a_path_the_probe_goes_below_it(
    check: Callable[..., list[Finding]], settings: Settings, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    settings.FORCE_SCRIPT_NAME = "/desk"
    with served(proxy()(behind_proxies(Probes())), authority.issue("127.0.0.1")) as url:
        assert examine(f"{url}/desk") == []
        assert [finding.problem for finding in examine(f"{url}/other")] == [Problem.OTHER_PROGRAM]


def test_nobody_else_can_ask_for_a_probe_or_answer_one(settings: Settings) -> None:
    token = probes.new_token()
    assert probes.is_valid(token)
    assert not probes.is_valid(token + "x")
    answer = probes.answer({"host": "desk"}, token)
    assert probes.facts_of(answer, token) == {"token": token, "host": "desk"}
    assert probes.facts_of(answer, probes.new_token()) is None  # the answer to another one
    settings.SECRET_KEY = "another key that is long enough for this"
    assert not probes.is_valid(token)
    assert probes.facts_of(answer, token) is None


@pytest.mark.parametrize("language", ["en", "vi"])
def test_every_problem_has_a_sentence_that_names_its_values(language: str) -> None:
    values = dict.fromkeys(
        (
            "host",
            "port",
            "reason",
            "days",
            "address",
            "status",
            "to",
            "seen",
            "expected",
            "peer",
            "claimed",
            "encoding",
        ),
        "X",
    )
    with translation.override(language):
        for problem in Problem:
            sentence = Finding(problem, {**values, "seconds": 7}).sentence
            assert "%" not in sentence
            assert sentence.endswith((".", ")."))
    assert set(SENTENCES) == set(Problem)


def test_a_finding_is_kept_and_read_again() -> None:
    finding = Finding(Problem.CUT, {"seconds": 7})
    assert Finding.from_json(finding.as_json()) == finding
    assert Finding.from_json({"problem": "of a later version", "values": {}}) is None
    assert dataclasses.asdict(finding)["problem"] == "cut"


def test_the_check_of_run_answers_its_probes_where_the_desk_does_not_run() -> None:
    port = free_port()
    setup: Any = SimpleNamespace(public_url=f"http://127.0.0.1:{port}", host="127.0.0.1", port=port)
    assert public_url_check.findings(setup, answers_here=True) == []
    [(sentence, is_warning)] = public_url_check.findings(setup, answers_here=False)
    assert is_warning  # a machine may not reach its own public address
    assert sentence.startswith(f"127.0.0.1 cannot be reached on port {port}")


def test_the_check_of_run_blames_the_path_where_the_proxy_changes_it() -> None:
    port = free_port()
    # A desk at the root, asked below a path that nobody takes away.
    setup: Any = SimpleNamespace(public_url=f"http://127.0.0.1:{port}/changed", host="127.0.0.1", port=port)
    [(sentence, is_warning)] = public_url_check.findings(setup, answers_here=True)
    assert not is_warning
    assert "changes its path" in sentence
