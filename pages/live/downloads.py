"""Exports that are downloaded while a worker writes them: an ASGI application in front of Django's pages.

Django answers each request for an export on a page thread, with the rights of that moment. Where a worker still writes the
file, or has not begun, the answer carries the header `Desk-File`, and no client sees it: the event loop sends what is there
of the file and what is added to it, without a thread and a database connection, and asks Django again now and then.

A file stays unfinished if its worker died or its disk is full. It ends without the last chunk of HTTP, and the browser
says that the download failed. Caddy before 2.8 adds that chunk (https://github.com/caddyserver/caddy/pull/5952), so the
last line of a CSV file says it, too; an Excel file without its end cannot be opened.
"""

import asyncio
import json
import logging
import re
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, BinaryIO

from lib.web.asgi import Application, Message, Receive, Send, break_off, disconnected

ADDRESS = re.compile(r"/background/[0-9]{1,18}/file/")
HEADER = "Desk-File"
# What Django is told: which time it is asked, "first", "last" (wait no longer) or "again" (the file is being sent).
ENVIRON, ATTEMPT = "desk.environ", "desk.file"
BEGIN_SECONDS = 5.0  # in which the worker has to begin
ASK_SECONDS = 0.1  # between the first questions whether it has begun
READ_SECONDS = 0.2  # between reads while the file has not grown
CHECK_SECONDS = 5.0  # between questions whether it is still written
PART_BYTES = 32 * 1024

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answer:
    """What Django answered. `path` is where the file grows, empty while it does not. `is_whole`: nothing will be added.
    `broken` is the last line of a download that breaks off after this answer.
    """

    start: Message
    path: str = ""
    is_whole: bool = False
    broken: str = ""
    is_held: bool = False

    @classmethod
    def read(cls, start: Message) -> "Answer":
        """Return what the start of an answer says."""
        for name, value in start["headers"]:
            if name == HEADER.lower().encode():
                return cls(start, is_held=True, **json.loads(value))
        return cls(start)

    @property
    def is_of_trouble(self) -> bool:
        """Whether Django could not say: the database is away, or its threads are taken."""
        status: int = self.start["status"]
        return status >= HTTPStatus.TOO_MANY_REQUESTS

    @property
    def head(self) -> Message:
        """The start of the answer as the client gets it."""
        dropped = {HEADER.lower().encode(), b"content-length"}
        return {**self.start, "headers": [pair for pair in self.start["headers"] if pair[0] not in dropped]}


class Downloads:
    """Sends exports that grow; all other requests go to `pages` as they are."""

    def __init__(self, pages: Application) -> None:
        self._pages = pages

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["method"] not in {"GET", "HEAD"} or not ADDRESS.fullmatch(scope["path"]):
            await self._pages(scope, receive, send)
            return
        gone = asyncio.ensure_future(disconnected(receive))
        try:
            begun = await self._begin(scope, gone, send)
            if begun is not None:
                answer, file = begun
                with file:
                    await send(answer.head)
                    await self._send(file, answer, scope, gone, send)
        finally:
            gone.cancel()

    async def _begin(self, scope: Message, gone: "asyncio.Future[None]", send: Send) -> tuple[Answer, BinaryIO] | None:
        """Return the file once its worker has begun; None where Django has answered, or the client is gone."""
        loop, pause = asyncio.get_running_loop(), ASK_SECONDS
        end = loop.time() + BEGIN_SECONDS
        while not gone.done():
            answer = await self._ask(scope, "first" if loop.time() < end else "last", gone, send)
            if not answer.is_held:
                return None
            if answer.path:
                try:
                    return answer, open(answer.path, "rb", buffering=0)  # its reader closes it
                except FileNotFoundError:
                    pass  # just now it was completed: Django sends it
            await asyncio.wait({gone}, timeout=pause)
            pause = min(1.0, 1.3 * pause)
        return None

    async def _send(
        self, file: BinaryIO, begun: Answer, scope: Message, gone: "asyncio.Future[None]", send: Send
    ) -> None:
        """Send the file as it grows. Returns without an end where it is not finished."""
        loop, is_whole = asyncio.get_running_loop(), False
        if scope["method"] == "HEAD":
            await send({"type": "http.response.body"})
            return
        checked, answer = loop.time(), begun
        while not gone.done():
            if part := file.read(PART_BYTES):
                await send({"type": "http.response.body", "body": part, "more_body": True})
                await asyncio.sleep(0)  # a quick reader lets the others have their turn
            elif is_whole:
                await send({"type": "http.response.body"})
                return
            else:
                # Completed, or given up, it has lost its name.
                if loop.time() > checked + CHECK_SECONDS or not Path(begun.path).exists():
                    answer, checked = await self._ask(scope, "again", gone), loop.time()
                    if answer.path == begun.path:
                        is_whole = answer.is_whole
                    elif not answer.is_of_trouble:
                        break
                if not is_whole:
                    await asyncio.wait({gone}, timeout=READ_SECONDS)
        if not gone.done():
            last = answer if answer.is_held else begun
            await send({"type": "http.response.body", "body": last.broken.encode(), "more_body": True})
            if answer.is_held:
                logger.warning("the download of an export is broken off: its file will not be finished")
            else:
                logger.info("the download of an export is broken off: its reader may not have it any more")
            await break_off(scope, gone)

    async def _ask(
        self, scope: Message, attempt: str, gone: "asyncio.Future[None]", send: Send | None = None
    ) -> Answer:
        """Have Django answer the request. With `send`, what is for the client is sent to it."""
        answers: list[Answer] = []
        has_body = True

        async def receive() -> Message:
            nonlocal has_body
            if has_body:
                has_body = False
                return {"type": "http.request", "body": b"", "more_body": False}
            await asyncio.wait({gone})
            return {"type": "http.disconnect"}

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                answers.append(Answer.read(message))
            if send is not None and not answers[0].is_held:
                await send(message)

        environ: dict[str, Any] = {ATTEMPT: attempt}
        await self._pages({**scope, ENVIRON: environ}, receive, sent)
        return answers[0]
