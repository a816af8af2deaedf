"""How many requests one client may have open at a time: behind a proxy, the connections are the proxy's."""

from collections import Counter
from collections.abc import Callable

from django.conf import settings

from lib.web.asgi import Application, Message, Receive, Send
from thuesim_site.serving.connections import client_of
from thuesim_site.serving.refusals import refusal


class RequestLimit:
    """Answers 429 where a client has `settings.MAX_CONNECTIONS` requests open already, streams among them.

    `route` says which application answers another one.
    """

    def __init__(self, route: Callable[[Message], Application]) -> None:
        self._route = route
        self._refuse = refusal(429)
        self._open: Counter[str] = Counter()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        client = client_of(scope["client"][0]) if scope.get("client") else ""
        if not client:
            await self._route(scope)(scope, receive, send)
            return
        if self._open[client] >= settings.MAX_CONNECTIONS:
            await self._refuse(scope, receive, send)
            return
        self._open[client] += 1
        try:
            await self._route(scope)(scope, receive, send)
        finally:
            self._open[client] -= 1
            if not self._open[client]:
                del self._open[client]
