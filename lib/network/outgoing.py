"""POST to an address that a person typed. It must not lead into our own network: server-side request forgery.

The addresses behind a name are checked twice: where the name is typed, for the person, and at the connection itself. The
connection goes to the checked address, not to the name, so a name that resolves to something else meanwhile changes
nothing. Redirects are not followed, and no proxy of the environment is used.
"""

import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any
from urllib.parse import SplitResult, urlsplit

from django.conf import settings

from lib.network.networks import Allowed, is_public, meant, parse_allowed

TIMEOUT_SECONDS = 10.0  # from the look-up of the name to the end of the answer
RESOLVE_SECONDS = 4.0
MAX_ANSWER = 1024  # bytes that are read
MAX_URL = 2000  # characters


class Problem(StrEnum):
    """Why nothing was sent, or no answer came. Never holds a part of the address."""

    URL = "url"  # not an address that we send to
    HTTPS = "https"  # plain http, where it is not allowed
    PRIVATE = "private"  # leads into a network that is not allowed
    NAME = "name"  # the name is not known
    CONNECT = "connect"
    TLS = "tls"
    TIMEOUT = "timeout"
    BROKEN = "broken"  # the answer was no HTTP


class NotSent(Exception):
    """Nothing was sent, or no answer came."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the status, and the first kilobyte of the body as text."""

    status: int
    text: str


@lru_cache
def _allowed(texts: tuple[str, ...]) -> tuple[Allowed, ...]:
    return tuple(parse_allowed(text) for text in texts)


def check(url: str) -> None:
    """Look up where `url` leads, for the person who types it. Raises `NotSent`."""
    parts = _parts(url)
    _checked(parts, _look_up(str(parts.hostname), _port(parts)))


def post(url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
    """Send `body`, and return whatever answer comes, of any status. Takes `TIMEOUT_SECONDS` at most.

    Raises `NotSent`, in whose text and cause nothing of the address stands.
    """
    end = time.monotonic() + TIMEOUT_SECONDS
    parts = _parts(url)
    # The first address that answers: of a name with IPv6 and IPv4, one of the two may lead nowhere.
    problem = Problem.NAME
    for address in _checked(parts, _look_up(str(parts.hostname), _port(parts))):
        try:
            connection = socket.create_connection(address[:2], max(0.1, end - time.monotonic()))
        except TimeoutError:
            raise NotSent(Problem.TIMEOUT) from None
        except OSError:
            problem = Problem.CONNECT
            continue
        with connection, connection.dup() as plug:
            # A reply that drips a byte a second would outlive the socket's own time-out.
            pulled = threading.Event()
            timer = threading.Timer(max(0.1, end - time.monotonic()), _pull, (plug, pulled))
            timer.daemon = True
            timer.start()
            try:
                return _exchange(parts, connection, body, headers, pulled)
            except ssl.SSLError:
                raise NotSent(_late(end) or Problem.TLS) from None
            except (OSError, ValueError, http.client.HTTPException) as error:
                late = Problem.TIMEOUT if isinstance(error, TimeoutError) else _late(end)
                raise NotSent(late or Problem.BROKEN) from None
            finally:
                timer.cancel()
    raise NotSent(problem)


def _late(end: float) -> Problem | None:
    return Problem.TIMEOUT if time.monotonic() >= end - 0.05 else None


def _pull(plug: socket.socket, pulled: threading.Event) -> None:
    pulled.set()
    with suppress(OSError):
        plug.shutdown(socket.SHUT_RDWR)


def _exchange(
    parts: SplitResult, raw: socket.socket, body: bytes, headers: Mapping[str, str], pulled: threading.Event
) -> Answer:
    connection = http.client.HTTPConnection(str(parts.hostname), _port(parts))
    if parts.scheme == "https":
        connection.sock = ssl.create_default_context().wrap_socket(raw, server_hostname=parts.hostname)
    else:
        connection.sock = raw
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        host = parts.netloc.rpartition("@")[2]
        connection.request("POST", target, body, {"Host": host, "User-Agent": "thuesim-desk", **headers})
        with connection.getresponse() as response:
            if pulled.is_set():  # its head was cut off, which http.client takes for its end
                raise TimeoutError
            return Answer(response.status, _beginning(response))
    finally:
        connection.close()


def _beginning(response: http.client.HTTPResponse) -> str:
    """Return the first kilobyte. The status is known by now, so a body that breaks off is cut, and no failure."""
    read = b""
    with suppress(OSError, ValueError, http.client.HTTPException):
        while len(read) < MAX_ANSWER and (more := response.read1(MAX_ANSWER - len(read))):
            read += more
    return read.decode(errors="replace").replace("\0", "")


def _parts(url: str) -> SplitResult:
    """Split an address that may be sent to. Raises `NotSent`."""
    printable = url.isascii() and url.isprintable() and " " not in url and "\\" not in url
    try:
        parts = urlsplit(url)
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not printable or not valid or len(url) > MAX_URL or parts.username is not None:
        raise NotSent(Problem.URL)
    return parts


def _port(parts: SplitResult) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)


_Addresses = list[tuple[str, int]]


def _look_up(host: str, port: int) -> _Addresses:
    """Return the addresses of a name, each once. Raises `NotSent`."""
    found: list[Any] = []

    def resolve() -> None:
        # A name that is no name raises UnicodeError.
        with suppress(OSError, UnicodeError):
            found.extend(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))

    # On a thread of its own: the system's resolver knows no time-out.
    thread = threading.Thread(target=resolve, name="look-up", daemon=True)
    thread.start()
    thread.join(RESOLVE_SECONDS)
    addresses = list(dict.fromkeys((str(entry[4][0]), port) for entry in list(found)))
    if not addresses:
        raise NotSent(Problem.NAME)
    return addresses


def _checked(parts: SplitResult, addresses: _Addresses) -> _Addresses:
    """Return the addresses where each may be sent to. Raises `NotSent` where one may not: such a name is a trap."""
    allowed = _allowed(tuple(settings.OUTGOING_ALLOW))
    port = _port(parts)
    parsed = [ipaddress.ip_address(host) for host, _port in addresses]
    let_in = [any(one.covers(address, port) for one in allowed for address in meant(given)) for given in parsed]
    if not all(chosen or is_public(address) for chosen, address in zip(let_in, parsed, strict=True)):
        raise NotSent(Problem.PRIVATE)
    if parts.scheme != "https" and not all(let_in):
        raise NotSent(Problem.HTTPS)
    return addresses
