"""Refusals of requests that never reach Django: problem documents for the API, a line of text for others."""

from django.http import HttpRequest
from django.utils import translation

from api import PREFIX
from lib.web.asgi import Application, Message, Receive, Send
from thuesim_site.serving import asgi_responses
from thuesim_site.serving.asgi_responses import RETRY_SECONDS


def refusal(status: int) -> Application:
    """An application that refuses every request and closes the connection."""
    plain = asgi_responses.refusal(status)

    async def refuse(scope: Message, receive: Receive, send: Send) -> None:
        if not scope["path"].startswith(PREFIX):
            await plain(scope, receive, send)
            return
        headers, body = _problem(scope, status)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return refuse


def _problem(scope: Message, status: int) -> tuple[list[tuple[bytes, bytes]], bytes]:
    from api.problems import Problem  # with all models, which `bench.peers.tiny` serves without

    request = HttpRequest()
    for name, value in scope["headers"]:
        if name == b"accept-language":
            request.META["HTTP_ACCEPT_LANGUAGE"] = value.decode("latin-1")
    headers = {"Retry-After": str(RETRY_SECONDS[status])} if status in RETRY_SECONDS else {}
    with translation.override(translation.get_language_from_request(request)):
        response = Problem(status, headers=headers).response()
    response.headers["Content-Length"], response.headers["Connection"] = str(len(response.content)), "close"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return [(name.lower().encode(), value.encode("latin-1")) for name, value in response.items()], response.content
