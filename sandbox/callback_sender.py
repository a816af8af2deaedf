"""The callbacks: how their bodies look, and the threads that post them."""

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
    """One POST to make; `status` 1 received, 2 expired; `answer` becomes the HTTP status, 0 if nobody answered."""

    token: str
    url: str
    rental: int
    status: int
    content_type: str
    body: bytes
    answer: int | None = None


def fields(status: object, request_id: str, code: str | None, content: str | None, sound: bool) -> dict[str, object]:
    """The fields as the page types them: everything but the status is a string."""
    return {
        "status": status,
        "requestId": request_id,
        "code": code,
        "smsContent": content,
        "isSound": "true" if sound else "false",
    }


def encode(values: dict[str, object], form: str) -> tuple[str, bytes]:
    """Content type and body, `form` being "data", "nested", "flat", "form" or "form-nested"."""
    if form in ("form", "form-nested"):
        named = {
            key if form == "form" else f"data[{key}]": "" if item is None else item for key, item in values.items()
        }
        return FORM, urlencode(named).encode()
    body = {"data": {"data": values}, "nested": {"result": values}, "flat": values}[form]
    return JSON, to_json(body).encode()


def post(callback: Callback) -> None:
    """Make the POST and write down what came back."""
    try:
        parts = urlsplit(callback.url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection = kind(parts.netloc, timeout=TIMEOUT_SECONDS)
        try:
            connection.request("POST", path, callback.body, {"Content-Type": callback.content_type})
            callback.answer = connection.getresponse().status
        finally:
            connection.close()
    except (OSError, ValueError, http.client.HTTPException):
        # ValueError: an address that cannot be written on a request line.
        callback.answer = 0


class CallbackSender:
    """A few threads that post callbacks one after the other, so that a slow receiver holds up nothing else."""

    def __init__(self, done: Callable[[Callback], None], threads: int = 4) -> None:
        self._done = done
        self._threads = threads
        self._started = False
        self._waiting: queue.SimpleQueue[Callback | None] = queue.SimpleQueue()

    def send(self, callback: Callback) -> None:
        """Post it soon."""
        if not self._started:
            self._started = True
            for _ in range(self._threads):
                threading.Thread(target=self._work, name="sandbox-callbacks", daemon=True).start()
        self._waiting.put(callback)

    def send_now(self, callback: Callback) -> None:
        """Post it in this thread."""
        post(callback)
        self._done(callback)

    def stop(self) -> None:
        """Let the threads end after what they are doing."""
        for _ in range(self._threads):
            self._waiting.put(None)

    def _work(self) -> None:
        while (callback := self._waiting.get()) is not None:
            self.send_now(callback)
