"""The answers to probes of the public address: what arrived of a request, and a stream that is silent for a while."""

import asyncio
import time
from typing import Any

from django.conf import settings
from django.http.request import split_domain_port, validate_host

from lib.network import probes
from lib.web.asgi import Message, Receive, Send, disconnected
from thuesim_site.serving.asgi_responses import refusal
from thuesim_site.serving.connections import client_of
from thuesim_site.serving.proxies import PEER, UNPROVEN

MAX_STREAMS = 4  # at a time in one process: each holds for 18 seconds
_HEADERS = [(b"cache-control", b"no-store, private, no-transform"), (b"x-content-type-options", b"nosniff")]
_STREAM_HEADERS = [*_HEADERS, (b"content-type", b"text/event-stream; charset=utf-8"), (b"x-accel-buffering", b"no")]


class Probes:
    """Answers `GET /probe/TOKEN/` and `GET /probe/TOKEN/stream`; without a valid token 404."""

    def __init__(self) -> None:
        self._streams = 0

    def has(self, scope: Message) -> bool:
        """Whether the request is for a probe."""
        return str(scope["path"]).startswith(probes.PATH)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        token, _, what = scope["path"].removeprefix(probes.PATH).partition("/")
        if scope["method"] != "GET" or what not in {"", "stream"} or not probes.is_valid(token):
            await refusal(404)(scope, receive, send)
        elif not what:
            body = probes.answer(_facts(scope), token).encode()
            headers = [*_HEADERS, (b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": body})
        elif self._streams >= MAX_STREAMS:
            await refusal(503)(scope, receive, send)
        else:
            await self._stream(receive, send)

    async def _stream(self, receive: Receive, send: Send) -> None:
        self._streams += 1
        gone = asyncio.ensure_future(disconnected(receive))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": _STREAM_HEADERS})
            for number, seconds in enumerate((0.0, probes.SECOND_EVENT_SECONDS, probes.SILENT_SECONDS)):
                if (await asyncio.wait([gone], timeout=seconds))[0]:
                    return
                event = b"event: beat\ndata: %d\n\n" % number
                await send({"type": "http.response.body", "body": event, "more_body": True})
            await send({"type": "http.response.body"})
        finally:
            self._streams -= 1
            gone.cancel()


def _facts(scope: Message) -> dict[str, Any]:
    headers: dict[bytes, str] = {}
    for name, value in scope["headers"]:
        headers[name] = ", ".join(filter(None, [headers.get(name), value.decode("latin-1")]))
    peer = scope.get(PEER) or ("", 0)
    host = headers.get(b"host", "")
    return {
        "host": host,
        "host_is_allowed": validate_host(split_domain_port(host)[0], settings.ALLOWED_HOSTS),
        "origin": headers.get(b"origin", ""),
        "scheme": scope["scheme"],
        "said_scheme": headers.get(b"x-forwarded-proto", ""),
        "client": (scope.get("client") or ("",))[0],
        "said_client": headers.get(b"x-forwarded-for", ""),
        "peer": list(peer),
        "is_unproven": UNPROVEN in scope,
        "peer_is_proxy": client_of(peer[0]) == "",
        "time": time.time(),
    }
