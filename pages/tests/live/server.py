"""The pages and the stream on a real web server in this process: quicker than the whole desk, and with its database."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import uvicorn
from django.core.handlers.wsgi import WSGIHandler
from django.test import override_settings
from whitenoise.middleware import WhiteNoiseMiddleware

from pages.live.hub import Hub
from thuesim_site.asgi import web
from thuesim_site.serving.connections import Connection
from thuesim_site.serving.static_responses import StaticFiles
from thuesim_site.serving.wsgi_threads import Pages
from thuesim_site.testing import RedisServer, wait_until


@contextmanager
def serving(
    application: Any, hub: Hub | None = None, *, port: int = 0, certificate: Path | None = None
) -> Iterator[int]:
    """uvicorn in a thread, on the port that is yielded, over TLS with a certificate. The streams of `hub` end first, as a
    signal would end them."""
    listener = socket.create_server(("127.0.0.1", port))
    config = uvicorn.Config(
        application,
        http=Connection,
        lifespan="off",
        log_level="warning",
        timeout_graceful_shutdown=1,
        ssl_certfile=certificate,
        proxy_headers=False,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=asyncio.run, args=(server.serve(sockets=[listener]),))
    thread.start()
    try:
        wait_until(lambda: server.started, "the server has started")
        yield listener.getsockname()[1]
    finally:
        if hub is not None:
            hub.stop()
        server.should_exit = True
        thread.join(60)
        assert not thread.is_alive()


@cache
def static_files() -> StaticFiles:
    """The files beside the pages, from the event loop as the desk sends them; nothing has been collected for the tests."""
    with override_settings(WHITENOISE_USE_FINDERS=True):
        return StaticFiles(WhiteNoiseMiddleware(None).files)


@contextmanager
def pages(redis: RedisServer) -> Iterator[str]:
    """Serve the pages and the stream; yields the address."""
    hub = Hub(redis.url)
    with serving(web(hub, Pages(WSGIHandler()), static_files()), hub) as port:
        yield f"http://127.0.0.1:{port}"
