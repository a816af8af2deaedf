"""The web process: the live stream on the event loop, Django's pages on threads beside it."""

import gc
from collections.abc import Awaitable, Callable
from typing import Any

from django.conf import settings

from thuesim_site.wsgi import (
    application as django_pages,
)  # sets Django up: comes before the imports that need its models
from thuesim_site.wsgi_threads import Pages

from pages.live.hub import Hub  # isort: skip


def web(live: Hub, pages: Pages) -> Callable[..., Awaitable[None]]:
    """Return the ASGI application: `/live/` goes to the hub, every other path to Django."""

    async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise NotImplementedError(scope["type"])
        await (live if scope["path"] == "/live/" else pages)(scope, receive, send)

    return application


# The modules loaded so far stay in memory: the garbage collector need not scan them while it holds up a page.
gc.collect()
gc.freeze()
application = web(Hub(settings.REDIS_URL), Pages(django_pages))
