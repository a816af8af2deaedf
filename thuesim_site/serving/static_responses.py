"""Static files from the event loop: no page thread is needed for one, nor held while a client reads it."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.middleware.security import SecurityMiddleware

from lib.web.asgi import Message, Receive, Send
from thuesim_site.middleware.security_headers import SecurityHeadersMiddleware
from thuesim_site.serving.asgi_responses import send_file

# What WhiteNoise reads of a request, by its names there.
_READ = {
    b"accept-encoding": "HTTP_ACCEPT_ENCODING",
    b"if-modified-since": "HTTP_IF_MODIFIED_SINCE",
    b"if-none-match": "HTTP_IF_NONE_MATCH",
    b"range": "HTTP_RANGE",
}


class StaticFiles:
    """Serves what WhiteNoise found when the process began, as its middleware does: encodings, ranges, 304. `files` are its
    files by address, none with DEBUG: they change then."""

    def __init__(self, files: Mapping[str, Any]) -> None:
        self._files = files
        self._headers = _headers_of_every_answer()

    def has(self, scope: Message) -> bool:
        """Whether the request is for such a file, and need not be redirected to https first."""
        if scope["path"] not in self._files:
            return False
        return not settings.SECURE_SSL_REDIRECT or (b"x-forwarded-proto", b"https") in scope["headers"]

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        request = {_READ[name]: value.decode("latin-1") for name, value in scope["headers"] if name in _READ}
        response = self._files[scope["path"]].get_response(scope["method"], request)
        headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in response.headers]
        named = {name for name, _ in headers}
        headers += [header for header in self._headers if header[0] not in named]
        await send({"type": "http.response.start", "status": int(response.status), "headers": headers})
        if response.file is None:
            await send({"type": "http.response.body"})
        else:
            await send_file(response.file, receive, send)


def _headers_of_every_answer() -> list[tuple[bytes, bytes]]:
    """What the middleware before WhiteNoise's adds, asked of it once."""
    request = HttpRequest()
    request.META["wsgi.url_scheme"] = "https"
    empty = HttpResponse()
    del empty["Content-Type"]
    security = SecurityMiddleware(lambda _: empty)
    answer = SecurityHeadersMiddleware(lambda request: security.process_response(request, empty))(request)
    return [(name.lower().encode(), value.encode()) for name, value in answer.items()]
