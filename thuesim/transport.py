"""The HTTP transport: one deadline over the whole of a call, and certainty about what was sent.

`requests` bounds only the silence between two bytes, and retries, redirects and keeps connections in its own way. So the
connections here are subclasses that ask the running `Attempt` before every wait and tell it when the first byte goes
out.
"""

import io
import ipaddress
import logging
import queue
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from http.client import HTTPResponse
from typing import Any, Final

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from .drift import tell
from .redaction import redact

_Address = tuple[Any, ...]


class Attempt:
    """One call under way: its deadline on the monotonic clock, how far it came, and whether anything was sent.

    `before_send` and `after_send` are those of `Client.rent`.
    """

    def __init__(
        self,
        seconds: float,
        *,
        before_send: Callable[[], bool] | None = None,
        after_send: Callable[[], None] | None = None,
    ) -> None:
        self.deadline = time.monotonic() + seconds
        self.stage = "resolving the name"
        self.failure = ""
        self.sent = False
        self.kept_back = False
        self._before_send, self._after_send = before_send, after_send

    def remaining(self) -> float:
        """Return the remaining seconds; raises TimeoutError when there are none."""
        seconds = self.deadline - time.monotonic()
        if seconds <= 0:
            raise TimeoutError("the time for the whole call is over")
        return seconds

    @property
    def over(self) -> bool:
        """Whether the time is up."""
        return time.monotonic() >= self.deadline - 0.01

    @contextmanager
    def sending(self, sock: socket.socket) -> Iterator[None]:
        """Surround the sending of a part of the request, with the caller's hooks before and after the first one.

        Raises ConnectionAbortedError where `before_send` keeps the request back.
        """
        first = not self.sent
        if first and self._before_send is not None and not self._before_send():
            self.kept_back = True
            raise ConnectionAbortedError
        sock.settimeout(self.remaining())
        self.sent = True
        yield
        if first and self._after_send is not None:
            tell(self._after_send)


_attempt: ContextVar[Attempt] = ContextVar("thuesim_attempt")


@contextmanager
def attempting(attempt: Attempt) -> Iterator[None]:
    """Make `attempt` the one that this thread's connections obey."""
    token = _attempt.set(attempt)
    try:
        yield
    finally:
        _attempt.reset(token)


class Adapter(HTTPAdapter):
    """A requests adapter whose connections obey the running attempt. It never retries.

    It is used without a `requests.Session`: a session would read the environment and .netrc, keep cookies, and read a
    redirect's whole body even when told not to follow it.
    """

    def __init__(self) -> None:
        super().__init__(pool_connections=4, pool_maxsize=32, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TLSPool}


class _TimedReads(io.RawIOBase):
    """The raw bytes of a reply; every wait for more is bounded by the remaining time of the attempt."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        super().__init__()
        self._raw, self._sock, self._attempt = raw, sock, _attempt.get()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(self._attempt.remaining())
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        # Status line and headers are read through this, too: a server may drip them as well.
        self.fp = io.BufferedReader(_TimedReads(self.fp.detach(), sock))


class _Obedient(HTTPConnection):
    # http.client's global debug switch prints whole requests; an attribute of our own shields us from it.
    debuglevel = 0
    response_class = _Response

    def _new_conn(self) -> socket.socket:
        attempt = _attempt.get()
        sock = _connect(self._dns_host.strip("[]"), self.port, attempt)
        for option in self.socket_options or ():
            sock.setsockopt(*option)
        attempt.stage = "agreeing on TLS"
        return sock

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        with _attempt.get().sending(self.sock):
            super().send(data)


class _ObedientTLS(_Obedient, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Obedient


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = _ObedientTLS


def _connect(host: str, port: int, attempt: Attempt) -> socket.socket:
    """Return a connection to the first of the host's addresses that answers, each given a fair part of the time."""
    addresses = _resolve(host, port, attempt)
    attempt.stage = "connecting"
    failure: OSError = OSError("no address")
    for tried, (family, kind, protocol, _, address) in enumerate(addresses):
        _refuse_forbidden(host, address)
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(attempt.remaining() / (len(addresses) - tried))
            sock.connect(address)
            sock.settimeout(attempt.remaining())
        except OSError as error:
            sock.close()
            failure, attempt.failure = error, type(error).__name__
        else:
            return sock
    raise failure


def _resolve(host: str, port: int, attempt: Attempt) -> list[_Address]:
    """Return the host's addresses. Asked in a thread, since the system's resolver obeys no deadline."""
    answers: queue.SimpleQueue[list[_Address] | Exception] = queue.SimpleQueue()

    def resolve() -> None:
        try:
            answers.put(list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))
        except (OSError, ValueError) as error:
            answers.put(error)

    threading.Thread(target=resolve, daemon=True, name="thuesim-resolve").start()
    try:
        answer = answers.get(timeout=attempt.remaining())
    except queue.Empty:
        raise TimeoutError("no answer about the name") from None
    if isinstance(answer, Exception):
        attempt.failure = type(answer).__name__
        raise OSError("no such host")
    return answer


def _refuse_forbidden(host: str, address: _Address) -> None:
    """Refuse link-local addresses (a cloud's metadata service among them), unless configured as such."""
    ip = ipaddress.ip_address(address[0])
    ip = getattr(ip, "ipv4_mapped", None) or ip
    if (ip.is_link_local or ip.is_multicast) and host != address[0]:
        raise OSError("the name leads to a link-local address")


_QUERY: Final = re.compile(r"\?[^\s\"']*")


class _QueryFilter(logging.Filter):
    """urllib3 logs whole addresses at DEBUG: while a call of this client runs, their queries are left out."""

    def filter(self, record: logging.LogRecord) -> bool:
        if _attempt.get(None) is None:
            return True
        record.msg, record.args = redact(_QUERY.sub("?…", record.getMessage())), ()
        record.exc_info = record.exc_text = None
        return True


for _name in ("urllib3.connectionpool", "urllib3.connection", "urllib3.util.retry", "urllib3.response"):
    logging.getLogger(_name).addFilter(_QueryFilter())
