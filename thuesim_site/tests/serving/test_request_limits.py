"""How many requests a client may have open, with and without a proxy between, through a real server."""

import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from pytest_django import Settings
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from pages.tests.live.server import serving
from thuesim_site.serving.connections import client_of
from thuesim_site.serving.request_limits import RequestLimit
from thuesim_site.testing import wait_until


async def open_stream(scope: Any, receive: Any, send: Any) -> None:
    """Stays open until its reader leaves."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello", "more_body": True})
    while (await receive())["type"] != "http.disconnect":
        pass


def believing(proxies: list[str]) -> Any:
    limited: Any = RequestLimit(lambda scope: open_stream)
    return ProxyHeadersMiddleware(limited, proxies)


@contextlib.contextmanager
def stream(port: int, forwarded_for: str) -> Iterator[int]:
    """Open a stream; yields its status."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        header = f"X-Forwarded-For: {forwarded_for}\r\n" if forwarded_for else ""
        connection.sendall(f"GET / HTTP/1.1\r\nHost: localhost\r\n{header}\r\n".encode())
        yield int(connection.recv(1000).split()[1])


def status(port: int, forwarded_for: str) -> int:
    with stream(port, forwarded_for) as found:
        return found


@pytest.fixture
def behind_a_proxy(settings: Settings) -> Iterator[int]:
    settings.PROXIES, settings.MAX_CONNECTIONS = ["127.0.0.1"], 2
    client_of.cache_clear()
    with serving(believing(settings.PROXIES)) as port:
        yield port
    client_of.cache_clear()


def test_one_client_of_a_proxy_has_so_many_open_and_another_as_many(behind_a_proxy: int) -> None:
    with stream(behind_a_proxy, "192.0.2.1") as first, stream(behind_a_proxy, "192.0.2.1") as second:
        assert (first, second) == (200, 200)
        assert status(behind_a_proxy, "192.0.2.1") == 429
        assert status(behind_a_proxy, "198.51.100.9, 192.0.2.1") == 429  # what a client says itself is not believed
        assert status(behind_a_proxy, "192.0.2.2") == 200
    wait_until(lambda: status(behind_a_proxy, "192.0.2.1") == 200, "there is room again")


def test_the_proxy_itself_is_no_client(behind_a_proxy: int) -> None:
    with stream(behind_a_proxy, ""), stream(behind_a_proxy, ""):
        assert status(behind_a_proxy, "") == 200


def test_without_a_proxy_nobody_is_believed_about_another_address(settings: Settings) -> None:
    settings.MAX_CONNECTIONS = 2
    with serving(believing([])) as port, stream(port, "192.0.2.1") as first:
        assert first == 200
        with stream(port, "192.0.2.2") as second:
            assert second == 200
            assert status(port, "192.0.2.3") == 429
