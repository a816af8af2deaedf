"""What reaches Sentry of a page, a task, a query and log lines that fail, at an endpoint on this machine."""

import gzip
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from thuesim_site.start.environment import BASE_DIR
from thuesim_site.testing import known_names

SECRETS = ["0926372056", "482913", "Ma xac nhan cua ban", "linh@example.com", "4801-ffc059191fa684dfdcbc45150f5f8144"]


class Endpoint(ThreadingHTTPServer):
    """Takes what Sentry's library posts."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        super().__init__(("127.0.0.1", 0), _Post)


class _Post(BaseHTTPRequestHandler):
    server: Endpoint

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.bodies.append(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def bodies(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """All that a failing desk has sent."""
    endpoint = Endpoint()
    threading.Thread(target=endpoint.serve_forever, daemon=True).start()
    environment = {
        **os.environ,
        **dict.fromkeys(known_names(), ""),
        "DESK_DATA_DIR": str(tmp_path_factory.mktemp("sentry")),
        "DJANGO_SETTINGS_MODULE": "thuesim_site.settings_test",
        "DESK_PROCESS": "worker-2",
        "SENTRY_DSN": f"http://publickey@127.0.0.1:{endpoint.server_address[1]}/1",
    }
    command = [sys.executable, "-m", "thuesim_site.tests.failing_desk", *SECRETS]
    done = subprocess.run(command, cwd=BASE_DIR, env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    endpoint.shutdown()
    endpoint.server_close()
    return endpoint.bodies


@pytest.fixture
def events(bodies: list[bytes]) -> list[dict[str, Any]]:
    lines = [json.loads(line) for body in bodies for line in body.splitlines() if line.startswith(b"{")]
    return [line for line in lines if "level" in line]


def test_no_secret_is_in_anything_that_was_sent(bodies: list[bytes]) -> None:
    sent = b"\n".join(bodies).decode()
    assert [secret for secret in SECRETS if secret in sent or secret.replace("@", "%40") in sent] == []
    assert "no_table" not in sent
    assert "Bearer" not in sent


def test_it_says_what_failed_and_where(events: list[dict[str, Any]]) -> None:
    classes = {one["type"] for event in events for one in (event.get("exception") or {}).get("values", [])}
    assert {"RuntimeError", "ValueError", "LookupError", "OperationalError"} <= classes
    failed = [event for event in events if "exception" in event]
    [page] = [event for event in failed if event["exception"]["values"][-1]["type"] == "RuntimeError"]
    assert page["transaction"].endswith("fail/")
    assert page["request"] == {"method": "POST", "url": "/callback/…/fail/"}
    frames = page["exception"]["values"][-1]["stacktrace"]["frames"]
    assert frames[-1]["function"] == "fail"
    assert {event["logentry"]["message"] for event in events if "logentry" in event} >= {"no code %s for %s in %s"}


def test_every_event_names_the_release_and_the_role(events: list[dict[str, Any]]) -> None:
    assert {event["release"] for event in events} == {"thuesim-desk@9.9.9"}
    assert {(event["tags"]["role"], event["tags"]["process"]) for event in events} == {("worker", "worker-2")}


def test_nothing_is_imported_where_it_is_not_set() -> None:
    program = "import sys, django; django.setup(); from thuesim_site import sentry; sentry.start(); "
    program += "print('sentry_sdk' in sys.modules)"
    unset = dict.fromkeys(known_names(), "")
    environment = {**os.environ, **unset, "DJANGO_SETTINGS_MODULE": "thuesim_site.settings_test"}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=BASE_DIR, env=environment, capture_output=True, text=True
    )
    assert done.stdout == "False\n", done.stderr
