"""A sandbox without waiting times, a process of it, an HTTP client, and a receiver of callbacks."""

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from sandbox.server import Sandbox

ROOT = Path(__file__).parents[2]
LOST = (http.client.HTTPException, OSError)
PATHS = {"rent": "/api/register-service/", "rephone": "/api/rephone/"}


@dataclass
class Answer:
    """One reply as it arrived."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode("utf-8-sig")

    @property
    def json(self) -> Any:
        return json.loads(self.text, parse_float=str)


def fetch(
    url: str, method: str = "GET", body: bytes | None = None, timeout: float = 60.0, **headers: str | None
) -> Answer:
    """One request on a connection of its own, with these headers unless None."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=timeout)
    try:
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request(method, path, body, {name: value for name, value in headers.items() if value})
        response = connection.getresponse()
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
    finally:
        connection.close()


def ask(sandbox: Sandbox, endpoint: str, token: str | None = None, **query: str) -> Answer:
    """Ask an endpoint, by its name in `faults.ENDPOINTS`."""
    return fetch(address(sandbox, endpoint, token, **query))


def address(sandbox: Sandbox, endpoint: str, token: str | None = None, **query: str) -> str:
    """The address of an endpoint."""
    if endpoint not in PATHS:
        query["show"] = endpoint
    query["token"] = sandbox.token if token is None else token
    return f"{sandbox.url}{PATHS.get(endpoint, '/api/')}?{urlencode(query)}"


def rent(sandbox: Sandbox, service: str = "02.97", **query: str) -> dict[str, Any]:
    """Rent a number; the RequestLog of the answer, its id as text."""
    answer = ask(sandbox, "rent", serviceId=service, **query).json
    log = answer["RequestLog"]
    assert isinstance(log, dict)
    return log | {"ID": str(log["ID"])}


def code_status(sandbox: Sandbox, rental: dict[str, str]) -> int:
    """What the code endpoint answers of a rental: 0 received, 1 waiting, 2 expired, 3 unknown."""
    return int(ask(sandbox, "code", ID=rental["ID"]).json["ResponseCode"])


def control(sandbox: Sandbox, name: str, /, **body: object) -> Any:
    """POST to the control API."""
    answer = fetch(f"{sandbox.url}/_sandbox/{name}", "POST", json.dumps(body).encode())
    assert answer.status == 200, answer.text
    return answer.json


def slow_until_set(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Have `slow`, `slow-reply` and an outage last until the event is set that is returned, whatever their own time."""
    go_on = threading.Event()
    for owner, name in ((sandbox.stopping, "wait"), (sandbox._endpoints, "_wait")):
        monkeypatch.setattr(owner, name, lambda _seconds: not go_on.wait(60))
    return go_on


def eventually(condition: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Poll the condition until its value is true, and return that."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        if value := condition():
            return value
        threading.Event().wait(0.005)
    raise AssertionError("it did not happen in time")


class Process:
    """A sandbox in a process of its own."""

    def __init__(self, state: Path, *options: str) -> None:
        command = [sys.executable, "-m", "sandbox", "--port", "0", "--gap", "0", "--state", str(state), *options]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env={**os.environ})
        assert self.process.stdout
        self.line = self.process.stdout.readline()
        self.url = self.line.split(" at ")[1].split("/ ")[0]

    def end(self, signal_number: int = signal.SIGKILL) -> int:
        """Send the signal, and wait for the exit code."""
        self.process.send_signal(signal_number)
        code = self.process.wait(30)
        assert self.process.stdout
        self.process.stdout.close()
        return code


@dataclass
class Receiver:
    """A callback address, and what was posted to it: content type and body, in order."""

    url: str = ""
    posts: list[tuple[str, bytes]] = field(default_factory=list)

    def wait_for(self, count: int) -> list[dict[str, Any]]:
        """All bodies as JSON, once there are so many."""
        eventually(lambda: len(self.posts) >= count)
        return [json.loads(body) for _, body in self.posts]


def rent_with_callbacks(sandbox: Sandbox, receiver: Receiver, *faults: str) -> str:
    """Rent on a token with a callback address; the rental's id without its SV."""
    sandbox.rules.faults.set_all(faults)
    sandbox.set_callback_url(receiver.url)
    number, _, _ = str(rent(sandbox)["ID"]).partition(".")
    return number


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A sandbox without a gap, in which messages arrive by hand only."""
    with Sandbox(gap=0, message_after=None, refund_after=60) as sandbox:
        yield sandbox


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A server that receives callbacks."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.posts.append((self.headers["Content-Type"], body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.url = f"http://127.0.0.1:{server.server_address[1]}/callback/secret/"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield receiver
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A path for a state file, in a folder that does not exist yet."""
    return tmp_path / "var" / "sandbox.sqlite3"
