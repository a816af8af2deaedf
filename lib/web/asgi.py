"""The words of ASGI: see https://asgi.readthedocs.io/en/latest/specs/www.html."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

CLOSING_SECONDS = 30.0  # in which a reader has to read what it was sent
# In a scope: what closes the connection once it has sent what it was given. The desk's own server has it.
CLOSE = "desk.close"


async def disconnected(receive: Receive) -> None:
    """Return once the client is gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def break_off(scope: Message, gone: "asyncio.Future[None]") -> None:
    """End an answer that will not be whole, so that its reader notices; `gone` is done once the client is.

    A server takes it for an error where an application returns without an end, but not after the connection is closed.
    """
    if close := scope.get(CLOSE):
        close()
        await asyncio.wait({gone}, timeout=CLOSING_SECONDS)
