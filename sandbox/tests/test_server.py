"""The server: outages, many connections at once, and how it stops."""

import signal
import socket
import threading
from pathlib import Path

import pytest

from sandbox.catalog import demo_token
from sandbox.server import Sandbox
from sandbox.tests.conftest import LOST, Process, ask, eventually, fetch, slow_until_set


def test_an_outage_refuses_connections_for_a_while(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    def result() -> str:
        try:
            return "answered" if ask(sandbox, "balance").status == 200 else "failed"
        except ConnectionRefusedError:
            return "refused"
        except LOST:
            return "lost"

    go_on = slow_until_set(sandbox, monkeypatch)
    sandbox.outage(0.3)
    eventually(lambda: result() == "refused")
    go_on.set()
    eventually(lambda: result() == "answered")


def test_two_hundred_connections_at_once_are_all_answered(sandbox: Sandbox) -> None:
    line = f"GET /api/?show=balance&token={sandbox.token} HTTP/1.1\r\nConnection: close\r\n\r\n".encode()
    host, port = sandbox.url.removeprefix("http://").split(":")
    connections = [socket.create_connection((host, int(port)), timeout=60) for _ in range(200)]
    for connection in connections:
        connection.sendall(line)
    for connection in connections:
        with connection, connection.makefile("rb") as answer:
            assert answer.read().endswith(b'"data":{"balance":500000}}')


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_while_it_holds_a_reply(state: Path, signal_number: int) -> None:
    process = Process(state, "--fault", "lost-hold")
    results = []

    def wait_for_the_held_reply() -> None:
        try:
            results.append(fetch(f"{process.url}/api/?show=balance&token={demo_token(1)}", timeout=90).text)
        except LOST:
            results.append("lost")

    thread = threading.Thread(target=wait_for_the_held_reply)
    thread.start()
    try:
        eventually(lambda: "lost-hold" in fetch(f"{process.url}/_sandbox/faults").json["fired"])
    finally:
        exit_code = process.end(signal_number)
    thread.join(30)
    assert (exit_code, results) == (0, ["lost"])
