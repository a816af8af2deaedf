"""Django's synchronous pages on a few threads of an ASGI server.

Django's own ASGI handler pays for its way into a thread and back at each middleware and signal. Here a page takes one
trip: its request is read on the event loop, so that a slow sender holds no thread; a thread makes the whole response;
the loop sends it.

a2wsgi does the same for any WSGI application. It is not used because it hands the request's body to the thread piece by
piece, so that a slow sender holds a thread; it bounds neither the size of a body nor the time that a reader may take; and
it serves fewer pages (`python -m bench.pages` measures it beside this module).
"""

import asyncio
import contextvars
import sys
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any

from django.core.handlers.wsgi import WSGIHandler

MAX_BODY_BYTES = 2_500_000  # above what any page takes; Django's own, lower limits answer with a page
MAX_READER_SECONDS = (
    30.0  # for one part of a streamed answer: a reader that takes none of it for so long holds no thread
)

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Pages:
    """An ASGI application (HTTP only) that serves Django's WSGI handler."""

    def __init__(self, django: WSGIHandler, threads: int = 8) -> None:
        self._django = django
        self._pool = ThreadPoolExecutor(threads, "page")

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        body = await _body(receive)
        if body is None:
            headers = [(b"content-length", b"0"), (b"connection", b"close")]
            await send({"type": "http.response.start", "status": 413, "headers": headers})
            await send({"type": "http.response.body"})
            return
        response = _Response(receive, send)
        run = contextvars.copy_context().run
        try:
            loop = asyncio.get_running_loop()
            for message in await loop.run_in_executor(self._pool, run, self._page, scope, body, response):
                await send(message)
        finally:
            response.close()

    def _page(self, scope: Message, body: bytes, streamed: "_Response") -> list[Message]:
        """Make the response, in a thread, and return what is left to send of it.

        A streaming one is sent from here, at the reader's pace.
        """
        start: Message = {"type": "http.response.start"}

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: object = None) -> Any:
            start["status"] = int(status[:3])
            start["headers"] = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]

        response = self._django(_environ(scope, body), start_response)
        try:
            if not response.streaming:
                return [start, {"type": "http.response.body", "body": b"".join(response)}]
            streamed.send(start)
            for chunk in response:
                streamed.send({"type": "http.response.body", "body": chunk, "more_body": True})
            return [{"type": "http.response.body"}]
        except ConnectionResetError:
            return []
        finally:
            response.close()


class _Response:
    """A streamed response, sent by the event loop on behalf of the thread that makes it."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._loop = asyncio.get_running_loop()
        self._receive, self._send = receive, send
        self._disconnect: asyncio.Future[Message] | None = None

    def send(self, message: Message) -> None:
        """Send a part from the thread. Raises ConnectionResetError where the reader is gone or takes nothing."""
        sending = asyncio.run_coroutine_threadsafe(self._send_part(message), self._loop)
        try:
            sending.result(MAX_READER_SECONDS)
        except TimeoutError:
            sending.cancel()
            raise ConnectionResetError from None

    async def _send_part(self, message: Message) -> None:
        if self.reader_gone():
            raise ConnectionResetError
        await self._send(message)

    def reader_gone(self) -> bool:
        """Whether the reader has left: after the request's body, the server says nothing else. On the event loop only."""
        if self._disconnect is None:
            self._disconnect = asyncio.ensure_future(self._receive())
        return self._disconnect.done()

    def close(self) -> None:
        """Stop waiting for the reader to leave. On the event loop only."""
        if self._disconnect is not None:
            self._disconnect.cancel()


async def _body(receive: Receive) -> bytes | None:
    """Return the request's body; None where it is longer than `MAX_BODY_BYTES`, or its sender left half-way."""
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MAX_BODY_BYTES:
            return None
        more = message.get("more_body", False)
    return b"".join(parts)


def _environ(scope: Message, body: bytes) -> dict[str, Any]:
    """Return the request as WSGI has it (PEP 3333): texts hold one byte per character."""
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": scope["path"].encode().decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "SERVER_NAME": (scope.get("server") or ("localhost", 80))[0],
        "SERVER_PORT": str((scope.get("server") or ("localhost", 80))[1] or 0),
        "REMOTE_ADDR": (scope.get("client") or ("",))[0],
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.get("scheme", "http"),
        "wsgi.input": BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        if "_" in name:
            continue  # it would pass for the header that is spelt with a hyphen
        key = name.upper().replace("-", "_")
        key = key if key in {"CONTENT_LENGTH", "CONTENT_TYPE"} else f"HTTP_{key}"
        separator = "; " if key == "HTTP_COOKIE" else ","
        environ[key] = f"{environ[key]}{separator}{value}" if key in environ else value
    environ["CONTENT_LENGTH"] = str(len(body))  # a body in pieces comes without a length
    return environ
