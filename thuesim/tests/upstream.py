"""A socket server that misbehaves in one chosen way, and the ways there are."""

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Self

import pytest

from thuesim import errors
from thuesim.errors import ThueSimError
from thuesim.transport import Attempt

Behaviour = Callable[["Upstream", socket.socket], None]
ENDLESS_SECONDS = 60  # a client that waits for the end of it does not call it a time-out
HURRY_SECONDS = 0.4


class Upstream:
    """A server on loopback: reads each request's head, then lets `behave` answer it. Counts what it was sent."""

    def __init__(self, behave: Behaviour, *, keep_alive: bool = False) -> None:
        self.behave = behave
        self.keep_alive = keep_alive
        self.requests: list[str] = []
        self.connections = 0
        self.sent = 0
        self.closed = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closed.set()
        # Closing alone does not wake a thread in accept().
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(5)

    def wait_for_request(self) -> None:
        """Wait until the first request has been read: a client may give up sooner."""
        end = time.monotonic() + 60
        while not self.requests and time.monotonic() < end:
            time.sleep(0.01)

    def hung_up(self) -> None:
        """Wait until every connection so far is closed from this side."""
        for thread in self._threads[1:]:
            thread.join(60)

    def _accept(self) -> None:
        while not self.closed.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(60)
        with connection, contextlib.suppress(OSError):
            while head := self._head(connection):
                self.requests.append(head)
                self.behave(self, connection)
                if not self.keep_alive:
                    return

    def _head(self, connection: socket.socket) -> str:
        head = b""
        while b"\r\n\r\n" not in head:
            if not (received := connection.recv(65536)):
                return ""
            head += received
        return head.decode("latin-1")

    def send(self, connection: socket.socket, data: bytes) -> None:
        connection.sendall(data)
        self.sent += len(data)


class PlainPort(Upstream):
    """A server that answers in plain HTTP to a client that begins with TLS."""

    def _head(self, connection: socket.socket) -> str:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        return ""


def answer(body: bytes | str, status: str = "200 OK", *headers: str) -> Behaviour:
    """Answer with a whole, well-formed HTTP reply."""
    content = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(content)}", *headers, "", ""]

    def behave(upstream: Upstream, connection: socket.socket) -> None:
        upstream.send(connection, "\r\n".join(lines).encode() + content)

    return behave


def redirect(location: str, status: str = "302 Found") -> Behaviour:
    return answer("", status, f"Location: {location}")


def same_elsewhere(upstream: Upstream, connection: socket.socket) -> None:
    """Redirect the very request to another scheme, as a web server does before any program runs."""
    path = upstream.requests[-1].split(" ")[1]
    redirect(f"https://127.0.0.1:{upstream.port}{path}", "301 Moved Permanently")(upstream, connection)


def silence(upstream: Upstream, connection: socket.socket) -> None:
    upstream.closed.wait(ENDLESS_SECONDS)


def reset(upstream: Upstream, connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def hang_up(upstream: Upstream, connection: socket.socket) -> None:
    connection.close()


def cut_body(upstream: Upstream, connection: socket.socket) -> None:
    upstream.send(connection, b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"status_code":200')


def not_http(upstream: Upstream, connection: socket.socket) -> None:
    upstream.send(connection, b"SSH-2.0-OpenSSH_9.2\r\n\r\n")


def bad_chunks(upstream: Upstream, connection: socket.socket) -> None:
    upstream.send(connection, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n")


def not_gzip(upstream: Upstream, connection: socket.socket) -> None:
    answer(b"{}" * 50, "200 OK", "Content-Encoding: gzip")(upstream, connection)


def odd_headers(upstream: Upstream, connection: socket.socket) -> None:
    """Make urllib3 complain about the headers in its own log."""
    upstream.send(connection, b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nbroken\r\n\r\nnope")


def drip(start: bytes, drop: bytes) -> Behaviour:
    """Send `start`, then `drop` again and again, never falling silent for long."""

    def behave(upstream: Upstream, connection: socket.socket) -> None:
        upstream.send(connection, start)
        end = time.monotonic() + ENDLESS_SECONDS
        while not upstream.closed.wait(0.05) and time.monotonic() < end:
            upstream.send(connection, drop)

    return behave


def flood(upstream: Upstream, connection: socket.socket) -> None:
    """Send 50 MB, or as much of it as is taken."""
    upstream.send(connection, b"HTTP/1.1 200 OK\r\nContent-Length: 52428800\r\n\r\n")
    for _ in range(800):
        upstream.send(connection, b" " * 65536)


slow_body = drip(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b" ")
slow_headers = drip(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x")
endless_headers = drip(b"HTTP/1.1 200 OK\r\n", b"X-More: x\r\n")
endless_continue = drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n")


@dataclass(frozen=True, slots=True)
class Trouble:
    """A misbehaviour after the request was sent, and the error that a number-taking call must end in."""

    name: str
    behave: Behaviour
    error: type[ThueSimError]
    hangs: bool = False  # it goes on for `ENDLESS_SECONDS`


HTML = "<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1></body></html>"
SENT = [
    Trouble("silence", silence, errors.TimedOut, hangs=True),
    Trouble("slow body", slow_body, errors.TimedOut, hangs=True),
    Trouble("slow headers", slow_headers, errors.TimedOut, hangs=True),
    Trouble("headers without end", endless_headers, errors.TimedOut, hangs=True),
    Trouble("100 Continue without end", endless_continue, errors.TimedOut, hangs=True),
    Trouble("reset", reset, errors.ConnectionLost),
    Trouble("hang-up", hang_up, errors.ConnectionLost),
    Trouble("cut body", cut_body, errors.ConnectionLost),
    Trouble("not HTTP", not_http, errors.ConnectionLost),
    Trouble("broken chunks", bad_chunks, errors.ConnectionLost),
    Trouble("not gzip", not_gzip, errors.Gibberish),
    Trouble("odd headers", odd_headers, errors.Gibberish),
    Trouble("50 MB", flood, errors.Gibberish),
    Trouble("HTML", answer(HTML), errors.Gibberish),
    Trouble("cut JSON", answer('{"status_code":200,"success":true,"da'), errors.Gibberish),
    Trouble("empty", answer(""), errors.Gibberish),
    Trouble("no content", answer("", "204 No Content"), errors.Gibberish),
    Trouble("success without a number", answer('{"ResponseCode":1,"Message":"ok"}'), errors.NumberUnclear),
    Trouble("400", answer("Bad Request", "400 Bad Request"), errors.Rejected),
    Trouble("401", answer("no", "401 Unauthorized"), errors.InvalidToken),
    Trouble("403 HTML", answer(HTML, "403 Forbidden"), errors.Rejected),
    Trouble("404", answer("", "404 Not Found"), errors.Rejected),
    Trouble("404 of a framework", answer('{"message":"Not Found"}', "404 Not Found"), errors.Rejected),
    Trouble("408", answer("", "408 Request Timeout"), errors.TimedOut),
    Trouble("429", answer("slow down", "429 Too Many Requests"), errors.TooSoon),
    Trouble(
        "429 in words",
        answer("Limit exceeded, tối đa 10 số chờ tin nhắn", "429 Too Many Requests"),
        errors.PendingLimitReached,
    ),
    Trouble("500", answer(HTML, "500 Internal Server Error"), errors.ServerError),
    Trouble("502", answer(HTML, "502 Bad Gateway"), errors.ServerError),
    Trouble("503 empty", answer("", "503 Service Unavailable"), errors.ServerError),
    Trouble(
        "500 with an error of its own",
        answer('{"status_code":-1,"success":false,"message":"Có lỗi"}', "500 Oops"),
        errors.ServerError,
    ),
    Trouble("500 inside", answer('{"status_code":500,"success":false,"message":"x"}'), errors.ServerError),
    Trouble(
        "500 with a clear refusal",
        answer('{"status_code":-3,"success":false,"message":"Kho số đang tạm hết"}', "500 Oops"),
        errors.OutOfStock,
    ),
    Trouble("redirect to a login page", redirect("/login"), errors.RedirectedElsewhere),
    Trouble("redirect of the same request", same_elsewhere, errors.Redirected),
    Trouble("redirect to nowhere", answer("", "302 Found"), errors.RedirectedElsewhere),
    Trouble("redirect to nonsense", redirect("http://[::1"), errors.RedirectedElsewhere),
    Trouble("status 999", answer("", "999 What"), errors.ServerError),
    Trouble(
        "refused in words",
        answer('{"ResponseCode":0,"Message":"Số dư tài khoản không đủ"}'),
        errors.InsufficientBalance,
    ),
]


def hurry(monkeypatch: pytest.MonkeyPatch, attribute: str, value: object) -> None:
    """Leave calls `HURRY_SECONDS` from when their `Attempt.attribute` becomes `value`: a busy machine cannot use the time up
    at an earlier step."""

    def set_attribute(attempt: Attempt, name: str, new: object) -> None:
        object.__setattr__(attempt, name, new)
        if (name, new) == (attribute, value):
            attempt.deadline = time.monotonic() + HURRY_SECONDS

    monkeypatch.setattr(Attempt, "__setattr__", set_attribute)


@contextlib.contextmanager
def full_backlog() -> Iterator[int]:
    """Yield a port that neither accepts nor refuses: its queue of connections is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(address)
        time.sleep(0.05)  # let the kernel take the first of them
        yield address[1]
