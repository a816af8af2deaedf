"""A client of thuesim.xyz.

    >>> from thuesim import Client
    >>> Client(token).rent("02.97", networks=["VIETTEL"])

One client may be used by several threads at once. What it raises is in `errors.py`.
"""

import contextlib
import functools
import http.client
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final, Protocol, Self, TypeVar
from urllib.parse import parse_qs, urljoin, urlsplit

import requests
import urllib3

from . import errors, phones, replies
from .audio import MAX_AUDIO_BYTES, Audio, audio_address, recognised
from .decoding import VIETNAM
from .drift import Drift, DriftSink, Notes, tell
from .envelopes import Envelope, open_envelope
from .errors import ThueSimError
from .redaction import ELLIPSIS, Secret
from .replies import Balance, CodeReply, HistoryEntry, Network, Rented, Service, State, rental_key
from .transport import Adapter, Attempt, attempting

MAX_BODY_BYTES: Final = 5 * 1024 * 1024
MAX_HISTORY_BYTES: Final = 20 * 1024 * 1024
_CHUNK_BYTES: Final = 64 * 1024
_HEADERS: Final = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "thuesim-desk"}
_STATUS: Final = {State.WAITING: "0", State.RECEIVED: "1", State.EXPIRED: "2"}
_T = TypeVar("_T", covariant=True)
_News = TypeVar("_News")


class _Parser(Protocol[_T]):
    def __call__(self, body: bytes, *, on_drift: DriftSink | None) -> _T: ...


@dataclass(frozen=True, slots=True)
class _Request:
    """One GET. `endpoint` is named as in `Drift`; `path` is one of the API's, or the whole address of a recording as a
    Secret, which goes without the token."""

    endpoint: str
    path: str | Secret
    params: dict[str, str] = field(default_factory=dict)
    max_bytes: int = MAX_BODY_BYTES
    takes_number: bool = False
    before_send: Callable[[], bool] | None = None
    after_send: Callable[[], None] | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What came over the wire: HTTP status and body, the token taken out of it.

    `endpoint` is named as in `Drift`. The body holds phone numbers, messages and codes: it belongs in no log. `repeats` is
    true for a redirect that asks for the same request at another address.
    """

    endpoint: str
    status: int
    body: bytes = field(repr=False)
    repeats: bool = False

    def envelope(self) -> Envelope:
        """Return the body opened: which envelope it is, its code and its payload. Raises Gibberish."""
        return open_envelope(self.body, Notes(self.endpoint))


@dataclass(frozen=True, slots=True)
class Call:
    """One call as it ended. `endpoint` is named as in the address: `balance`, `networks`, `service`, `code`, `history`,
    `api/register-service` or `api/rephone`. `error` is None where it succeeded."""

    endpoint: str
    seconds: float
    error: ThueSimError | None


class Client:
    """The calls of the API page. Each returns a typed value or raises a ThueSimError.

    `timeout` (seconds) bounds the whole of a call, slow drips and name resolution included. Three hooks observe it:
    `on_drift` gets every way in which a reply differs from the reference, `on_call` every call to the API as it ended,
    `on_reply` every reply to one before it is read. A hook that raises is logged and changes nothing.
    """

    def __init__(
        self,
        token: str,
        base_url: str = "https://thuesim.xyz",
        *,
        timeout: float = 20.0,
        on_drift: Callable[[Drift], None] | None = None,
        on_call: Callable[[Call], None] | None = None,
        on_reply: Callable[[Reply], None] | None = None,
    ) -> None:
        # The plain token leaves this frame at once, so that no traceback can show it.
        self._token, token = Secret(token.strip()), ELLIPSIS
        self.base_url = base_url.rstrip("/")
        parts = urlsplit(base_url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.query:
            raise ValueError("base_url is http:// or https://, a host, and nothing secret")
        if not timeout > 0:
            raise ValueError("timeout is a positive number of seconds")
        self.timeout = timeout
        self._on_drift, self._on_call, self._on_reply = on_drift, on_call, on_reply
        self._adapter, self._owner_pid = Adapter(), os.getpid()

    def __repr__(self) -> str:
        return f"Client(token={self._token!r}, base_url={self.base_url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the kept-alive connections. The client can be used again afterwards."""
        self._adapter.close()

    def balance(self) -> Balance:
        """Return how much money the account has, in đồng (section 0)."""
        return self._ask(_Request("balance", "/api/", {"show": "balance"}), replies.parse_balance)

    def networks(self) -> list[Network]:
        """Return the carriers (section 1)."""
        return self._ask(_Request("networks", "/api/", {"show": "networks"}), replies.parse_networks)

    def services(self) -> list[Service]:
        """Return the services with prices in đồng and waiting times in seconds (section 2)."""
        return self._ask(_Request("services", "/api/", {"show": "service"}), replies.parse_services)

    def rent(
        self,
        service: str,
        *,
        networks: Iterable[str] = (),
        prefixes: Iterable[str] = (),
        exclude_prefixes: Iterable[str] = (),
        before_send: Callable[[], bool] | None = None,
        after_send: Callable[[], None] | None = None,
    ) -> Rented:
        """Take a number, which costs money (section 3). `service` is a service's `key`: `"02.97"`, or `"97"`.

        `networks` go by name; prefixes with or without their leading 0. Raises ValueError for what cannot be sent, and one
        of two families of ThueSimError: after a NotRented the order may be placed again, after an OutcomeUnknown a number
        may have been taken (see `errors.py`).

        `before_send` is asked once the connection stands, right before the request leaves: where it returns False,
        nothing is sent and the call raises KeptBack. `after_send` is called as soon as the request is sent, however long
        its answer takes; if it raises, that is logged and changes nothing.
        """
        params = {"serviceId": _plain("service", service)}
        for name, values in (
            ("carries", [_one_of_several("network", network) for network in _several(networks)]),
            ("yPrefix", [phones.prefix(prefix) for prefix in _several(prefixes)]),
            ("nPrefix", [phones.prefix(prefix) for prefix in _several(exclude_prefixes)]),
        ):
            if values:
                # Several are separated and ended by |, one stands bare: both as the page prints them.
                params[name] = values[0] if len(values) == 1 else "|".join(values) + "|"
        request = _Request(
            "rent",
            "/api/register-service/",
            params,
            takes_number=True,
            before_send=before_send,
            after_send=after_send,
        )
        return self._ask(request, replies.parse_rented)

    def rent_again(
        self,
        *,
        phone: str,
        service_id: str,
        earlier_id: str,
        sv: str,
        before_send: Callable[[], bool] | None = None,
        after_send: Callable[[], None] | None = None,
    ) -> Rented:
        """Take a number that was ours before (section 3.1, `rephone`).

        `phone` in E.164; `service_id` bare (`"97"`); `earlier_id` the earlier rental's id in any form; `sv` the
        service's server (`"02"`, or `""`). Takes a number and raises as `rent` does, with the same two hooks.
        """
        key = _plain("earlier_id", rental_key(earlier_id))
        params = {
            "phone": phones.national(phones.to_e164(phone)),
            "serviceId": _plain("service_id", service_id),
            # Put together anew: an id that arrived as 88237016.1 may have lost the zero of its server's 10.
            "thuesim1": f"{key}.{_plain('sv', sv)}" if sv else key,
        }
        request = _Request(
            "rent_again", "/api/rephone/", params, takes_number=True, before_send=before_send, after_send=after_send
        )
        return self._ask(request, functools.partial(replies.parse_rented, endpoint="rent_again"))

    def code(self, id: str) -> CodeReply:
        """Ask whether a message has come (section 4); `id` exactly as it was given."""
        return self._ask(_Request("code", "/api/", {"show": "code", "ID": id}), replies.parse_code)

    def history(
        self,
        *,
        service_id: str = "",
        state: State | None = None,
        limit: int | None = None,
        since: date | None = None,
        until: date | None = None,
    ) -> list[HistoryEntry]:
        """Return past rentals (section 5), in the upstream's order, or newest first where it is cut to `limit`.

        These are all the filters that the API has, whether or not the desk uses them. Each is sent, and applied here
        again, since the upstream may ignore it. `since` and `until` are days in Vietnam, both included; an entry without
        a known time passes them.
        """
        filters = {
            "service": service_id,
            "status": _STATUS[state] if state is not None else "",
            "limit": str(limit) if limit is not None else "",
            "fromDate": f"{since:%Y-%m-%d}" if since is not None else "",
            "toDate": f"{until:%Y-%m-%d}" if until is not None else "",
        }
        params = {"show": "history"} | {name: value for name, value in filters.items() if value}
        request = _Request("history", "/api/", params, max_bytes=MAX_HISTORY_BYTES)
        entries = [
            entry
            for entry in self._ask(request, replies.parse_history)
            if _passes(entry, service_id=service_id, state=state, since=since, until=until)
        ]
        if limit is None or len(entries) <= limit:
            return entries
        newest = datetime.max.replace(tzinfo=VIETNAM)  # an entry without a time is never the one that is cut away
        return sorted(entries, key=lambda entry: entry.created_at or newest, reverse=True)[:limit]

    def audio(self, url: str) -> Audio:
        """Fetch the recording of a voice call, at most 10 MB, from the upstream's own host alone.

        Raises AudioRefused for any other address, Gibberish for what is no recording.
        """
        address = Secret(audio_address(url, self.base_url), tail=False)
        reply = self._call(_Request("audio", address, max_bytes=MAX_AUDIO_BYTES))
        if error := _http_error(reply):
            raise error
        return recognised(reply.body)

    def _ask(self, request: _Request, parse: _Parser[_T]) -> _T:
        """Call and parse, and tell `on_call` how it went."""
        endpoint = request.params.get("show") or str(request.path).strip("/")
        started = time.monotonic()
        try:
            value = self._answer(request, parse)
        except ThueSimError as error:
            self._observe(self._on_call, Call(endpoint, time.monotonic() - started, error))
            raise
        self._observe(self._on_call, Call(endpoint, time.monotonic() - started, None))
        return value

    def _answer(self, request: _Request, parse: _Parser[_T]) -> _T:
        """Call and parse. A reply of ThueSim's own counts whatever the HTTP status; for any other the status does."""
        reply = self._call(request)
        self._observe(self._on_reply, reply)
        drifts: list[Drift] = []
        try:
            value = parse(reply.body, on_drift=drifts.append)
        except ThueSimError as parsed:
            error = parsed
        else:
            self._observe(self._on_drift, *drifts)
            return value
        status_error = _http_error(reply)
        if status_error is not None and type(error) is errors.Gibberish:
            error, drifts = status_error, []
        elif isinstance(status_error, errors.OutcomeUnknown) and type(error) is errors.UpstreamError:
            error = status_error  # "there was an error" under a 5xx is nothing certain
        self._observe(self._on_drift, *drifts)
        raise error.with_traceback(None) from None

    @staticmethod
    def _observe(hook: Callable[[_News], None] | None, *news: _News) -> None:
        if hook is not None:
            for item in news:
                tell(hook, item)

    def _call(self, request: _Request) -> Reply:
        """Send one GET and return the reply: the single HTTP entry.

        Errors are raised here, away from the frames and exceptions of requests, all of which hold the address and so the
        token.
        """
        outcome = self._exchange(request)
        if isinstance(outcome, ThueSimError):
            raise outcome
        return outcome

    def _exchange(self, request: _Request) -> Reply | ThueSimError:
        attempt = Attempt(self.timeout, before_send=request.before_send, after_send=request.after_send)
        try:
            with attempting(attempt), self._connections(request) as adapter:
                return self._receive(adapter, request)
        except (
            requests.RequestException,
            urllib3.exceptions.HTTPError,
            http.client.HTTPException,
            OSError,
            ValueError,
        ) as error:
            return _network_error(attempt, error)
        except BaseException as error:  # noqa: BLE001 - an interrupt from outside: let it go on without the frames below us
            raise error.with_traceback(None) from None

    @contextlib.contextmanager
    def _connections(self, request: _Request) -> Iterator[Adapter]:
        """Yield the adapter to send with.

        Questions share kept-alive connections. A call that takes a number gets a new connection of its own: on a kept
        one that the server is just closing, no error would tell whether the request was read. Nothing is ever sent twice.
        """
        if request.takes_number:
            with contextlib.closing(Adapter()) as adapter:
                yield adapter
            return
        if self._owner_pid != os.getpid():  # forked: the parent's connections would mix up the answers
            self._adapter, self._owner_pid = Adapter(), os.getpid()
        yield self._adapter

    def _prepared(self, request: _Request) -> requests.PreparedRequest:
        headers = _HEADERS | ({"Connection": "close"} if request.takes_number else {})
        if isinstance(request.path, Secret):
            return requests.Request("GET", request.path.reveal(), headers=headers).prepare()
        query = request.params | {"token": self._token.reveal()}
        return requests.Request("GET", self.base_url + request.path, params=query, headers=headers).prepare()

    def _receive(self, adapter: Adapter, request: _Request) -> Reply | ThueSimError:
        """Send and read, at most `max_bytes` of body. Certificates are checked against certifi's alone."""
        prepared = self._prepared(request)
        response = adapter.send(prepared, stream=True, timeout=self.timeout, verify=True)
        body = bytearray()
        try:
            for chunk in response.raw.stream(_CHUNK_BYTES, decode_content=True):
                body += chunk
                if len(body) > request.max_bytes:
                    message = f"the answer is larger than {request.max_bytes} bytes"
                    return errors.Gibberish(message, code=str(response.status_code))
        finally:
            response.close()
        return Reply(
            endpoint=request.endpoint,
            status=response.status_code,
            body=self._without_token(bytes(body)),
            repeats=_repeats(str(prepared.url), response.headers.get("Location", "")),
        )

    def _without_token(self, body: bytes) -> bytes:
        """Return the reply without our token, which a server may echo anywhere."""
        token = self._token.reveal()
        if len(token) < 8 or token.encode().lower() not in body.lower():
            return body
        return re.sub(re.escape(token.encode()), repr(self._token).encode(), body, flags=re.IGNORECASE)


def _network_error(attempt: Attempt, error: BaseException) -> ThueSimError:
    """Return the error of a call without a reply; its text is ours, since theirs hold the address."""
    reason = "no time left" if attempt.over else attempt.failure or type(error).__name__
    if attempt.kept_back:
        return errors.KeptBack("the request did not leave")
    if not attempt.sent:
        return errors.CannotConnect(f"{attempt.stage} failed: {reason}")
    if attempt.over or isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError | TimeoutError):
        return errors.TimedOut("no whole answer in time")
    if isinstance(error, urllib3.exceptions.DecodeError):
        return errors.Gibberish("the answer could not be unpacked")
    return errors.ConnectionLost(f"the connection broke: {reason}")


def _http_error(reply: Reply) -> ThueSimError | None:
    """Return what the HTTP status says where the body says nothing; None for 2xx."""
    status, code = reply.status, str(reply.status)
    message = f"HTTP {code}"
    if 200 <= status < 300:
        return None
    if 300 <= status < 400:
        # A program that had taken the number would not ask for the very same request elsewhere; one that sends us to
        # a login or error page may have.
        return (
            errors.Redirected(message, code=code) if reply.repeats else errors.RedirectedElsewhere(message, code=code)
        )
    if status == 401:
        return errors.InvalidToken(message, code=code)
    if status == 408:
        return errors.TimedOut(message, code=code)
    if status == 429:
        text = reply.body[:1000].decode("utf-8", "replace")
        limit_reached = errors.PendingLimitReached in errors.by_text(text)
        return errors.refusal(text, code) if limit_reached else errors.TooSoon(message, code=code)
    if 400 <= status < 500:
        return errors.Rejected(message, code=code)
    return errors.ServerError(message, code=code)


def _repeats(url: str, location: str) -> bool:
    """Whether a redirect leads to the same path with the same query."""
    try:
        here, there = urlsplit(url), urlsplit(urljoin(url, location))
        return bool(location) and (here.path, parse_qs(here.query)) == (there.path, parse_qs(there.query))
    except ValueError:
        return False


def _plain(name: str, value: str) -> str:
    """Return a parameter without white space around it; raises ValueError for what cannot be sent."""
    text = value.strip()
    if not text or not text.isprintable():
        raise ValueError(f"{name} is empty or holds characters that cannot be sent")
    return text


def _one_of_several(name: str, value: str) -> str:
    """Return `_plain(name, value)`; raises ValueError for what would be read as several."""
    if "|" in value:
        raise ValueError(f"{name} holds a |")
    return _plain(name, value)


def _several(values: Iterable[str]) -> list[str]:
    if isinstance(values, str):
        raise TypeError("a list of texts, not one text")
    return list(values)


def _passes(
    entry: HistoryEntry, *, service_id: str, state: State | None, since: date | None, until: date | None
) -> bool:
    """Whether an entry of the history is one that was asked for."""
    day = entry.created_at.date() if entry.created_at else None
    return (
        (not service_id or _bare(entry.service_id) == _bare(service_id))
        and (state is None or entry.state is state)
        and (since is None or day is None or day >= since)
        and (until is None or day is None or day <= until)
    )


def _bare(service_id: str) -> str:
    """Return a service's id without its server: `"97"` for `"02.97"`."""
    return service_id.rpartition(".")[2]
