"""Limits on what comes before a request is complete, and on answers that are not read, through a real server."""

import contextlib
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from pytest_django import Settings

from pages.tests.live.server import serving
from thuesim_site.serving import connections
from thuesim_site.serving.connections import MAX_HEAD_BYTES, client_of
from thuesim_site.testing import wait_until

LONG = b"x" * 10_000_000


async def pages(scope: Any, receive: Any, send: Any) -> None:
    """`/long` is long, `/open` stays open until its reader leaves, all else is short and names the headers it was sent."""
    if scope["path"] == "/late":
        while (await receive())["more_body"]:
            pass
    body = LONG if scope["path"] == "/long" else b" ".join(name for name, _ in scope["headers"])
    await send({"type": "http.response.start", "status": 200, "headers": []})
    if scope["path"] == "/open":
        await send({"type": "http.response.body", "body": body, "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass
        return
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
def port() -> Iterator[int]:
    with serving(pages) as port:
        yield port


@contextlib.contextmanager
def sending(port: int, data: bytes) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(data)
        yield connection


def rest(connection: socket.socket) -> bytes:
    """All that comes until the server closes."""
    return connection.makefile("rb").read()


def get(port: int, path: str = "/") -> bytes:
    with sending(port, f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()) as connection:
        return rest(connection)


@pytest.mark.parametrize("begun", [b"GET / HTTP/1.1\r\nHost: lo", b"GET / HTTP/1.1\r\n", b"\r\n"])
def test_a_head_that_does_not_end_is_refused(port: int, monkeypatch: pytest.MonkeyPatch, begun: bytes) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.5)
    monkeypatch.setattr(connections, "LINGER_SECONDS", 0.1)
    with sending(port, begun) as slow:
        answer = rest(slow)
    assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert b"connection: close\r\n" in answer
    assert b"retry-after: " in answer


def test_a_head_that_does_not_end_is_refused_after_a_request_as_well(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 1)
    monkeypatch.setattr(connections, "LINGER_SECONDS", 0.1)
    with sending(port, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n") as slow:
        assert slow.recv(1000).startswith(b"HTTP/1.1 200 ")
        slow.sendall(b"GET / HT")
        assert b"HTTP/1.1 408 " in rest(slow)


def test_a_connection_on_which_nothing_comes_is_closed(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.1)
    with sending(port, b"") as idle:
        assert rest(idle) == b""


def test_a_byte_now_and_then_gives_a_head_no_more_time(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.5)
    monkeypatch.setattr(connections, "LINGER_SECONDS", 0.1)
    with sending(port, b"GET / HTTP/1.1\r\nX: ") as slow:
        slow.settimeout(0.02)
        answer = b""
        while not answer:  # sends on until it is refused
            slow.sendall(b"x")
            with contextlib.suppress(TimeoutError):
                answer = slow.recv(1000)
    assert answer.startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("end", [b"", b"\r\n\r\n"])
@pytest.mark.parametrize("line", [b"X: y\r\n", b"X: " + b"y" * 2000 + b"\r\n", b"y" * 2000])
def test_a_head_that_is_too_large_is_refused(port: int, line: bytes, end: bytes) -> None:
    head = b"GET / HTTP/1.1\r\nHost: localhost\r\n" + (b"" if line.endswith(b"\n") else b"X: ")
    head += line * (MAX_HEAD_BYTES // len(line) + 2)
    with sending(port, head + end) as sender:
        assert sender.recv(1000).startswith(b"HTTP/1.1 431 ")


def test_a_large_body_is_no_large_head(port: int) -> None:
    with sending(port, b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n") as sender:
        sender.sendall(b"x" * 100_000)
        assert sender.recv(1000).startswith(b"HTTP/1.1 200 ")
        sender.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert b"HTTP/1.1 200 " in rest(sender)


def test_headers_sent_ahead_while_an_answer_is_open_end_the_connection(port: int) -> None:
    with sending(port, b"GET /open HTTP/1.1\r\nHost: localhost\r\n\r\n") as sender:
        sender.recv(1000)
        with pytest.raises(OSError):  # noqa: PT012 - whichever of them notices
            while True:
                sender.sendall(b"GET / HTTP/1.1\r\nX: " + b"x" * MAX_HEAD_BYTES)


def test_headers_after_the_body_are_dropped(port: int) -> None:
    head = b"POST /late HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    with sending(port, head + b"1\r\nx\r\n0\r\nX-Forwarded-Proto: https\r\n\r\n") as sender:
        answer = rest(sender)
    assert b"transfer-encoding" in answer
    assert b"x-forwarded-proto" not in answer


@pytest.mark.parametrize("piece", [b"X: " + b"y" * 60_000 + b"\r\n", b"y" * 60_000])
def test_what_follows_a_body_without_end_ends_the_connection(port: int, piece: bytes) -> None:
    head = b"POST /open HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX: "
    with sending(port, head) as sender, pytest.raises(OSError):  # noqa: PT012 - whichever of them notices
        while True:
            sender.sendall(piece)


def test_many_requests_sent_ahead_end_the_connection(port: int) -> None:
    ask = b"GET /open HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with sending(port, ask * 100) as sender, contextlib.suppress(ConnectionResetError):
        assert len(rest(sender)) < 10_000
    assert get(port).startswith(b"HTTP/1.1 200 ")


def test_an_answer_that_nobody_reads_is_given_up(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "UNREAD_SECONDS", 0.1)
    with socket.socket() as idle:
        idle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        idle.settimeout(60)
        idle.connect(("127.0.0.1", port))
        idle.sendall(b"GET /long HTTP/1.1\r\nHost: localhost\r\n\r\n")
        wait_until(lambda: not connections._open, "the connection is gone")


def test_an_answer_that_is_read_slowly_comes_whole(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "UNREAD_SECONDS", 1)
    with sending(port, b"GET /long HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n") as reader:
        size = 0
        while part := reader.recv(500_000):
            size += len(part)
            time.sleep(0.1)
    assert size > len(LONG)


def test_an_address_has_so_many_connections_and_no_more(port: int, settings: Settings) -> None:
    settings.MAX_CONNECTIONS = 2
    with sending(port, b""), sending(port, b"") as second:
        answer = get(port)
        assert answer.startswith(b"HTTP/1.1 429 Too Many Requests\r\n")
        assert b"retry-after: " in answer
        second.close()
        wait_until(lambda: get(port).startswith(b"HTTP/1.1 200 "), "there is room again")


def test_a_proxy_has_as_many_connections_as_it_wants(port: int, settings: Settings) -> None:
    settings.MAX_CONNECTIONS, settings.PROXIES = 1, ["127.0.0.0/8"]
    client_of.cache_clear()
    with sending(port, b""), sending(port, b""):
        assert get(port).startswith(b"HTTP/1.1 200 ")
    client_of.cache_clear()


@pytest.mark.parametrize(
    ("host", "client"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:1", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("no address", "no address"),
    ],
)
def test_a_client_is_an_address_or_the_network_of_one(host: str, client: str) -> None:
    assert client_of(host) == client
