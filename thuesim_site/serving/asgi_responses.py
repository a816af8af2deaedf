"""Answers that the event loop gives itself: refusals, and files at their reader's pace."""

import asyncio
from http import HTTPStatus
from typing import Protocol

from lib.web.asgi import Application, Message, Receive, Send, disconnected

PART_BYTES = 32 * 1024  # of a file that are in memory while its reader is slow
RETRY_SECONDS = {408: 1, 429: 10, 503: 5}  # Retry-After


class Readable(Protocol):
    """A file, as far as it is needed here."""

    def read(self, size: int = -1, /) -> bytes: ...

    def close(self) -> object: ...


def refusal(status: int) -> Application:
    """An application that refuses every request and closes the connection."""

    async def refuse(scope: Message, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": status, "headers": _headers(status)})
        await send({"type": "http.response.body", "body": _text(status)})

    return refuse


def raw_refusal(status: int) -> bytes:
    """The same refusal as bytes, for where no request could be read."""
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode()]
    lines += [b"%s: %s" % header for header in _headers(status)]
    return b"\r\n".join([*lines, b"", _text(status)])


def _text(status: int) -> bytes:
    return f"{HTTPStatus(status).phrase}\n".encode()


def _headers(status: int) -> list[tuple[bytes, bytes]]:
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(_text(status))).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        (b"connection", b"close"),
    ]
    if status in RETRY_SECONDS:
        headers.append((b"retry-after", str(RETRY_SECONDS[status]).encode()))
    return headers


async def send_file(file: Readable, receive: Receive, send: Send) -> None:
    """Send a file and close it. One part of it is in memory at a time, however slow the reader is."""
    part = file.read(PART_BYTES)
    if len(part) < PART_BYTES:
        file.close()
        await send({"type": "http.response.body", "body": part})
        return
    reader_left = asyncio.ensure_future(disconnected(receive))
    try:
        while part and not reader_left.done():
            await send({"type": "http.response.body", "body": part, "more_body": True})
            await asyncio.sleep(0)  # a quick reader lets the others have their turn
            part = file.read(PART_BYTES)
        if not part:
            await send({"type": "http.response.body"})
    finally:
        reader_left.cancel()
        file.close()
