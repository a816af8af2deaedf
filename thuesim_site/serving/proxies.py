"""What the settings say of proxies in front of the web process: whom to believe, and which path they leave in addresses."""

from typing import Any

from django.conf import settings
from django.utils.crypto import constant_time_compare
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from lib.web.asgi import Application, Message, Receive, Send

# In a scope: the other end of the connection, before any proxy is believed; and that it did not send our secret.
PEER, UNPROVEN = "desk.peer", "desk.unproven"
SECRET_HEADER = b"x-desk-proxy-secret"


def behind_proxies(application: Application) -> Application:
    """What the settings say of proxies and of the path of the public address, in front of `application`."""
    if settings.FORCE_SCRIPT_NAME:
        application = below_path(settings.FORCE_SCRIPT_NAME, application)
    return _noting_peer(_believing_proxies(application))


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
    """Take the client's address and scheme from `PROXIES`, the scheme alone from `SCHEME_PROXIES`, nothing from others; and
    with `PROXY_SECRET` nothing from who does not send it. No page sees the secret."""
    believing: Any = ProxyHeadersMiddleware(application, settings.PROXIES)  # type: ignore[arg-type]

    async def believing_scheme(scope: Message, receive: Receive, send: Send) -> None:
        given = [value for name, value in scope["headers"] if name == SECRET_HEADER]
        if given:
            scope["headers"] = [header for header in scope["headers"] if header[0] != SECRET_HEADER]
        if settings.PROXY_SECRET and not any(constant_time_compare(value, settings.PROXY_SECRET) for value in given):
            await application({**scope, UNPROVEN: True}, receive, send)
            return
        sender = (scope.get("client") or ("",))[0]
        schemes = [value for name, value in scope["headers"] if name == b"x-forwarded-proto"]
        if sender in settings.SCHEME_PROXIES and schemes[-1:] == [b"https"]:
            scope["scheme"] = "https"
        await believing(scope, receive, send)

    return believing_scheme


def _noting_peer(application: Application) -> Application:
    async def noted(scope: Message, receive: Receive, send: Send) -> None:
        await application({**scope, PEER: scope.get("client")}, receive, send)

    return noted
