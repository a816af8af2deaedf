"""The stand-in as a server, and as an object for tests: `with Sandbox() as upstream: upstream.url`."""

import contextlib
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import TracebackType
from typing import Self

from sandbox.control_api import ControlApi
from sandbox.endpoints import Endpoints
from sandbox.http_wire import Reply, Request, read_request, send
from sandbox.knobs import Knobs
from sandbox.page import Page
from sandbox.rules import Rules
from sandbox.settings import Settings

IDLE_SECONDS = 120.0


class _Connection(BaseHTTPRequestHandler):
    """One client connection: request after request until one side closes it."""

    server: "_Server"
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = IDLE_SECONDS

    def handle(self) -> None:
        self.server.connections.add(self.connection)
        try:
            with contextlib.suppress(OSError, ValueError):
                super().handle()
        finally:
            self.server.connections.discard(self.connection)

    def parse_request(self) -> bool:
        # The first line has just been read. Not time.monotonic(): tests that travel in time move it.
        self.arrival = time.perf_counter()
        return super().parse_request()

    def do_GET(self) -> None:
        sandbox = self.server.sandbox
        request = read_request(self, self.arrival)
        if not sandbox.serve(request, self.connection) or sandbox.stopping.is_set():
            self.close_connection = True

    do_POST = do_GET

    def log_message(self, format: str, *args: object) -> None:
        # A request's line holds a token.
        pass

    def finish(self) -> None:
        # A connection that was reset on purpose has nothing left to flush or close.
        with contextlib.suppress(OSError):
            super().finish()


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 1024

    def __init__(self, address: tuple[str, int], sandbox: "Sandbox") -> None:
        self.sandbox = sandbox
        self.connections: set[socket.socket] = set()
        super().__init__(address, _Connection)

    def handle_error(self, request: object, client_address: object) -> None:
        # Only the class of the error: its text may hold a token.
        print(f"sandbox: {sys.exc_info()[0]} while answering", file=sys.stderr)


class Sandbox(Knobs):
    """A stand-in with its server and its knobs. Money in đồng, times in seconds; `state` is a file that survives a kill.

    `faults` are names with probabilities, or texts such as `slow=0.5:200`. With `port` 0 the system picks one. Without
    a `token`, the first one is made up. The other arguments are those of `Settings`.
    """

    def __init__(
        self,
        *,
        seed: int = Settings.seed,
        gap: float = Settings.gap,
        waiting_limit: int = Settings.waiting_limit,
        message_after: tuple[float, float] | None = Settings.message_after,
        refund_after: float = Settings.refund_after,
        balance: int = Settings.balance,
        faults: Mapping[str, float] | Iterable[str] = (),
        envelope: str = Settings.envelope,
        any_token: bool = Settings.any_token,
        lifetime: float | None = Settings.lifetime,
        history_limit: int = Settings.history_limit,
        state: str | Path | None = None,
        token: str | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        settings = Settings(
            seed, gap, waiting_limit, message_after, refund_after, balance, envelope, any_token, lifetime, history_limit
        )
        super().__init__(Rules(settings, Path(state) if state else None), token)
        self.rules.faults.set_all(faults)
        self.stopping = threading.Event()
        self._endpoints = Endpoints(self.rules, self.stopping.wait)
        self._page = Page(self.rules)
        self._address = (host, port)
        self._server: _Server | None = None
        self._control_api = ControlApi(self, self.outage)

    # Starting and stopping.

    @property
    def url(self) -> str:
        """The root address, without a slash at the end."""
        return f"http://{self._address[0]}:{self._address[1]}"

    def start(self) -> Self:
        """Listen and process the agenda, both in threads; returns itself. Raises OSError where the port is taken."""
        self._listen()
        threading.Thread(target=self.rules.run, name="sandbox-clock", daemon=True).start()
        return self

    def _listen(self) -> None:
        self._server = _Server(self._address, self)
        self._address = (self._address[0], self._server.server_address[1])
        self.rules.public_url = self.url
        threading.Thread(target=self._server.serve_forever, name="sandbox", daemon=True).start()

    def _close(self) -> None:
        server, self._server = self._server, None
        if server is None:
            return
        # Wakes the accepting thread at once; without this it ends its poll first, half a second long.
        with contextlib.suppress(OSError):
            server.socket.shutdown(socket.SHUT_RDWR)
        server.shutdown()
        server.server_close()
        for connection in list(server.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def stop(self) -> None:
        """Stop listening, drop every connection, close the books."""
        self.stopping.set()
        self._close()
        self.rules.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def outage(self, seconds: float) -> None:
        """Close every connection and refuse new ones for so many seconds. Returns at once."""

        def close_and_listen_again() -> None:
            self._close()
            with socket.socket() as claim:  # never listens: it keeps the port
                claim.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                claim.bind(self._address)
                stopped = self.stopping.wait(seconds)
            if not stopped:
                self._listen()

        threading.Thread(target=close_and_listen_again, name="sandbox-outage", daemon=True).start()

    # Serving.

    def serve(self, request: Request, connection: socket.socket) -> bool:
        """Answer one request on its connection; whether the connection can be used again."""
        if request.path.startswith("/_sandbox"):
            return send(connection, self._control_api.answer(request), self.stopping.wait)
        if request.path in ("/", "/send", "/expire"):
            return send(connection, self._page.answer(request), self.stopping.wait)
        if request.method != "GET":
            return send(connection, Reply(b"", 405, close=True), self.stopping.wait)
        reply, attempt = self._endpoints.answer(request)
        if attempt and reply.fault:
            # Before sending, since the fault may hold the reply for long.
            self.rules.close_attempt(attempt, f"cut: {reply.fault}")
            attempt = None
        delivered = "failed"
        try:
            can_go_on = send(connection, reply, self.stopping.wait)
            delivered = "sent"
            return can_go_on
        finally:
            if attempt:
                self.rules.close_attempt(attempt, delivered)
