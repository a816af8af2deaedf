"""Posting callbacks: their bodies, and the threads that send them."""

import http.client
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from sandbox.payloads import to_json

JSON, FORM = "application/json", "application/x-www-form-urlencoded"
TIMEOUT_SECONDS = 5.0


@dataclass
class Callback:
    """One POST to make. `status` is 1 received, 2 expired; `answer` becomes the HTTP status, 0 without an answer."""

    token: str
    url: str
    rental: int
    status: int
    content_type: str
    body: bytes
    answer: int | None = None


def fields(status: object, request_id: str, code: str | None, content: str | None, is_sound: bool) -> dict[str, object]:
    """The fields of section 3.3 of the API page, with its types: everything but the status is a string or null."""
    return {
        "status": status,
        "requestId": request_id,
        "code": code,
        "smsContent": content,
        "isSound": "true" if is_sound else "false",
    }


def encode(values: dict[str, object], form: str) -> tuple[str, bytes]:
    """Content type and body; `form` is "data", "nested", "flat", "form" or "form-nested"."""
    if form in ("form", "form-nested"):
        template = "{}" if form == "form" else "data[{}]"
        pairs = {template.format(key): "" if value is None else value for key, value in values.items()}
        return FORM, urlencode(pairs).encode()
    body = {"data": {"data": values}, "nested": {"result": values}, "flat": values}[form]
    return JSON, to_json(body).encode()


def post(callback: Callback) -> None:
    """Make the POST and put the HTTP status into `callback.answer`."""
    try:
        parts = urlsplit(callback.url)
        connection_class = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection = connection_class(parts.netloc, timeout=TIMEOUT_SECONDS)
        try:
            connection.request("POST", path, callback.body, {"Content-Type": callback.content_type})
            callback.answer = connection.getresponse().status
        finally:
            connection.close()
    except (OSError, ValueError, http.client.HTTPException):
        # ValueError: the address cannot be written on a request line.
        callback.answer = 0


class CallbackSender:
    """A few threads that post callbacks one after the other, so that a slow receiver delays nothing else.

    `on_sent` is called with each callback after its POST, whatever came of it.
    """

    def __init__(self, on_sent: Callable[[Callback], None], threads: int = 4) -> None:
        self._on_sent = on_sent
        self._threads = threads
        self._started = False
        self._queue: queue.SimpleQueue[Callback | None] = queue.SimpleQueue()

    def send(self, callback: Callback) -> None:
        """Post it soon, in another thread."""
        if not self._started:
            self._started = True
            for _ in range(self._threads):
                threading.Thread(target=self._work, name="sandbox-callbacks", daemon=True).start()
        self._queue.put(callback)

    def send_now(self, callback: Callback) -> None:
        """Post it in this thread."""
        post(callback)
        self._on_sent(callback)

    def stop(self) -> None:
        """End the threads after the callbacks that are queued."""
        for _ in range(self._threads):
            self._queue.put(None)

    def _work(self) -> None:
        while (callback := self._queue.get()) is not None:
            self.send_now(callback)
