"""Two other ways to stream, for `bench/live.py`: django-eventstream, and Django's own streaming response.

Settings, addresses and views in one file. Same database, sessions and server as ours; both are spared the reading and
rendering: the one who announces hands them the finished HTML.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.urls import URLPattern, URLResolver, include, path

from thuesim_site.settings import *  # noqa: F403
from thuesim_site.settings import INSTALLED_APPS as OUR_APPS

INSTALLED_APPS = [*OUR_APPS, "django_eventstream"]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "allauth.account.middleware.AccountMiddleware",  # allauth does not start without it
]
ROOT_URLCONF = __name__
EVENTSTREAM_REDIS = {"unix_socket_path": os.environ.get("BENCH_REDIS_SOCKET"), "socket_timeout": None}
CHANNEL = "bench:streaming"

_queues: set[asyncio.Queue[bytes]] = set()
_listener: list[asyncio.Task[None]] = []


async def _listen() -> None:
    import redis.asyncio

    client = redis.asyncio.Redis.from_url(settings.REDIS_URL, socket_timeout=None)
    subscription = client.pubsub()
    await subscription.subscribe(CHANNEL)
    async for message in subscription.listen():
        if message["type"] == "message":
            data = f"event: rental\ndata: {json.loads(message['data'])}\n\n".encode()
            for queue in _queues:
                queue.put_nowait(data)


async def streaming(request: HttpRequest) -> HttpResponseBase:
    """One subscription per process here too: the best that Django's own streaming response can be given."""
    if not _listener:
        _listener.append(asyncio.create_task(_listen()))
    person: Any = await request.auser()
    assert person.is_authenticated
    queue: asyncio.Queue[bytes] = asyncio.Queue(50)

    async def events() -> AsyncIterator[bytes]:
        _queues.add(queue)
        try:
            yield b"event: hello\ndata:\n\n"
            while True:
                yield await queue.get()
        finally:
            _queues.discard(queue)

    return StreamingHttpResponse(events(), content_type="text/event-stream")


urlpatterns: list[URLPattern | URLResolver] = [path("streaming/", streaming)]
if os.environ.get("DJANGO_SETTINGS_MODULE") == __name__:
    urlpatterns.append(path("eventstream/", include("django_eventstream.urls"), {"channels": ["team"]}))


def asgi() -> Any:
    """Django's ASGI handler with these settings."""
    from django.core.asgi import get_asgi_application

    return get_asgi_application()
