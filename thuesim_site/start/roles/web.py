"""A web process as `./run` starts it: `python -m thuesim_site.start.roles.web HOST PORT`.

All web processes of a machine accept from one socket, which `./run` holds: one that leaves takes no connection along that
nobody has accepted yet.
"""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

import uvicorn

from lib.web import leaving
from lib.web.asgi import Application, Message
from thuesim_site import sentry
from thuesim_site.start import signs
from thuesim_site.start.roles.listener import listening
from thuesim_site.start.roles.machine import note_machine

TRY_SECONDS = 0.5
# uvicorn closes a connection on which nothing came for 5 s. Until then a client may send another request on it.
KEPT_OPEN_SECONDS = 5.5
FINISH_SECONDS, LEAVE_SECONDS = 5, 45  # for the requests under way: when the desk stops; when another process goes on


class WebServer(uvicorn.Server):
    """uvicorn that says when it is ready, and that leaves without cutting a request off.

    It wakes once a second, for the `Date` header, and when it is to stop; uvicorn's own looks ten times a second.
    """

    _wake: Callable[[], object] = staticmethod(lambda: None)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen. A process that replaces another one makes sure first that it can answer."""
        application: Application = self.config.loaded_app
        if os.environ.pop(signs.REPLACES, ""):
            while not self.should_exit and not await is_ready(application):
                await asyncio.sleep(TRY_SECONDS)
        await super().startup(sockets)
        signs.say_ready()

    async def main_loop(self) -> None:
        stop = asyncio.Event()
        self._wake = partial(asyncio.get_running_loop().call_soon_threadsafe, stop.set)
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), 1)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        self._wake()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more, and where another process goes on, let clients finish with the connections they have."""
        for server in self.servers:
            server.close()
        for listener in sockets or ():
            listener.close()
        if leaving.has_begun():
            self.config.timeout_graceful_shutdown = LEAVE_SECONDS
            end = time.monotonic() + KEPT_OPEN_SECONDS
            while self.server_state.connections and time.monotonic() < end and not self.force_exit:
                await asyncio.sleep(0.05)
        await super().shutdown(sockets)


async def is_ready(application: Application) -> bool:
    """Whether `/readyz/web` is answered with 200."""
    status = 0
    scope: dict[str, Any] = {"type": "http", "method": "GET", "path": "/readyz/web", "raw_path": b"/readyz/web"}
    scope |= {"query_string": b"", "http_version": "1.1", "scheme": "http", "headers": [(b"host", b"localhost")]}
    scope |= {"client": ("127.0.0.1", 0), "server": ("localhost", 80), "root_path": ""}

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        nonlocal status
        status = message.get("status", status)

    with contextlib.suppress(OSError):
        await application(scope, receive, send)
    return status == 200


def main(host: str, port: str) -> int:
    """Answer until a signal comes; return the exit status."""
    sentry.start()
    note_machine()
    signal.signal(signs.LEAVE, lambda *_: leaving.begin())
    config = uvicorn.Config(
        "thuesim_site.asgi:application",
        loop="uvloop",
        http="thuesim_site.serving.connections:Connection",
        ws="none",
        lifespan="off",
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_config=None,  # its own handlers would print past the redaction of ours
        log_level="warning",
        timeout_graceful_shutdown=FINISH_SECONDS,
    )
    server = WebServer(config)
    server.run(sockets=[listening(host, int(port))])
    return 0 if server.started else 3


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
