"""Django's synchronous pages on a few threads of an ASGI server.

Django's own ASGI handler pays for its way into a thread and back at each middleware and signal. Here a page takes one
trip: its request is read on the event loop, so that a slow sender holds no thread; a thread makes the whole response;
the loop sends it.
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
SLOWEST_READER_SECONDS = 30.0  # for one part of a long answer; whoever takes none of it so long holds a thread no more

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
        loop = asyncio.get_running_loop()
        left: asyncio.Future[Message] | None = None

        async def send_part(message: Message) -> None:
            nonlocal left
            left = left or asyncio.ensure_future(receive())  # after the body, all that comes is the reader's leaving
            if left.done():
                raise ConnectionResetError
            await send(message)

        def send_from_thread(message: Message) -> None:
            sending = asyncio.run_coroutine_threadsafe(send_part(message), loop)
            try:
                sending.result(SLOWEST_READER_SECONDS)
            except TimeoutError:
                sending.cancel()
                raise ConnectionResetError from None

        work = contextvars.copy_context().run
        try:
            for message in await loop.run_in_executor(self._pool, work, self._page, scope, body, send_from_thread):
                await send(message)
        finally:
            if left is not None:
                left.cancel()

    def _page(self, scope: Message, body: bytes, send: Callable[[Message], None]) -> list[Message]:
        """Make the response, in a thread. A streaming one is sent from here, at the reader's pace."""
        start: Message = {"type": "http.response.start"}

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: object = None) -> Any:
            start["status"] = int(status[:3])
            start["headers"] = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]

        response = self._django(_environ(scope, body), start_response)
        try:
            if not response.streaming:
                return [start, {"type": "http.response.body", "body": b"".join(response)}]
            send(start)
            for chunk in response:
                send({"type": "http.response.body", "body": chunk, "more_body": True})
            return [{"type": "http.response.body"}]
        except ConnectionResetError:
            return []
        finally:
            response.close()


async def _body(receive: Receive) -> bytes | None:
    """The request's body; None where it is longer than anything that we take, or its sender left half-way."""
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
    """The request as WSGI has it (PEP 3333): texts are bytes in disguise."""
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
            continue  # or it would pass for the header that is spelt with a hyphen
        key = name.upper().replace("-", "_")
        key = key if key in {"CONTENT_LENGTH", "CONTENT_TYPE"} else f"HTTP_{key}"
        separator = "; " if key == "HTTP_COOKIE" else ","
        environ[key] = f"{environ[key]}{separator}{value}" if key in environ else value
    environ["CONTENT_LENGTH"] = str(len(body))  # also where it came in pieces without a length
    return environ
