"""The web process: the live stream on the event loop, Django's pages on threads beside it."""

from typing import Any

from django.conf import settings

from thuesim_site.threads import Pages
from thuesim_site.wsgi import application as django_pages  # sets Django up: goes before what needs its models

from rentals.live.hub import Hub  # isort: skip

live = Hub(settings.REDIS_URL)
pages = Pages(django_pages)


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """`/live/` is the hub's, all else Django's."""
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    await (live if scope["path"] == "/live/" else pages)(scope, receive, send)
