"""HTTP to one desk: one request at a time, and the rule for when it is sent again."""

from __future__ import annotations

import http.client
import json
import os
import platform
import random
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Protocol, TypeVar
from urllib.parse import urlencode, urlsplit

from . import errors
from .version import VERSION

_T = TypeVar("_T")
MAX_ANSWER_BYTES = 20 * 1024 * 1024
_USER_AGENT = f"thuesim-desk/{VERSION} Python/{platform.python_version()}"


class _Response(Protocol):
    status: int
    headers: http.client.HTTPMessage

    def read(self, amount: int = ...) -> bytes: ...


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the key to another address, or end at a page for people."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


class _Secret:
    """Holds the key where no repr, traceback with local variables or log shows it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def __repr__(self) -> str:
        return "desk_…"

    def __reduce__(self) -> Any:
        raise TypeError("a key is not pickled")

    def reveal(self) -> str:
        return self._value


class Patience:
    """Decides before each further attempt whether to wait, and how long: doubling from 0.2 s to 5 s with jitter, or what
    `Retry-After` says. `deadline` is a reading of `time.monotonic()`."""

    def __init__(self, deadline: float) -> None:
        self._deadline, self._failures = deadline, 0

    def pause(self, error: errors.DeskError) -> None:
        """Sleep before the next attempt. Raises `error` where it is final, or no attempt fits before the deadline."""
        left = self._deadline - time.monotonic()
        if not error.transient or left <= 0 or (error.retry_after or 0) > left:
            raise error from error.__cause__
        if error.retry_after is not None:
            delay = error.retry_after
        else:
            delay = min(0.2 * 2.0 ** min(self._failures, 5), 5.0) * random.uniform(0.5, 1.0)  # noqa: S311 - jitter
        self._failures += 1
        time.sleep(min(max(delay, 0.05), left))

    def reset(self) -> None:
        """Forget the failures so far: the desk answered."""
        self._failures = 0


class Connection:
    """Sends requests with the key. Safe to share between threads and after a fork: it keeps nothing open."""

    def __init__(self, url: str, key: str, *, language: str, retry_for: float) -> None:
        self._key, key = _Secret(key.strip()), "…"  # no traceback with local variables shall show it
        if not self._key.reveal().isascii() or not self._key.reveal().isprintable() or " " in self._key.reveal():
            raise ValueError("the key has characters that no key has")
        if not self._key.reveal():
            raise ValueError("the key is empty")
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.query:
            raise ValueError("url is http:// or https:// and a host, without name or password")
        self.url = url.rstrip("/").removesuffix("/api/v1")
        self.language, self.retry_for = language, retry_for
        self._opener = urllib.request.build_opener(_NoRedirect)

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        body: Mapping[str, object] | None = None,
        idempotency_key: str = "",
    ) -> Any:
        """Return the JSON of an answer below 400, after as many attempts as fit into `retry_for` seconds.

        Every attempt is the same request, so a POST that orders needs its `idempotency_key`. Raises `DeskError`.
        """
        return self._patiently(lambda: self.once(method, path, query=query, body=body, idempotency_key=idempotency_key))

    def once(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        body: Mapping[str, object] | None = None,
        idempotency_key: str = "",
        timeout: float = 20.0,
    ) -> Any:
        """Return the JSON of an answer below 400 to one request. `timeout` (seconds) bounds each silence of the desk."""
        content = self._send(method, path, query, body, idempotency_key, timeout)
        try:
            return json.loads(content)
        except ValueError:  # JSON by its type, so it was cut off
            raise errors.Unreachable("the desk's answer was cut off") from None

    def download(self, path: str) -> bytes:
        """Return the bytes of an answer that is no JSON."""
        return self._patiently(lambda: self._send("GET", path, None, None, "", 20.0, json_only=False))

    def _patiently(self, work: Callable[[], _T]) -> _T:
        patience = Patience(time.monotonic() + self.retry_for)
        while True:
            try:
                return work()
            except errors.DeskError as error:  # noqa: PERF203 - each turn is a request
                patience.pause(error)

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, object] | None,
        body: Mapping[str, object] | None,
        idempotency_key: str,
        timeout: float,
        *,
        json_only: bool = True,
    ) -> bytes:
        request = self._request(method, path, query, body, idempotency_key)
        try:
            with self._opener.open(request, timeout=timeout) as response:
                return _content(response, json_only=json_only)
        except urllib.error.HTTPError as answer:
            with answer:
                error = _refusal(answer)
        except (OSError, http.client.HTTPException) as failure:  # URLError and time-outs are OSErrors
            error = _failure(failure, self.url)
        # Without the context: its frames hold the headers, and so the key.
        raise error from None

    def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, object] | None,
        body: Mapping[str, object] | None,
        idempotency_key: str,
    ) -> urllib.request.Request:
        given = {name: value for name, value in (query or {}).items() if value not in (None, "")}
        address = f"{self.url}/api/v1/{path}" + (f"?{urlencode(given, doseq=True)}" if given else "")
        content = None if body is None else json.dumps(body).encode()
        if method == "POST" and content is None:
            content = b""  # else no Content-Length is sent
        request = urllib.request.Request(address, data=content, method=method)  # noqa: S310 - http(s), see __init__
        request.add_header("Accept", "application/json")
        request.add_header("Accept-Language", self.language)
        request.add_header("User-Agent", _USER_AGENT)
        if body is not None:
            request.add_header("Content-Type", "application/json")
        elif content is not None:
            request.add_header("Content-Type", "application/octet-stream")  # urllib would call it a form
        if idempotency_key:
            request.add_header("Idempotency-Key", idempotency_key)
        request.add_unredirected_header("Authorization", f"Bearer {self._key.reveal()}")
        return request


def _content(response: _Response, *, json_only: bool) -> bytes:
    content = response.read(MAX_ANSWER_BYTES + 1)
    if len(content) > MAX_ANSWER_BYTES:
        raise errors.UnexpectedAnswer("the answer is too large")
    announced = response.headers.get("Content-Length")
    if announced is not None and announced.isdigit() and len(content) < int(announced):
        raise http.client.IncompleteRead(b"")
    if json_only and "json" not in response.headers.get_content_type():
        raise errors.UnexpectedAnswer("the answer is no JSON: is this the address of a desk?", status=response.status)
    return content


def _refusal(answer: urllib.error.HTTPError) -> errors.DeskError:
    if answer.code < 400:
        return errors.UnexpectedAnswer(f"the address answers with a redirect ({answer.code})", status=answer.code)
    try:
        problem = json.loads(answer.read(1024 * 1024))
    except (ValueError, OSError, http.client.HTTPException):
        problem = {}
    if not isinstance(problem, dict):
        problem = {}
    return errors.from_problem(answer.code, problem, _retry_after(answer.headers.get("Retry-After")))


def _failure(failure: Exception, url: str) -> errors.DeskError:
    reason = getattr(failure, "reason", failure)
    if isinstance(reason, ssl.SSLCertVerificationError):
        return errors.UnexpectedAnswer(f"the certificate of {url} is not trusted: {reason.verify_message}")
    if isinstance(reason, (TimeoutError, socket.timeout)):  # one class only from Python 3.10
        return errors.Unreachable(f"{url} did not answer in time")
    if isinstance(reason, OSError) and reason.errno is not None:
        what = reason.strerror or os.strerror(reason.errno)
    else:
        what = type(reason).__name__
    return errors.Unreachable(f"{url} cannot be reached: {what}")


def _retry_after(text: str | None) -> float | None:
    """Return the seconds of a `Retry-After`, which has seconds or a date; None where there is none."""
    if not text:
        return None
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (TypeError, ValueError):
        return None
