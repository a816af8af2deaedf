"""The server: outages, many connections at once, and its end."""

import signal
import socket
import threading
from pathlib import Path

import pytest

from sandbox.catalogue import demo_token
from sandbox.server import Sandbox
from sandbox.tests.conftest import LOST, Process, ask, eventually, fetch


def test_an_outage_refuses_connections_for_a_while(sandbox: Sandbox) -> None:
    sandbox.outage(0.3)

    def refused() -> bool:
        try:
            return ask(sandbox, "balance").status != 200
        except ConnectionRefusedError:
            return True
        except LOST:
            return False

    eventually(refused)
    eventually(lambda: not refused())


def test_two_hundred_connections_at_once_are_all_answered(sandbox: Sandbox) -> None:
    line = f"GET /api/?show=balance&token={sandbox.token} HTTP/1.1\r\nConnection: close\r\n\r\n".encode()
    host, port = sandbox.url.removeprefix("http://").split(":")
    connections = [socket.create_connection((host, int(port)), timeout=5) for _ in range(200)]
    for connection in connections:
        connection.sendall(line)
    for connection in connections:
        with connection, connection.makefile("rb") as answer:
            assert answer.read().endswith(b'"data":{"balance":500000}}')


def test_it_stops_within_a_second_of_being_told_even_while_it_holds_a_reply(state: Path) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        process = Process(state, "--fault", "lost-hold")

        def held(url: str = process.url) -> None:
            with pytest.raises(Exception):  # noqa: B017
                fetch(f"{url}/api/?show=balance&token={demo_token(1)}")

        thread = threading.Thread(target=held)
        thread.start()
        eventually(lambda url=process.url: "lost-hold" in fetch(f"{url}/_sandbox/faults").json["fired"])  # type: ignore[misc]
        assert process.end(number) == 0
        thread.join(2)
