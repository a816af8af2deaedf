"""Django's synchronous pages on a few threads of an ASGI server.

Django's own ASGI handler pays for its way into a thread and back at each middleware and signal. Here a page takes one
trip: its request is read on the event loop; a thread makes the whole response; the loop sends it. So neither a slow
sender nor a slow reader holds a thread: a long response waits in a file for its reader.

a2wsgi does the same for any WSGI application. It is not used because it hands the request's body to the thread piece by
piece, so that a slow sender holds a thread; it bounds neither the size of a body nor the time that a reader may take; and
it serves fewer pages (`python -m bench.pages` measures it beside this module).
"""

import asyncio
import contextlib
import contextvars
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from django.core.handlers.wsgi import WSGIHandler
from django.http.response import HttpResponseBase

from lib.web.asgi import Message, Receive, Send, disconnected
from thuesim_site.serving.asgi_responses import Readable, send_file
from thuesim_site.serving.connections import client_of
from thuesim_site.serving.fair_turns import FairTurns
from thuesim_site.serving.refusals import refusal
from thuesim_site.serving.spool import Spool, TooMuchUnread, Unread

MAX_BODY_BYTES = 320 * 1024  # above what any page takes; Django's own, lower limits answer with a page
MAX_DROPPED_BYTES = 1_000_000  # a longer body is read so far, so that its sender comes to read the refusal
# In a scope: what an application in front adds to the WSGI environ. No client can: its headers are `HTTP_…` there.
ENVIRON = "desk.environ"
BODY_SECONDS = 30.0  # in which the whole body has to come
IN_MEMORY_BYTES = 128 * 1024  # a longer response waits for its reader in a file
MAX_UNREAD_BYTES = 512_000_000  # in files, for one client


class Refused(Exception):
    """A request that is not handed to Django. `status` is what it is refused with; None where its sender is gone."""

    def __init__(self, status: int | None) -> None:
        self.http_status = status


@dataclass
class Response:
    """What a thread made: the start of the response, and its body in one of three places."""

    start: Message
    body: bytes = b""
    file: Readable | None = None
    spool: Spool | None = None

    def close(self) -> None:
        """Throw away what is in files."""
        for kept in (self.file, self.spool):
            if kept is not None:
                kept.close()


class Pages:
    """An ASGI application (HTTP only) that serves Django's WSGI handler.

    `folder` is where long responses wait for their readers; unset, it is the system's folder for temporary files.
    """

    def __init__(
        self,
        django: WSGIHandler,
        threads: int = 8,
        *,
        folder: Path | None = None,
        max_unread_bytes: int = MAX_UNREAD_BYTES,
    ) -> None:
        self._django = django
        self._pool = ThreadPoolExecutor(threads, "page")
        self._turns = FairTurns(threads)
        self._folder, self._unread = folder, Unread(max_unread_bytes)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        client = client_of(scope["client"][0]) if scope.get("client") else ""
        try:
            self._unread.check(client)
            body = await _body(scope, receive)
            response = await self._in_thread(scope, body, client)
        except TooMuchUnread:
            await refusal(429)(scope, receive, send)
        except Refused as refused:
            if refused.http_status is not None:
                await refusal(refused.http_status)(scope, receive, send)
        else:
            await _send(response, scope, receive, send)

    async def _in_thread(self, scope: Message, body: bytes, client: str) -> Response:
        """Have the response made; a streaming one is returned when it begins. Raises what Django or the limits raise."""
        loop = asyncio.get_running_loop()
        made: asyncio.Future[Response] = loop.create_future()

        def new_spool() -> Spool:
            return Spool(self._folder, self._unread, client, loop)

        def begin_streaming(start: Message) -> Spool:
            spool = new_spool()
            _call_soon(loop, _deliver, made, Response(start, spool=spool))
            return spool

        def end(outcome: Response | BaseException | None) -> None:
            self._turns.give_back(client)
            if outcome is not None:
                _deliver(made, outcome)

        def work() -> None:
            try:
                response = self._page(scope, body, begin_streaming)
                if response is not None and len(response.body) > IN_MEMORY_BYTES:
                    response = _in_file(response, new_spool)
            except BaseException as error:  # noqa: BLE001 - it is raised where the page is waited for
                _call_soon(loop, end, error)
            else:
                _call_soon(loop, end, response)

        await self._turns.take(client)
        self._pool.submit(contextvars.copy_context().run, work)
        return await made

    def _page(self, scope: Message, body: bytes, begin_streaming: Callable[[Message], Spool]) -> Response | None:
        """Make the response, in a thread. None for a streaming one, which is all written by now."""
        start, response = django_response(self._django, scope, body)
        try:
            if not response.streaming:
                return Response(start, b"".join(response))
            if (file := _file(response)) is not None:
                return Response(start, file=file)
            _write(response, begin_streaming(start))
            return None
        finally:
            response.close()


def django_response(django: WSGIHandler, scope: Message, body: bytes) -> tuple[Message, HttpResponseBase]:
    """Have Django answer a request: the start of the response, and Django's own, which is to be closed."""
    start: Message = {"type": "http.response.start"}

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: object = None) -> Any:
        start["status"] = int(status[:3])
        start["headers"] = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]

    return start, django(_environ(scope, body), start_response)


def _call_soon(loop: asyncio.AbstractEventLoop, work: Callable[..., None], *args: Any) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed: the process ends
        loop.call_soon_threadsafe(work, *args)


def _deliver(made: "asyncio.Future[Response]", outcome: Response | BaseException) -> None:
    if made.done():  # its reader is gone
        if isinstance(outcome, Response):
            outcome.close()
    elif isinstance(outcome, Response):
        made.set_result(outcome)
    else:
        made.set_exception(outcome)


def _in_file(response: Response, new_spool: Callable[[], Spool]) -> Response:
    """The response with its body in a file; as it is where the disk has no room."""
    with contextlib.suppress(OSError):
        spool = new_spool()
        try:
            spool.write(response.body)
        except BaseException:
            spool.close()
            raise
        spool.finish()
        return Response(response.start, spool=spool)
    return response


def _file(response: HttpResponseBase) -> Readable | None:
    """The file behind a response, opened once more: Django closes its own with the response, here and now."""
    try:
        file = response.file_to_stream  # type: ignore[attr-defined]  # of a FileResponse
        position, number = file.tell(), os.dup(file.fileno())
    except (AttributeError, OSError):  # no such response, or no file of the system's
        return None
    again = os.fdopen(number, "rb")
    again.seek(position)
    return again


def _write(response: Any, spool: Spool) -> None:
    """Write a streaming response, until its reader is gone or too far behind."""
    error: BaseException | None = None
    try:
        for part in response:
            spool.write(part)
    except ConnectionResetError:
        pass
    except BaseException as failure:  # noqa: BLE001 - it is raised where the response is sent
        error = failure
    spool.finish(error)


async def _send(response: Response, scope: Message, receive: Receive, send: Send) -> None:
    try:
        await send(response.start)
        if scope["method"] == "HEAD":
            await send({"type": "http.response.body"})
        elif response.file is not None:
            await send_file(response.file, receive, send)
        elif response.spool is not None:
            await _send_spool(response.spool, receive, send)
        else:
            await send({"type": "http.response.body", "body": response.body})
    finally:
        response.close()


async def _send_spool(spool: Spool, receive: Receive, send: Send) -> None:
    reader_left = asyncio.ensure_future(disconnected(receive))
    reader_left.add_done_callback(lambda _: spool.close())
    try:
        while part := await spool.read():
            await send({"type": "http.response.body", "body": part, "more_body": True})
            await asyncio.sleep(0)  # a quick reader lets the others have their turn
        if not reader_left.done():
            await send({"type": "http.response.body"})
    finally:
        reader_left.cancel()


async def _body(scope: Message, receive: Receive) -> bytes:
    """Return the request's body. Raises Refused where it is too long or too slow, or its sender left half-way."""
    if _declared_length(scope) > MAX_DROPPED_BYTES:
        raise Refused(413)
    parts: list[bytes] = []
    size, more = 0, True
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Refused(None)
                size += len(message.get("body", b""))
                if size > MAX_DROPPED_BYTES:
                    raise Refused(413)
                if size <= MAX_BODY_BYTES:
                    parts.append(message.get("body", b""))
                else:
                    parts.clear()
                more = message.get("more_body", False)
    except TimeoutError:
        raise Refused(408) from None
    if size > MAX_BODY_BYTES:
        raise Refused(413)
    return b"".join(parts)


def _declared_length(scope: Message) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value[:20])
    return 0


def _environ(scope: Message, body: bytes) -> dict[str, Any]:
    """Return the request as WSGI has it (PEP 3333): texts hold one byte per character."""
    meta: dict[str, Any] = {
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
        meta[key] = f"{meta[key]}{separator}{value}" if key in meta else value
    meta |= scope.get(ENVIRON, {})
    meta["CONTENT_LENGTH"] = str(len(body))  # a body in pieces comes without a length
    return meta
