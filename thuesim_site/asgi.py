"""The web process: the live stream on the event loop, Django's pages on threads beside it."""

from typing import Any

from a2wsgi import WSGIMiddleware
from django.conf import settings

from thuesim_site.wsgi import application as django_pages  # sets Django up: goes before what needs its models

from rentals.live.hub import Hub  # isort: skip

THREADS = 16

live = Hub(settings.REDIS_URL)
pages: Any = WSGIMiddleware(django_pages, workers=THREADS)


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """`/live/` is the hub's, all else Django's."""
    if scope["type"] == "http" and scope["path"] == "/live/":
        await live(scope, receive, send)
    else:
        await pages(scope, receive, send)
