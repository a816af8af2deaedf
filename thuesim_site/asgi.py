"""The web process: live stream, held waits, files and health on the event loop, Django's pages on threads beside it."""

import gc
from typing import Any

from django.conf import settings
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from lib.asgi import Application, Message, Receive, Send
from thuesim_site.asgi_responses import refusal

# Sets Django up: comes before the imports that need its models.
from thuesim_site.wsgi import application as django_pages

from thuesim_site.health_responses import Health  # isort: skip
from thuesim_site.request_limits import RequestLimit  # isort: skip
from thuesim_site.static_responses import StaticFiles  # isort: skip
from thuesim_site.wsgi_threads import Pages  # isort: skip
from pages.live.hub import Hub  # isort: skip
from api.holding import Holding  # isort: skip


def web(
    live: Application, pages: Application, static: StaticFiles | None = None, health: Health | None = None
) -> Application:
    """Return the ASGI application: `/live/` goes to the hub, files and health to those given, other paths to Django.

    Health comes before the limits, so that a monitor is never refused.
    """

    def route(scope: Message) -> Application:
        if scope["path"] == "/live/":
            return live
        return static if static is not None and static.has(scope) else pages

    limited = RequestLimit(route)

    async def application(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise NotImplementedError(scope["type"])
        if scope["http_version"] == "1.1" and not any(name == b"host" for name, _ in scope["headers"]):
            await refusal(400)(scope, receive, send)  # RFC 9112, section 3.2
            return
        await (health if health is not None and health.has(scope) else limited)(scope, receive, send)

    return application


def desk() -> Application:
    """The whole desk."""
    pages = Pages(django_pages, folder=settings.DATA_DIR, max_unread_bytes=settings.MAX_UNREAD_BYTES)
    held = Holding(pages, settings.REDIS_URL)
    whole = web(Hub(settings.REDIS_URL), held, StaticFiles(), Health(django_pages))
    return _believing_proxies(below_path(settings.FORCE_SCRIPT_NAME, whole) if settings.FORCE_SCRIPT_NAME else whole)


def below_path(path: str, application: Application) -> Application:
    """Take `path` off the addresses of requests, where the proxy in front has left it; `path` itself leads to `path/`."""

    async def without_path(scope: Message, receive: Receive, send: Send) -> None:
        if scope.get("path") == path:
            query = scope["query_string"]
            location = path.encode() + (b"/?" + query if query else b"/")
            headers = [(b"location", location), (b"content-length", b"0"), (b"cache-control", b"no-store")]
            await send({"type": "http.response.start", "status": 301, "headers": headers})
            await send({"type": "http.response.body"})
            return
        if scope.get("path", "").startswith(f"{path}/"):
            scope = {**scope, "path": scope["path"].removeprefix(path)}
        await application(scope, receive, send)

    return without_path


def _believing_proxies(application: Application) -> Application:
    """Take the client's address and scheme from `PROXIES`, the scheme alone from `SCHEME_PROXIES`, nothing from others."""
    believing: Any = ProxyHeadersMiddleware(application, settings.PROXIES)  # type: ignore[arg-type]

    async def believing_scheme(scope: Message, receive: Receive, send: Send) -> None:
        sender = (scope.get("client") or ("",))[0]
        schemes = [value for name, value in scope["headers"] if name == b"x-forwarded-proto"]
        if sender in settings.SCHEME_PROXIES and schemes[-1:] == [b"https"]:
            scope["scheme"] = "https"
        await believing(scope, receive, send)

    return believing_scheme


application = desk()
# The modules loaded so far stay in memory: the garbage collector need not scan them while it holds up a page.
gc.collect()
gc.freeze()
