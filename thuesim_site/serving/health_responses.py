"""`/healthz`, `/readyz` and `/readyz/web`, apart from the pages: they answer while every page thread is busy or waits.
`/metrics` is a page, where there is a database.
"""

import asyncio
import contextlib
import json
from concurrent.futures import ThreadPoolExecutor

from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.db import Error as DatabaseError
from django.db import close_old_connections, connection

from lib.web.asgi import Application, Message, Receive, Send
from thuesim_site.serving.wsgi_threads import Pages, django_response

READY_SECONDS = 3.0  # in which `/readyz` answers, whatever the database does
# And `/readyz/web`: load balancers wait two seconds (docs/several-machines.md), the pool of PostgreSQL's connections three.
WEB_READY_SECONDS = 1.5
_NOT_READY = json.dumps({"database": "down"}).encode()
_NOT_READY_HEADERS = [
    (b"content-type", b"application/json"),
    (b"content-length", str(len(_NOT_READY)).encode()),
    (b"cache-control", b"no-store"),
    (b"retry-after", b"5"),
]


class Health:
    """Asks Django for `/healthz` once, when the process begins, and for the others in a thread of their own.

    Neither reads a session: with a monitor's cookie, that would ask the database.
    """

    def __init__(self, django: WSGIHandler) -> None:
        scope = {"method": "GET", "path": "/healthz", "query_string": b"", "http_version": "1.1", "headers": []}
        self._alive, response = django_response(django, {**scope, "server": ("localhost", settings.PORT)}, b"")
        self._alive_body = b"".join(response)
        response.close()
        self._ready = Pages(django, threads=1)

    def has(self, scope: Message) -> bool:
        """Whether the request is for one of these."""
        return scope["path"] in {"/healthz", "/readyz", "/readyz/web"} and scope["method"] in {"GET", "HEAD"}

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["path"] == "/healthz":
            await send(self._alive)
            await send({"type": "http.response.body", "body": self._alive_body})
            return
        headers = [(name, value) for name, value in scope["headers"] if name != b"cookie"]
        try:
            async with asyncio.timeout(WEB_READY_SECONDS if scope["path"] == "/readyz/web" else READY_SECONDS):
                await self._ready({**scope, "headers": headers}, receive, send)
        except TimeoutError:
            await _not_ready(send)


class Metrics:
    """Leaves `/metrics` to the pages where the database answers, and else says 503 itself, as soon as `/readyz/web` does.

    A page learns it when the pool gives up after three seconds, or PostgreSQL has been silent for seven.
    """

    def __init__(self, pages: Application) -> None:
        self._pages = pages
        self._asking = ThreadPoolExecutor(1, "metrics")

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        answers = False
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(WEB_READY_SECONDS):
                answers = await asyncio.get_running_loop().run_in_executor(self._asking, database_answers)
        if answers:
            await self._pages(scope, receive, send)
        else:
            await _not_ready(send)


def database_answers() -> bool:
    """Whether the database answers one question. Takes as long as it does."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return False
    finally:
        close_old_connections()
    return True


async def _not_ready(send: Send) -> None:
    await send({"type": "http.response.start", "status": 503, "headers": _NOT_READY_HEADERS})
    await send({"type": "http.response.body", "body": _NOT_READY})
