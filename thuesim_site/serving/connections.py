"""uvicorn's HTTP connection with the limits that uvicorn has not, for `uvicorn --http`.

uvicorn waits without end for the rest of a request's head, takes a head of any size, and keeps a connection whose
answer is not read. Here each of these ends: a slow head with 408, a large one with 431, too many connections of one
address with 429, and an answer of which nothing is read for a while with an abort. What a request may do once it is
complete is limited by `request_limits` and `wsgi_threads`.
"""

import asyncio
import contextlib
import ipaddress
import socket
from collections import Counter
from functools import lru_cache

from django.conf import settings
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from lib.web import leaving
from lib.web.asgi import CLOSE
from thuesim_site.serving.asgi_responses import PART_BYTES, raw_refusal, refusal

HEAD_SECONDS = 10.0  # from the first byte, or the connection's start, to the end of the request's head
UNREAD_SECONDS = 30.0  # after which an answer of which nothing was read is given up
LINGER_SECONDS = 2.0  # in which a refused sender can still read why
MAX_HEAD_BYTES = 32 * 1024
MAX_BODY_BYTES = 8_000_000  # as they come: with the framing of a body in pieces, and what follows it
UNSENT_BYTES = 64 * 1024  # that the kernel takes for a slow reader, beside what is on its way
MAX_PIPELINED = 8  # requests sent ahead on one connection; no browser sends any

_open: Counter[str] = Counter()  # connections by client


@lru_cache(10_000)
def client_of(host: str) -> str:
    """Return the key that limits are counted by: an IPv4 address, an IPv6 /64, or `""` for a proxy, which has no limits.

    A proxy's own address is seen on its connections, and on its requests where it names no client.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.version == 6 and address.ipv4_mapped:
        address = address.ipv4_mapped
    if any(address in ipaddress.ip_network(proxy, strict=False) for proxy in settings.PROXIES):
        return ""
    return str(ipaddress.ip_network((address, 64), strict=False)) if address.version == 6 else str(address)


class Connection(HttpToolsProtocol):
    """One connection, with limits on the head of its requests and on what lies unread."""

    # With more attributes of its own, a class's instances share no keys any more: a kilobyte for each open screen.
    __slots__ = ("_client", "_head_timer", "_heads", "_in_head", "_part_bytes", "_reader_timer", "_refused")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count the connection; refuse it where its address has too many."""
        super().connection_made(transport)  # type: ignore[arg-type]
        self.transport.set_write_buffer_limits(high=PART_BYTES)
        with contextlib.suppress(AttributeError, OSError):  # not on every system; no TCP
            transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
        self._refused = False
        self._part_bytes, self._heads, self._in_head = 0, 0, True  # the part is a head, or a body
        self._head_timer: asyncio.TimerHandle | None = self.loop.call_later(HEAD_SECONDS, self._head_is_late)
        self._reader_timer: asyncio.TimerHandle | None = None
        self._client = client_of(self.client[0]) if self.client else ""
        if self._client:
            _open[self._client] += 1
            if _open[self._client] > settings.MAX_CONNECTIONS:
                self._refuse(429)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        super().connection_lost(exc)
        self._set_head_timer(None)
        self._set_reader_timer(None)
        if self._client:
            _open[self._client] -= 1
            if not _open[self._client]:
                del _open[self._client]

    def data_received(self, data: bytes) -> None:
        """Feed the parser; begin to wait where a request has begun and its head is not complete."""
        if self._refused:
            return
        heads, was_in_head = self._heads, self._in_head
        super().data_received(data)
        same_part = self._heads == heads and self._in_head == was_in_head
        self._part_bytes = self._part_bytes + len(data) if same_part else 0
        if self._part_bytes > (MAX_HEAD_BYTES if self._in_head else MAX_BODY_BYTES):
            self._refuse(431 if self._in_head else 413)
            return
        if self._is_idle() and self._head_timer is None and not self.transport.is_closing():
            self._set_head_timer(HEAD_SECONDS)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; one that comes after the body is none of the request's, and is dropped."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Start the request, or its refusal."""
        self._heads += 1
        self._in_head = False
        self._set_head_timer(None)
        if len(self.pipeline) >= MAX_PIPELINED:
            self.transport.abort()
            raise ValueError("too many requests were sent ahead")  # ends the parser's work on this piece
        if len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers) > MAX_HEAD_BYTES:
            self.app = refusal(431)  # for what else comes on this connection as well: it is going to be closed
        # Not a method of this connection's own: the two would keep each other in memory.
        self.scope[CLOSE] = self.transport.close  # type: ignore[literal-required]
        super().on_headers_complete()
        if leaving.has_begun():
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        """Take what comes next as the head of another request."""
        super().on_message_complete()
        self._in_head = True

    def on_response_complete(self) -> None:
        """Wait for another request, or until the answer is read."""
        super().on_response_complete()
        self._set_reader_timer(UNREAD_SECONDS if self.transport.get_write_buffer_size() else None)

    def pause_writing(self) -> None:
        """Stop sending, for a while, to a reader that is slower than the answer is made."""
        super().pause_writing()
        self._set_reader_timer(UNREAD_SECONDS)

    def resume_writing(self) -> None:
        """Go on sending: the reader has read."""
        super().resume_writing()
        self._set_reader_timer(None)

    def _is_idle(self) -> bool:
        """Whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self._part_bytes:
            self._refuse(408)
        else:
            self.transport.close()

    def _refuse(self, status: int) -> None:
        """Say why and close. Where an answer is under way, nothing can be said."""
        self._refused = True
        self._set_head_timer(None)
        self._unset_keepalive_if_required()
        if not self._is_idle():
            self.transport.abort()
            return
        self.transport.write(raw_refusal(status))
        self.transport.write_eof()
        # Closed at once with something unread, the kernel would reset the connection before the client has read this.
        self.loop.call_later(LINGER_SECONDS, self.transport.abort)

    def _set_head_timer(self, seconds: float | None) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
        self._head_timer = None if seconds is None else self.loop.call_later(seconds, self._head_is_late)

    def _set_reader_timer(self, seconds: float | None) -> None:
        if self._reader_timer is not None:
            self._reader_timer.cancel()
        self._reader_timer = (
            None if seconds is None else self.loop.call_later(seconds, self._reader_is_late, self._unread())
        )

    def _unread(self) -> int:
        return int(self.transport.get_write_buffer_size())

    def _reader_is_late(self, unread_before: int) -> None:
        self._reader_timer = None
        unread = self._unread()
        if unread >= unread_before:
            self.transport.abort()
        elif unread:
            self._set_reader_timer(UNREAD_SECONDS)
