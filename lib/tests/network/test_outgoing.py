"""No address that a person types leads into our own network, and no answer holds a worker up."""

import gzip
import ipaddress
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from pytest_django import Settings

from lib.network import outgoing
from lib.network.networks import Allowed, is_public, parse_allowed
from lib.network.outgoing import NotSent, Problem, check, post

ENDLESS_SECONDS = 60  # of an answer that nobody waits for
BOMB = gzip.compress(b"A" * 10_000_000)
# Answers that a receiver may mean to do harm with.
STRANGE = {
    "/bomb": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b" % (len(BOMB), BOMB),
    "/endless-head": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 10_000,
    "/long-line": b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000,
    "/dripping-body": b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n",
    "/continue": b"",
}


class Receiver(BaseHTTPRequestHandler):
    """Answers by the path that it is asked for."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append((self.path, dict(self.headers), body))  # type: ignore[attr-defined]
        if self.path == "/hang":
            self.server.closes.wait(ENDLESS_SECONDS)  # type: ignore[attr-defined]
        if self.path == "/drip":
            self.wfile.write(b"HTTP/1.1 200 OK\r\n")
            for number in range(10 * ENDLESS_SECONDS):
                self.wfile.write(b"X-Header-%d: x\r\n" % number)
                self.wfile.flush()
                time.sleep(0.1)
        if self.path.startswith("/away/"):
            self.send_response(int(self.path.rpartition("/")[2]))
            self.send_header("Location", "/elsewhere")
            self.end_headers()
            return
        if self.path in STRANGE:
            self.wfile.write(STRANGE[self.path])
            for _ in range(10 * ENDLESS_SECONDS if self.path in {"/dripping-body", "/continue"} else 0):
                self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n" if self.path == "/continue" else b"x")
                self.wfile.flush()
                time.sleep(0.1)
            return
        self.send_response(200)
        self.send_header("Content-Length", "5000")
        self.end_headers()
        self.wfile.write(b"x" * 5000)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def receiver(settings: Settings) -> Iterator[tuple[str, list[Any]]]:
    """A receiver on this machine, which the setting lets in: its address, and what it was sent."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # what was cut off prints no traceback
    server.seen, server.closes = [], threading.Event()  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    settings.OUTGOING_ALLOW = [f"127.0.0.1:{server.server_port}"]
    yield f"http://127.0.0.1:{server.server_port}", server.seen  # type: ignore[attr-defined]
    server.closes.set()  # type: ignore[attr-defined]
    server.shutdown()
    server.server_close()


def _names(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> None:
    """Have the name server give these addresses, one answer after the other."""
    given, real = iter(answers), socket.getaddrinfo

    def getaddrinfo(host: str, port: int, *rest: Any, **more: Any) -> list[Any]:
        if host.endswith(".example"):
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in next(given)]
        return real(host, port, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def _problem(url: str) -> Problem:
    with pytest.raises(NotSent) as caught:
        check(url)
    return caught.value.problem


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.8.8", "10.1.2.3", "172.16.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
        "224.0.0.1", "240.0.0.1", "255.255.255.255", "198.18.0.1", "192.0.2.1", "::1", "::", "fe80::1", "fc00::1", "fd12::1",
        "fec0::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1",
        "2002:7f00:1::", "2002:a00:1::1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a00:1", "2001:db8::1",
        "fe80::1%eth0", "2606:4700::1111%eth0", "::ffff:0:7f00:1", "2001::7f00:1", "192.0.0.9", "192.88.99.1", "3fff::1",
    ],
)  # fmt: skip
def test_an_address_that_is_not_of_the_internet_is_refused(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "203.162.4.190", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]
)
def test_an_address_of_the_internet_is_accepted(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("https://127.0.0.1/", Problem.PRIVATE),
        ("https://[::ffff:7f00:1]/", Problem.PRIVATE),
        ("https://localhost/", Problem.PRIVATE),
        ("http://1.1.1.1/", Problem.HTTPS),
        ("ftp://1.1.1.1/", Problem.URL),
        ("https://user:password@1.1.1.1/", Problem.URL),
        ("https://1.1.1.1\\@127.0.0.1/", Problem.URL),
        ("https://1.1.1.1/\r\nX: y", Problem.URL),
        ("https://nowhere.invalid/", Problem.NAME),
        ("https:///path", Problem.URL),
        ("https://0.0.0.0/", Problem.PRIVATE),
        ("https://[::]/", Problem.PRIVATE),
        ("https://[64:ff9b::7f00:1]/", Problem.PRIVATE),
        ("https://[2002:7f00:1::]/", Problem.PRIVATE),
        ("https://[fe80::1%25lo]/", Problem.NAME),
        ("https://[fe80::1%lo]/", Problem.PRIVATE),
        ("https://127。0。0。1/", Problem.URL),
        ("https://１２７.0.0.1/", Problem.URL),
        ("https://ⓛocalhost/", Problem.URL),
        ("https://@127.0.0.1/", Problem.URL),
        ("https://1.1.1.1:443@127.0.0.1/", Problem.URL),
        ("https://127.0.0.1#@1.1.1.1/", Problem.PRIVATE),
        ("https://1.1.1.1:0/", Problem.URL),
        ("https://1.1.1.1:65536/", Problem.URL),
        ("https://1.1.1.1:-1/", Problem.URL),
        ("https://[127.0.0.1]/", Problem.URL),
        ("gopher://127.0.0.1/", Problem.URL),
        ("file:///etc/passwd", Problem.URL),
        ("//127.0.0.1/", Problem.URL),
    ],
)
def test_where_it_is_typed_an_address_is_refused_with_its_reason(url: str, problem: Problem) -> None:
    assert _problem(url) == problem


@pytest.mark.parametrize(
    "host", ["2130706433", "0x7f000001", "017700000001", "0177.0.0.1", "0x7f.1", "127.1", "127.0.1", "0", "0xa9fea9fe"]
)
def test_an_address_that_is_spelt_as_one_number_is_the_address_that_it_means(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def as_libc_reads_it(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (socket.inet_ntoa(socket.inet_aton(host)), port))]

    monkeypatch.setattr(socket, "getaddrinfo", as_libc_reads_it)
    assert _problem(f"https://{host}/") == Problem.PRIVATE


def test_a_name_with_one_private_address_among_others_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    _names(monkeypatch, ["1.1.1.1", "10.0.0.5"])
    assert _problem("https://both.example/") == Problem.PRIVATE


def test_a_name_that_resolves_to_something_else_at_the_connection_is_refused(
    monkeypatch: pytest.MonkeyPatch, receiver: tuple[str, list[Any]], settings: Settings
) -> None:
    """DNS rebinding: public when it is typed, this machine when it is sent to."""
    settings.OUTGOING_ALLOW = []
    port = receiver[0].rpartition(":")[2]
    _names(monkeypatch, ["1.1.1.1"], ["127.0.0.1"])
    check(f"https://rebound.example:{port}/")
    with pytest.raises(NotSent) as caught:
        post(f"https://rebound.example:{port}/", b"{}", {})
    assert caught.value.problem == Problem.PRIVATE
    assert receiver[1] == []


def test_the_connection_goes_to_the_address_that_was_checked(
    monkeypatch: pytest.MonkeyPatch, receiver: tuple[str, list[Any]]
) -> None:
    port = receiver[0].rpartition(":")[2]
    _names(monkeypatch, ["127.0.0.1"])  # a second look-up would find no answer
    assert post(f"http://name.example:{port}/here?a=b", b"{}", {"X-Ours": "yes"}).status == 200
    path, headers, body = receiver[1][0]
    assert (path, headers["Host"], headers["X-Ours"], body) == ("/here?a=b", f"name.example:{port}", "yes", b"{}")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_answer_and_is_not_followed(status: int, receiver: tuple[str, list[Any]]) -> None:
    assert post(f"{receiver[0]}/away/{status}", b"{}", {}).status == status
    assert [path for path, _headers, _body in receiver[1]] == [f"/away/{status}"]


def test_a_proxy_of_the_environment_is_not_used(
    receiver: tuple[str, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        address = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, address)
            monkeypatch.setenv(name.upper(), address)
        assert post(f"{receiver[0]}/", b"{}", {}).status == 200
        proxy.settimeout(0.1)
        with pytest.raises(TimeoutError):
            proxy.accept()


def test_a_compressed_answer_is_not_unpacked(receiver: tuple[str, list[Any]]) -> None:
    text = post(f"{receiver[0]}/bomb", b"{}", {}).text
    assert len(text) <= 1024
    assert "A" * 20 not in text


@pytest.mark.parametrize("path", ["/endless-head", "/long-line"])
def test_a_head_that_is_too_large_is_no_answer(path: str, receiver: tuple[str, list[Any]]) -> None:
    with pytest.raises(NotSent) as caught:
        post(f"{receiver[0]}{path}", b"{}", {})
    assert caught.value.problem == Problem.BROKEN


def test_a_body_that_drips_is_cut_and_its_status_counts(
    receiver: tuple[str, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outgoing, "TIMEOUT_SECONDS", 1.5)  # in which the status comes even where the machine is busy
    begun = time.monotonic()
    answer = post(f"{receiver[0]}/dripping-body", b"{}", {})
    assert (answer.status, answer.text.strip("x")) == (200, "")
    assert time.monotonic() - begun < ENDLESS_SECONDS / 2


@pytest.mark.parametrize("path", ["/hang", "/drip", "/continue"])
def test_an_answer_that_takes_too_long_is_cut_off(
    path: str, receiver: tuple[str, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outgoing, "TIMEOUT_SECONDS", 0.4)
    begun = time.monotonic()
    with pytest.raises(NotSent) as caught:
        post(f"{receiver[0]}{path}", b"{}", {})
    assert caught.value.problem == Problem.TIMEOUT
    assert time.monotonic() - begun < ENDLESS_SECONDS / 2


def test_a_kilobyte_of_the_answer_is_read(receiver: tuple[str, list[Any]]) -> None:
    assert post(f"{receiver[0]}/", b"{}", {}).text == "x" * 1024


def test_an_allowed_port_lets_no_other_port_in(receiver: tuple[str, list[Any]]) -> None:
    assert _problem("http://127.0.0.1:1/") == Problem.PRIVATE


def test_an_error_says_nothing_of_the_address(settings: Settings) -> None:
    settings.OUTGOING_ALLOW = ["127.0.0.1"]
    with pytest.raises(NotSent) as caught:
        post("http://127.0.0.1:1/bot1234:secret/", b"{}", {})
    assert caught.value.problem == Problem.CONNECT
    assert "secret" not in repr(caught.value) + repr(caught.value.__cause__)


@pytest.mark.parametrize(
    ("text", "address", "port"),
    [
        ("10.0.0.0/8", "10.0.0.0/8", None),
        ("192.168.1.5:8080", "192.168.1.5/32", 8080),
        ("10.0.0.0/8:443", "10.0.0.0/8", 443),
        ("fd00::/8", "fd00::/8", None),
        ("[fd00::1]:443", "fd00::1/128", 443),
    ],
)
def test_the_setting_takes_addresses_and_networks_with_a_port_or_without(
    text: str, address: str, port: int | None
) -> None:
    assert parse_allowed(text) == Allowed(ipaddress.ip_network(address), port)


@pytest.mark.parametrize("text", ["localhost", "10.0.0.1:0", "10.0.0.1:70000", "10.0.0.1:x", "*"])
def test_the_setting_takes_nothing_else(text: str) -> None:
    with pytest.raises(ValueError):
        parse_allowed(text)
