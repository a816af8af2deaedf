"""A client of thuesim.xyz.

    >>> from thuesim import Client
    >>> Client(token).rent("02.97", networks=["VIETTEL"])

One client may be used by several threads at once. Faults are those of `errors.py`.
"""

import contextlib
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
from .audio import AUDIO_LIMIT, Audio, audio_address, recognised
from .decoding import VIETNAM
from .drift import Drift, DriftSink, tell
from .errors import ThueSimError
from .redaction import ELLIPSIS, Secret
from .replies import Balance, CodeReply, HistoryEntry, Network, Rented, Service, State, rental_key
from .transport import Adapter, Attempt, attempting

BODY_LIMIT: Final = 5 * 1024 * 1024
HISTORY_LIMIT: Final = 20 * 1024 * 1024
_CHUNK: Final = 64 * 1024
_HEADERS: Final = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "thuesim-desk"}
_STATUS: Final = {State.WAITING: "0", State.RECEIVED: "1", State.EXPIRED: "2"}
_T = TypeVar("_T", covariant=True)


class _Parser(Protocol[_T]):
    def __call__(self, body: bytes, *, on_drift: DriftSink | None) -> _T: ...


@dataclass(frozen=True, slots=True)
class Reply:
    """What came over the wire: HTTP status, body without the token, and whether a redirect repeats our request."""

    status: int
    body: bytes = field(repr=False)  # messages are nobody's business in a traceback
    repeats: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """One call as it ended: `balance`, `register-service`, …, how long it took, and the fault if it had one."""

    endpoint: str
    seconds: float
    fault: ThueSimError | None


class Client:
    """The calls of the API page, each answered by a typed value or a typed fault.

    `timeout` (seconds) bounds the whole of a call, slow drips and name look-up included. `on_drift` is told of every
    way in which a reply differs from the reference, `on_call` of every call to the API; one that raises is
    logged and changes nothing.
    """

    def __init__(
        self,
        token: str,
        base_url: str = "https://thuesim.xyz",
        *,
        timeout: float = 20.0,
        on_drift: Callable[[Drift], None] | None = None,
        on_call: Callable[[Call], None] | None = None,
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
        self._on_drift, self._on_call = on_drift, on_call
        self._kept, self._owner = Adapter(), os.getpid()

    def __repr__(self) -> str:
        return f"Client(token={self._token!r}, base_url={self.base_url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the kept connections. The client can be used again afterwards."""
        self._kept.close()

    def balance(self) -> Balance:
        """Return what is left on the account (section 0)."""
        return self._ask("/api/", {"show": "balance"}, replies.parse_balance)

    def networks(self) -> list[Network]:
        """Return the carriers (section 1)."""
        return self._ask("/api/", {"show": "networks"}, replies.parse_networks)

    def services(self) -> list[Service]:
        """Return the services with prices and waiting times (section 2)."""
        return self._ask("/api/", {"show": "service"}, replies.parse_services)

    def rent(
        self,
        service: str,
        *,
        networks: Iterable[str] = (),
        prefixes: Iterable[str] = (),
        exclude_prefixes: Iterable[str] = (),
    ) -> Rented:
        """Take a number (section 3). `service` is a service's `key`: `"02.97"`, or `"97"`.

        `networks` go by name; prefixes with or without their leading 0. Takes a number and costs money: see the two
        families in `errors.py` before ever calling it again.
        """
        params = {"serviceId": _plain("service", service)}
        for name, values in (
            ("carries", [_plain("network", network) for network in _several(networks)]),
            ("yPrefix", [phones.prefix(wanted) for wanted in _several(prefixes)]),
            ("nPrefix", [phones.prefix(unwanted) for unwanted in _several(exclude_prefixes)]),
        ):
            if values:
                # Several are separated and ended by |, one stands bare: both as the page prints them.
                params[name] = values[0] if len(values) == 1 else "|".join(values) + "|"
        return self._ask("/api/register-service/", params, replies.parse_rented, takes_number=True)

    def rent_again(self, *, phone: str, service_id: str, earlier_id: str, sv: str) -> Rented:
        """Take a number that was ours before (section 3.1, `rephone`).

        `phone` in E.164; `service_id` bare (`"97"`); `earlier_id` the earlier rental's id in any form; `sv` the
        service's server (`"02"`, or `""`). Takes a number, as `rent` does.
        """
        key = _plain("earlier_id", rental_key(earlier_id))
        params = {
            "phone": phones.national(phones.to_e164(phone)),
            "serviceId": _plain("service_id", service_id),
            # Put together anew: an id that arrived as 88237016.1 may have lost the zero of its server's 10.
            "thuesim1": f"{key}.{_plain('sv', sv)}" if sv else key,
        }

        def parse(body: bytes, *, on_drift: DriftSink | None) -> Rented:
            return replies.parse_rented(body, endpoint="rent_again", on_drift=on_drift)

        return self._ask("/api/rephone/", params, parse, takes_number=True)

    def code(self, id: str) -> CodeReply:
        """Ask whether a message has come (section 4); `id` exactly as it was given."""
        return self._ask("/api/", {"show": "code", "ID": id}, replies.parse_code)

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

        The filters are sent and applied here again, since the upstream may ignore them. `since` and `until` are days in
        Vietnam, both included; an entry without a known time passes them.
        """
        params = {"show": "history"}
        if service_id:
            params["service"] = service_id
        if state is not None:
            params["status"] = _STATUS[state]
        if limit is not None:
            params["limit"] = str(limit)
        if since is not None:
            params["fromDate"] = since.strftime("%Y-%m-%d")
        if until is not None:
            params["toDate"] = until.strftime("%Y-%m-%d")
        entries = [
            entry
            for entry in self._ask("/api/", params, replies.parse_history, limit=HISTORY_LIMIT)
            if (not service_id or _bare(entry.service_id) == _bare(service_id))
            and (state is None or entry.state is state)
            and (since is None or entry.created_at is None or entry.created_at.date() >= since)
            and (until is None or entry.created_at is None or entry.created_at.date() <= until)
        ]
        if limit is None or len(entries) <= limit:
            return entries
        unknown = datetime.max.replace(tzinfo=VIETNAM)  # cut nothing away for having no time
        return sorted(entries, key=lambda entry: entry.created_at or unknown, reverse=True)[:limit]

    def audio(self, url: str) -> Audio:
        """Fetch a call's recording, at most 10 MB, from the upstream's own host alone.

        Raises AudioRefused for any other address, Gibberish for what is no recording.
        """
        address = Secret(audio_address(url, self.base_url), tail=False)
        reply = self._call(address, {}, limit=AUDIO_LIMIT)
        if fault := _http_fault(reply):
            raise fault
        return recognised(reply.body)

    def _ask(
        self,
        path: str,
        params: dict[str, str],
        parse: _Parser[_T],
        *,
        takes_number: bool = False,
        limit: int = BODY_LIMIT,
    ) -> _T:
        """Call and parse, and tell `on_call` how it went."""
        endpoint = params.get("show") or path.strip("/")
        started = time.monotonic()
        try:
            value = self._answer(path, params, parse, takes_number, limit)
        except ThueSimError as fault:
            self._ended(Call(endpoint, time.monotonic() - started, fault))
            raise
        self._ended(Call(endpoint, time.monotonic() - started, None))
        return value

    def _ended(self, call: Call) -> None:
        if self._on_call is not None:
            tell(self._on_call, call)

    def _answer(self, path: str, params: dict[str, str], parse: _Parser[_T], takes_number: bool, limit: int) -> _T:
        """Call and parse. A reply of ThueSim's own is believed whatever the HTTP status; else the status tells."""
        reply = self._call(path, params, takes_number=takes_number, limit=limit)
        drifts: list[Drift] = []
        try:
            value = parse(reply.body, on_drift=drifts.append)
        except ThueSimError as error:
            fault = error
        else:
            self._tell(drifts)
            return value
        status = _http_fault(reply)
        if status is not None and type(fault) is errors.Gibberish:
            fault, drifts = status, []
        elif isinstance(status, errors.OutcomeUnknown) and type(fault) is errors.UpstreamError:
            fault = status  # "there was an error" under a 5xx is nothing certain
        self._tell(drifts)
        raise fault.with_traceback(None) from None

    def _tell(self, drifts: list[Drift]) -> None:
        for drift in drifts:
            if self._on_drift is not None:
                tell(self._on_drift, drift)

    def _call(
        self,
        path: str | Secret,
        params: dict[str, str],
        *,
        takes_number: bool = False,
        limit: int = BODY_LIMIT,
    ) -> Reply:
        """Send one GET and return the reply: the one door to the network.

        `path` is one of the API's, or the whole address of a recording as a Secret, which goes without the token. The
        faults are raised here, away from the frames and exceptions of requests, all of which hold the address.
        """
        outcome = self._exchange(path, params, takes_number, limit)
        if isinstance(outcome, ThueSimError):
            raise outcome
        return outcome

    def _exchange(
        self, path: str | Secret, params: dict[str, str], takes_number: bool, limit: int
    ) -> Reply | ThueSimError:
        attempt = Attempt(self.timeout)
        try:
            with attempting(attempt), self._connections(takes_number) as adapter:
                return self._receive(adapter, self._request(path, params, takes_number), limit)
        except (
            requests.RequestException,
            urllib3.exceptions.HTTPError,
            http.client.HTTPException,
            OSError,
            ValueError,
        ) as error:
            return _network_fault(attempt, error)
        except BaseException as error:  # noqa: BLE001 - an interrupt from outside: let it go on without the frames below us
            raise error.with_traceback(None) from None

    @contextlib.contextmanager
    def _connections(self, takes_number: bool) -> Iterator[Adapter]:
        """Yield the adapter to send with.

        Questions share kept-alive connections. A call that takes a number gets a new connection of its own: on a kept
        one that the server is just closing, nobody could tell whether the request was read. Nothing is ever sent twice.
        """
        if takes_number:
            with contextlib.closing(Adapter()) as adapter:
                yield adapter
            return
        if self._owner != os.getpid():  # forked: the parent's connections would mix up the answers
            self._kept, self._owner = Adapter(), os.getpid()
        yield self._kept

    def _request(self, path: str | Secret, params: dict[str, str], takes_number: bool) -> requests.PreparedRequest:
        headers = _HEADERS | ({"Connection": "close"} if takes_number else {})
        if isinstance(path, Secret):
            return requests.Request("GET", path.reveal(), headers=headers).prepare()
        query = params | {"token": self._token.reveal()}
        return requests.Request("GET", self.base_url + path, params=query, headers=headers).prepare()

    def _receive(self, adapter: Adapter, request: requests.PreparedRequest, limit: int) -> Reply | ThueSimError:
        """Send and read, at most `limit` bytes of body. Certificates are checked against certifi's alone."""
        response = adapter.send(request, stream=True, timeout=self.timeout, verify=True)
        body = bytearray()
        try:
            for chunk in response.raw.stream(_CHUNK, decode_content=True):
                body += chunk
                if len(body) > limit:
                    return errors.Gibberish(f"the answer is larger than {limit} bytes", code=str(response.status_code))
        finally:
            response.close()
        return Reply(
            status=response.status_code,
            body=self._without_token(bytes(body)),
            repeats=_repeats(str(request.url), response.headers.get("Location", "")),
        )

    def _without_token(self, body: bytes) -> bytes:
        """Return the reply without our token, which a server may echo anywhere."""
        token = self._token.reveal()
        if len(token) < 8 or token.encode().lower() not in body.lower():
            return body
        return re.sub(re.escape(token.encode()), repr(self._token).encode(), body, flags=re.IGNORECASE)


def _network_fault(attempt: Attempt, error: BaseException) -> ThueSimError:
    """Return the fault for a call without a reply; its text is ours, since theirs hold the address."""
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


def _http_fault(reply: Reply) -> ThueSimError | None:
    """Return what the HTTP status says where the body says nothing; None for 2xx."""
    status, code = reply.status, str(reply.status)
    said = f"HTTP {code}"
    if 200 <= status < 300:
        return None
    if 300 <= status < 400:
        # A program that had taken the number would not ask for the very same request elsewhere; one that sends us to
        # a login or error page may have.
        return errors.Redirected(said, code=code) if reply.repeats else errors.RedirectedElsewhere(said, code=code)
    if status == 401:
        return errors.InvalidToken(said, code=code)
    if status == 408:
        return errors.TimedOut(said, code=code)
    if status == 429:
        words = reply.body[:1000].decode("utf-8", "replace")
        reached = errors.PendingLimitReached in errors.by_text(words)
        return errors.refusal(words, code) if reached else errors.TooSoon(said, code=code)
    if 400 <= status < 500:
        return errors.Rejected(said, code=code)
    return errors.ServerError(said, code=code)


def _repeats(url: str, location: str) -> bool:
    """Whether a redirect leads to the same path with the same query."""
    try:
        here, there = urlsplit(url), urlsplit(urljoin(url, location))
        return bool(location) and (here.path, parse_qs(here.query)) == (there.path, parse_qs(there.query))
    except ValueError:
        return False


def _plain(name: str, value: str) -> str:
    """Return a parameter without white space around it; raises ValueError for what would change the query."""
    text = value.strip()
    if not text or not text.isprintable() or "|" in text:
        raise ValueError(f"{name} is empty or holds characters that cannot be sent")
    return text


def _several(values: Iterable[str]) -> list[str]:
    if isinstance(values, str):
        raise TypeError("a list of texts, not one text")
    return list(values)


def _bare(service_id: str) -> str:
    return service_id.rpartition(".")[2]
