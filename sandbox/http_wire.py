"""HTTP on the wire: requests as the standard library parses them, replies by hand, since faults send them in pieces."""

import ipaddress
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import Message
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qsl, urlsplit

JSON = "application/json; charset=utf-8"
HTML = "text/html; charset=UTF-8"
MAX_BODY_BYTES = 5_000_000


@dataclass
class Request:
    """One request; `monotonic` is `time.perf_counter()` when its first line was read."""

    method: str
    path: str
    query: dict[str, str]
    headers: Message
    body: bytes
    monotonic: float

    @property
    def is_foreign(self) -> bool:
        """Whether a browser sent this from a page of another site, or from one whose name was made to lead here."""
        origin, host = self.headers.get("Origin"), self.headers.get("Host", "localhost")
        return not _is_address(host) or (origin is not None and urlsplit(origin).netloc != host)


def _is_address(host: str) -> bool:
    """Whether a Host header names an IP address or this machine: no name of another's DNS."""
    name = urlsplit(f"//{host}").hostname or ""
    try:
        return name == "localhost" or bool(ipaddress.ip_address(name))
    except ValueError:
        return False


@dataclass
class Reply:
    """One reply, and how to send it.

    `hold` is how many seconds pass first. `send` is "all", "nothing" (close the connection), "reset", or "half" (reset
    it in the middle of the body). `drip` is seconds per byte of the body, `padding` bytes of white space after it.
    `fault` names the fault that keeps the reply from being read; `close` ends the connection.
    """

    body: bytes = b""
    status: int = 200
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)
    hold: float = 0.0
    send: str = "all"
    drip: float = 0.0
    padding: int = 0
    fault: str = ""
    close: bool = False


def read_request(handler: BaseHTTPRequestHandler, monotonic: float) -> Request:
    """The request whose head the handler has parsed, with its body. Raises ValueError for a wrong length of the body."""
    length = int(handler.headers.get("Content-Length", 0))
    if not 0 <= length <= MAX_BODY_BYTES:
        raise ValueError(f"a body of {length} bytes")
    parts = urlsplit(handler.path)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    body = handler.rfile.read(length)
    return Request(handler.command, parts.path, query, handler.headers, body, monotonic)


def send(connection: socket.socket, reply: Reply, wait: Callable[[float], object]) -> bool:
    """Send the reply; whether the connection can be used again. `wait` sleeps, and is true if it was cut short.

    Raises OSError where the client has hung up.
    """
    if reply.hold:
        wait(reply.hold)
    if reply.send == "reset":
        reset(connection)
    if reply.send in ("nothing", "reset"):
        return False
    if _has_hung_up(connection):
        raise ConnectionAbortedError("the client has hung up")
    head = _head(reply)
    if reply.send == "half":
        connection.sendall(head + reply.body[: len(reply.body) // 2])
        reset(connection)
        return False
    if reply.drip:
        connection.sendall(head)
        for index in range(len(reply.body)):
            if wait(reply.drip):
                return False
            connection.sendall(reply.body[index : index + 1])
    else:
        connection.sendall(head + reply.body)
    _pad(connection, reply.padding)
    return not reply.close


def _head(reply: Reply) -> bytes:
    reason = HTTPStatus(reply.status).phrase
    headers = {
        "Content-Type": reply.content_type,
        "Content-Length": str(len(reply.body) + reply.padding),
        "Connection": "close" if reply.close else "keep-alive",
    } | reply.headers
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {reply.status} {reason}\r\n{lines}\r\n".encode("latin-1")


def _has_hung_up(connection: socket.socket) -> bool:
    timeout = connection.gettimeout()
    connection.setblocking(False)
    try:
        return connection.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    finally:
        connection.settimeout(timeout)


def _pad(connection: socket.socket, padding: int) -> None:
    block = b" " * 65_536
    while padding > 0:
        connection.sendall(block[:padding])
        padding -= len(block)


def reset(connection: socket.socket) -> None:
    """Close with RST instead of FIN: the other side gets "connection reset by peer"."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
