"""A small desk for tests: it speaks the API over real sockets, and fails in the ways that a test asks for."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

KEY = "desk_" + "k3y" * 14 + "z"
PHONE = {"national": "0852 222 127", "international": "+84852222127", "digits": "0852222127"}
ME = {
    "key": {"id": 1, "name": "ci"},
    "person": {"id": 2, "name": "Linh"},
    "team": {"id": 3, "name": "QA"},
    "role": "operator",
    "scopes": ["rentals:read", "rentals:write", "codes:read", "catalog:read", "balance:read"],
    "budget": [{"of": "key", "label": "Key, today", "unit": "dong", "limit": 50000, "used": 1450, "left": 48550}],
}
SERVICES = [
    {
        "id": "01.2",
        "name": "Zalo",
        "price": 1450,
        "wait_seconds": 300,
        "allowed": True,
        "success_share": 0.8,
        "median_seconds": 21.0,
    },
    {"id": "02.97", "name": "Shopee", "price": 900, "wait_seconds": 600, "success_share": None, "median_seconds": None},
]


class Fault:
    """What one request meets. `drop`: the connection ends, before the work or `after_work`; else an answer of `status`."""

    def __init__(self, status: int = 0, code: str = "", *, after_work: bool = False, **more: Any) -> None:
        self.status, self.code, self.after_work = status, code, after_work
        self.headers: dict[str, str] = more.pop("headers", {})
        self.body: bytes | None = more.pop("body", None)
        self.more = more


DROP = Fault()
DROP_AFTER_WORK = Fault(after_work=True)


class StandIn:
    """The desk's state. `faults` are met one a request, in turn; `requests` has (method, address, headers, body)."""

    def __init__(self) -> None:
        self.rentals: dict[int, dict[str, Any]] = {}
        self.orders: dict[str, tuple[Any, int]] = {}
        self.faults: deque[Fault] = deque()
        self.requests: list[tuple[str, str, dict[str, str], Any]] = []
        self.number_at_once = True
        self.second = 0.02  # how long a second of a wait lasts here
        self.changed = threading.Condition()
        self._server: ThreadingHTTPServer | None = None
        self._port = 0
        self._claim: socket.socket | None = None
        self.open: set[socket.socket] = set()

    @property
    def url(self) -> str:
        """The address of this desk."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Listen; on the same port again after `stop`."""
        stand_in = self

        class Handler(_Handler):
            desk = stand_in

        if self._claim is not None:
            self._claim.close()
        self._server = _Server(("127.0.0.1", self._port), Handler)
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        """Stop listening and cut every connection, as a killed process does."""
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()
        self._claim = socket.socket()  # never listens: it keeps the port until the next start
        self._claim.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._claim.bind(("127.0.0.1", self._port))
        for connection in list(self.open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Stop, and give the port away."""
        self.stop()
        assert self._claim is not None
        self._claim.close()

    def paths(self) -> list[str]:
        """The requests so far: `GET rentals/1/wait`."""
        return [f"{method} {urlsplit(path).path[len('/api/v1/') :]}" for method, path, _, _ in self.requests]

    def queries(self) -> list[dict[str, str]]:
        """The queries of the requests so far."""
        return [{k: v[0] for k, v in parse_qs(urlsplit(path).query).items()} for _, path, _, _ in self.requests]

    def order(self, service: str = "01.2", **over: Any) -> dict[str, Any]:
        """Make a rental."""
        with self.changed:
            rental: dict[str, Any] = {
                "id": len(self.rentals) + 1, "status": "queued", "service": {"id": service, "name": "Zalo"},
                "network": None, "phone": None, "price": 1450, "code": None, "codes": [], "messages": [],
                "reason": None, "warnings": [], "masked": False,
                "queued_at": "2026-11-26T21:00:00+07:00", "expires_at": None,
            }  # fmt: skip
            if self.number_at_once:
                rental.update(status="waiting", phone=PHONE, expires_at="2026-11-26T14:05:00Z")
            rental.update(over)
            self.rentals[rental["id"]] = rental
            return rental

    def update(self, rental_id: int, **changes: Any) -> None:
        """Change a rental and wake the waits."""
        with self.changed:
            self.rentals[rental_id].update(changes)
            self.changed.notify_all()

    def message(self, rental_id: int, code: str = "", text: str = "") -> int:
        """A message arrives; returns its id."""
        rental = self.rentals[rental_id]
        message: dict[str, Any] = {"id": 100 + len(rental["messages"]), "at": "2026-11-26T14:01:00Z", "source": "poll"}
        message.update(text=text or f"Ma: {code}", code=code, is_call=False, late=False)
        changes: dict[str, Any] = {"status": "received", "messages": [*rental["messages"], message]}
        if code:
            changes.update(code=code, codes=[*rental["codes"], code])
        self.update(rental_id, **changes)
        return 100 + len(rental["messages"]) - 1

    def later(self, seconds: float, work: Any, *arguments: Any, **more: Any) -> None:
        """Do `work` after a while."""
        timer = threading.Timer(seconds, work, arguments, more)
        timer.daemon = True
        timer.start()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 50

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error."""


class _Refused(Exception):
    def __init__(self, status: int, code: str, detail: str = "") -> None:
        super().__init__(code)
        self.status, self.code, self.detail = status, code, detail or code.replace("_", " ")


class _Handler(BaseHTTPRequestHandler):
    desk: StandIn

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._handle()

    def do_POST(self) -> None:
        self._handle()

    def _handle(self) -> None:
        self.desk.open.add(self.connection)
        try:
            self._meet()
        finally:
            self.desk.open.discard(self.connection)

    def _meet(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = json.loads(content) if content else None
        self.desk.requests.append((self.command, self.path, dict(self.headers), body))
        fault = self.desk.faults.popleft() if self.desk.faults else None
        if fault and not fault.after_work:
            self._fail(fault)
            return
        try:
            if self.headers.get("Authorization") != f"Bearer {KEY}":
                raise _Refused(401, "unauthorized")
            status, headers, answer = self._work(body)
        except _Refused as refused:
            self._problem(refused.status, refused.code, refused.detail)
            return
        if fault:
            self._fail(fault)
            return
        self._answer(status, json.dumps(answer).encode(), "application/json", headers)

    def _fail(self, fault: Fault) -> None:
        if not fault.status:
            self.connection.shutdown(socket.SHUT_RDWR)
        elif fault.body is not None:
            kind = fault.headers.pop("Content-Type", "text/html")
            self._answer(fault.status, fault.body, kind, fault.headers)
        else:
            self._problem(fault.status, fault.code, headers=fault.headers, **fault.more)

    def _problem(
        self, status: int, code: str, detail: str = "", headers: dict[str, str] | None = None, **more: Any
    ) -> None:
        problem = {"type": "about:blank", "status": status, "code": code, "detail": detail or code, **more}
        self._answer(status, json.dumps(problem).encode(), "application/problem+json", headers or {})

    def _answer(self, status: int, content: bytes, kind: str, headers: dict[str, str]) -> None:
        with contextlib.suppress(OSError):
            self.send_response(status)
            self.send_header("Content-Type", kind)
            if "Content-Length" not in headers:
                self.send_header("Content-Length", str(len(content)))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

    def _work(self, body: Any) -> tuple[int, dict[str, str], Any]:
        split = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(split.query).items()}
        parts = split.path[len("/api/v1/") :].split("/")
        if self.command == "POST" and parts == ["rentals"]:
            return self._order(body)
        if parts[0] == "rentals" and len(parts) > 1:
            rental = self.desk.rentals.get(int(parts[1]))
            if rental is None:
                raise _Refused(404, "not_found")
            return 200, {}, self._rental(rental, parts[2:], query)
        wanted = query.get("q", "").lower()
        services = [service for service in SERVICES if wanted in str(service["name"]).lower()]
        lists: dict[str, Any] = {
            "me": ME,
            "services": {"items": services, "next": None},
            "tokens": {"items": [{"name": "main", "balance": 125000, "balance_at": "2026-11-26T14:00:00Z"}], "next": None},
            "rentals": self._page(query),
        }  # fmt: skip
        if parts[0] not in lists:
            raise _Refused(404, "not_found")
        return 200, {}, lists[parts[0]]

    def _page(self, query: dict[str, str]) -> dict[str, Any]:
        rentals = sorted(self.desk.rentals.values(), key=lambda rental: -rental["id"])
        start = int(query.get("cursor", 0))
        return {"items": rentals[start : start + 2], "next": str(start + 2) if start + 2 < len(rentals) else None}

    def _order(self, body: Any) -> tuple[int, dict[str, str], Any]:
        key = self.headers.get("Idempotency-Key", "")
        if key and key in self.desk.orders:
            first, rental_id = self.desk.orders[key]
            if first != body:
                raise _Refused(422, "idempotency_mismatch")
            return 201, {"Idempotency-Replayed": "true"}, self.desk.rentals[rental_id]
        rental = self.desk.order(body["service"])
        self.desk.orders[key] = (body, rental["id"])
        return 201, {}, rental

    def _rental(self, rental: dict[str, Any], rest: list[str], query: dict[str, str]) -> Any:
        if rest == ["cancel"]:
            if rental["status"] != "queued":
                raise _Refused(409, "too_late", "already sent")
            self.desk.update(rental["id"], status="cancelled")
        elif rest == ["again"]:
            return self.desk.order()
        elif rest == ["wait"]:
            return self._held(rental, query)
        return rental

    def _held(self, rental: dict[str, Any], query: dict[str, str]) -> dict[str, Any]:
        after = int(query.get("after", 0))
        end = time.monotonic() + int(query["timeout"]) * self.desk.second

        def true() -> bool:
            if query["for"] == "number":
                return rental["phone"] is not None
            if query["for"] == "end":
                return rental["status"] in {"received", "expired", "refused", "cancelled"}
            return any(message["code"] and message["id"] > after for message in rental["messages"])

        with self.desk.changed:
            while not true():
                left = end - time.monotonic()
                if rental["status"] in {"expired", "refused", "cancelled"}:
                    return {**rental, "ended": True, "timed_out": False}
                if left <= 0:
                    last = max((message["id"] for message in rental["messages"]), default=None)
                    return {**rental, "timed_out": True, "after": last, "ended": False}
                self.desk.changed.wait(left)
            return {**rental, "timed_out": False, "ended": False}
