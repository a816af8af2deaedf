"""Requests and replies on the wire, for clients that are not as orderly as the desk's."""

import http.client
import socket

import pytest

from sandbox.server import Sandbox
from sandbox.tests.conftest import fetch


def exchange(sandbox: Sandbox, request: str) -> bytes:
    """Send these bytes and read until the sandbox closes the connection."""
    host, port = sandbox.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(request.encode())
        with connection.makefile("rb") as reply:
            return reply.read()


def test_one_connection_carries_many_requests(sandbox: Sandbox) -> None:
    connection = http.client.HTTPConnection(sandbox.url.removeprefix("http://"), timeout=60)
    sockets = set()
    for _ in range(3):
        connection.request("GET", f"/api/?show=balance&token={sandbox.token}")
        assert b'"balance":500000' in connection.getresponse().read()
        sockets.add(connection.sock)
    connection.close()
    assert len(sockets) == 1
    assert None not in sockets


@pytest.mark.parametrize("version_and_headers", ["HTTP/1.1\r\nConnection: close", "HTTP/1.0"])
def test_a_client_that_wants_one_answer_alone_is_let_go(sandbox: Sandbox, version_and_headers: str) -> None:
    reply = exchange(sandbox, f"GET /api/?show=balance&token={sandbox.token} {version_and_headers}\r\n\r\n")
    assert reply.endswith(b'"data":{"balance":500000}}')


def test_what_is_not_http_is_refused_and_written_nowhere(sandbox: Sandbox, capfd: pytest.CaptureFixture[str]) -> None:
    assert b" 400 " in exchange(sandbox, f"token={sandbox.token}\r\n\r\n")
    assert b" 400 " in exchange(sandbox, f"GET /?token={sandbox.token} HTTP/one\r\n\r\n")
    output = capfd.readouterr()
    assert output.err + output.out == ""


@pytest.mark.parametrize("length", ["-1", "many", "5000001"])
def test_a_body_of_no_sensible_length_ends_the_connection(sandbox: Sandbox, length: str) -> None:
    assert exchange(sandbox, f"POST /_sandbox/reset HTTP/1.1\r\nContent-Length: {length}\r\n\r\n") == b""


@pytest.mark.parametrize(
    ("origin", "status"), [("http://evil.example", 403), ("null", 403), ("same", 200), (None, 200)]
)
def test_a_browser_may_come_from_the_sandboxs_own_page_alone(sandbox: Sandbox, origin: str | None, status: int) -> None:
    origin = sandbox.url if origin == "same" else origin
    assert fetch(f"{sandbox.url}/_sandbox/reset", "POST", b"{}", origin=origin).status == status


@pytest.mark.parametrize(
    ("host", "status"),
    [("evil.example", 403), ("evil.example:80", 403), ("127.0.0.1.evil.example", 403), ("", 403), ("localhost:1", 200),
     ("127.0.0.1:1", 200), ("[::1]:1", 200)],
)  # fmt: skip
def test_a_name_that_was_made_to_lead_here_is_another_site(sandbox: Sandbox, host: str, status: int) -> None:
    port = sandbox.url.rpartition(":")[2]
    for method, path in (("POST", "/_sandbox/reset"), ("GET", "/_sandbox/"), ("GET", "/")):
        with socket.create_connection(("127.0.0.1", int(port)), timeout=60) as connection:
            head = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nContent-Length: 2\r\n\r\n"
            connection.sendall(head.encode() + b"{}")
            assert int(connection.recv(100).split()[1]) == status, path
