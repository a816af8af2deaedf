"""The API's endpoints: one request in, one reply out, with the faults before, in and after the answer."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from functools import partial
from itertools import islice
from typing import Any

from sandbox import messages, payloads
from sandbox.books import EXPIRED, RECEIVED, WAITING, Attempt, Rental
from sandbox.catalog import EXTRA_NETWORKS, NETWORKS, draw
from sandbox.http_wire import HTML, JSON, Reply, Request
from sandbox.payloads import Snapshot, Style
from sandbox.rules import Rules
from sandbox.settings import Refused

NUMBER_TAKING = ("rent", "rephone")
_SHOWS = ("balance", "networks", "service", "code", "history")
_PAGE = """<!DOCTYPE html>
<html><head><title>{0}</title></head><body><center>
<h1>{0}</h1></center><hr><center>nginx</center></body></html>
"""
_MAINTENANCE = _PAGE.format("Hệ thống đang bảo trì, vui lòng quay lại sau ít phút")
_PHP_WARNING = (
    "<br />\n<b>Warning</b>:  Undefined array key 1 in <b>/home/thuesim/api/index.php</b> on line <b>97</b><br />\n"
)
_UNKNOWN_CODE = 97
_UNKNOWN_STATUS = 7


def endpoint_of(request: Request) -> str | None:
    """The endpoint that a request is for, by the names of `faults.ENDPOINTS`; None where there is none."""
    path = request.path.strip("/")
    if path == "api":
        show = request.query.get("show", "")
        return show if show in _SHOWS else None
    if path.startswith("audio/") or re.fullmatch(r"\d+\.wav", path):
        return "audio"
    return {"api/register-service": "rent", "api/rephone": "rephone"}.get(path)


class Endpoints:
    """Answers requests by the rules, in the style that the settings and the faults ask for.

    `wait` sleeps for so many seconds; it returns early when the stand-in stops.
    """

    def __init__(self, rules: Rules, wait: Callable[[float], object]) -> None:
        self._rules = rules
        self._faults = rules.faults
        self._wait = wait
        self._answered = 0
        self._readers: dict[str, Callable[[Request, Style, str], dict[str, Any]]] = {
            "balance": self._balance,
            "networks": self._networks,
            "service": self._services,
            "code": self._code,
            "history": self._history,
        }

    def answer(self, request: Request) -> tuple[Reply, Attempt | None]:
        """The reply; where a number is asked for, also the attempt to close once the reply was sent."""
        token = request.query.get("token", "")
        endpoint = endpoint_of(request)
        if endpoint is None:
            return self._elsewhere(request, token), None
        self._count(request, endpoint, token)
        attempt = None
        if endpoint in NUMBER_TAKING:
            query = {name: value for name, value in request.query.items() if name != "token"}
            attempt = self._rules.open_attempt(endpoint, token, query, request.monotonic)
        instead = self._instead_of_acting(endpoint, token)
        if instead:
            return instead, attempt
        reply = self._audio(request) if endpoint == "audio" else self._json_reply(request, endpoint, token, attempt)
        return self._lost_or_slow(reply, endpoint, token), attempt

    def _count(self, request: Request, endpoint: str, token: str) -> None:
        about = request.query.get("ID", "")
        with self._rules.transaction() as now:
            self._rules.books.count_call(token, endpoint, about, now, request.monotonic)

    def _elsewhere(self, request: Request, token: str) -> Reply:
        if request.path == "/_moved/":
            self._count(request, "moved", token)
            return Reply(b'{"status_code":200,"success":true,"message":"successful","data":{"balance":1}}')
        if request.path.strip("/") == "api":
            return Reply(payloads.to_json(payloads.refusal(Style("A"), "error")).encode())
        return Reply(_PAGE.format("404 Not Found").encode(), 404, HTML)

    # Faults around an answer.

    def _instead_of_acting(self, endpoint: str, token: str) -> Reply | None:
        """The reply of a fault that keeps the request from the rules."""
        fires = partial(self._faults.fires, endpoint=endpoint, token=token)
        value = partial(self._faults.value, endpoint=endpoint, token=token)
        if (milliseconds := value("slow")) is not None:
            self._wait(milliseconds / 1000)
        if fires("reset-before"):
            return Reply(send="reset", fault="reset-before")
        if fires("close-before"):
            return Reply(send="nothing", fault="close-before")
        if (seconds := value("hold-before")) is not None:
            return Reply(send="nothing", hold=seconds, fault="hold-before")
        if (status := value("http-500")) is not None:
            return Reply(_PAGE.format(f"{status:g} Server Error").encode(), int(status), HTML, fault="http-500")
        if fires("maintenance"):
            return Reply(_MAINTENANCE.encode(), 200, HTML, fault="maintenance")
        if fires("redirect"):
            return Reply(b"", 302, HTML, {"Location": "/_moved/"}, fault="redirect")
        return None

    def _lost_or_slow(self, reply: Reply, endpoint: str, token: str) -> Reply:
        """The reply after the faults that strike when the request has been acted on."""
        fires = partial(self._faults.fires, endpoint=endpoint, token=token)
        value = partial(self._faults.value, endpoint=endpoint, token=token)
        if (seconds := value("lost-hold")) is not None:
            return Reply(send="nothing", hold=seconds, fault="lost-hold")
        if fires("lost-reset"):
            return Reply(send="reset", fault="lost-reset")
        if fires("lost-close"):
            return Reply(send="nothing", fault="lost-close")
        if (status := value("lost-502")) is not None:
            return Reply(_PAGE.format(f"{status:g} Bad Gateway").encode(), int(status), HTML, fault="lost-502")
        if fires("lost-cut"):
            return replace(reply, body=reply.body[: len(reply.body) // 2], fault="lost-cut")
        if fires("lost-midway"):
            return replace(reply, send="half", fault="lost-midway")
        if fires("lost-empty"):
            return replace(reply, body=b"", fault="lost-empty")
        if (milliseconds := value("slow-reply")) is not None:
            reply = replace(reply, hold=milliseconds / 1000)
        if (milliseconds := value("drip")) is not None:
            reply = replace(reply, drip=milliseconds / 1000)
        if (megabytes := value("huge")) is not None:
            reply = replace(reply, padding=int(megabytes * 1_000_000))
        return reply

    # The JSON of an answer.

    def _json_reply(self, request: Request, endpoint: str, token: str, attempt: Attempt | None) -> Reply:
        fires = partial(self._faults.fires, endpoint=endpoint, token=token)
        self._answered += 1
        rng = draw(self._rules.settings.seed, "noise", self._answered)
        style = self._style(endpoint, token)
        status, fault = 200, ""
        try:
            if attempt:
                answer, fault = self._take_number(attempt, style)
            else:
                answer = self._read(request, endpoint, style, token)
        except Refused as refused:
            answer = payloads.refusal(style, refused.reason, **refused.values)
            code = payloads.REFUSALS[refused.reason][0]
            if fires("http-errors"):
                status = code if code > 0 else 400
            if fires("unknown-code"):
                answer[_code_key(style)] = _UNKNOWN_CODE
        if fires("unknown-fields"):
            answer |= {"trace_id": f"{rng.getrandbits(64):016x}", "server": {"node": 3, "took": 0.0123}, "ads": []}
        body = payloads.render(style, answer, rng).encode()
        return replace(self._wrapped(body, endpoint, token), status=status, fault=fault)

    def _style(self, endpoint: str, token: str) -> Style:
        settings = self._rules.settings
        rng = draw(settings.seed, "style", endpoint, self._answered)
        forms: dict[str, object] = {}
        for fault, form in (
            ("key-case", {"keys": "random"}),
            ("escaped-unicode", {"ascii": True}),
            ("no-accents", {"accents": False}),
            ("id-drop-zero", {"drop_zero": True}),
            ("id-as-string", {"ids": "full-text"}),
            ("id-bare", {"ids": "short"}),
            ("phone-forms", {"phone": rng.choice(("space", "bare", "number", "84"))}),
            ("numbers-as-strings", {"numbers": "string"}),
            ("booleans-as-strings", {"booleans": "string"}),
            ("seven-digits", {"digits": 7}),
        ):
            if self._faults.fires(fault, endpoint, token):
                forms |= form
        return payloads.change(payloads.choose_style(settings.envelope, endpoint, rng), **forms)

    def _wrapped(self, body: bytes, endpoint: str, token: str) -> Reply:
        fires = partial(self._faults.fires, endpoint=endpoint, token=token)
        if fires("white-space"):
            body = b"\r\n\n  \t" + body + b"\n\n"
        if fires("php-warning"):
            body = _PHP_WARNING.encode() + body
        if fires("bom"):
            body = b"\xef\xbb\xbf" + body
        content_type = HTML if fires("wrong-content-type") else JSON
        if fires("wrong-charset"):
            content_type = "application/json; charset=ISO-8859-1"
        return Reply(body, content_type=content_type)

    # The endpoints.

    def _take_number(self, attempt: Attempt, style: Style) -> tuple[dict[str, Any], str]:
        """The answer to a number-taking request, and the fault that lost its number. Raises Refused."""
        endpoint = attempt.endpoint
        rental, balance = self._rules.take(attempt)
        self._rules.overtake_reply(rental)
        payload: dict[str, object] | None = None
        fault = "lost-no-number" if self._faults.fires("lost-no-number", endpoint, attempt.token) else ""
        if not fault:
            payload = payloads.rent_payload(style, rental, balance, self._printed_time(rental, endpoint))
        text = f"Tạo yêu cầu {rental.service_name} thành công !"
        return payloads.success(style, endpoint, payload, text, balance), fault

    def _read(self, request: Request, endpoint: str, style: Style, token: str) -> dict[str, Any]:
        """The answer to a request that takes no number. Raises Refused."""
        with self._rules.transaction():
            self._rules.account(token)
        for reason in ("invalid-token", "error"):
            if self._faults.fires(reason, endpoint, token):
                raise Refused(reason)
        return self._readers[endpoint](request, style, token)

    def _balance(self, _request: Request, style: Style, token: str) -> dict[str, Any]:
        balance = payloads.number(style, self._rules.balance(token))
        return payloads.success(style, "balance", {"balance": balance})

    def _networks(self, _request: Request, style: Style, token: str) -> dict[str, Any]:
        has_extra = self._faults.fires("extra-networks", "networks", token)
        networks = NETWORKS + EXTRA_NETWORKS if has_extra else NETWORKS
        rows = [payloads.network_row(network.id, network.name) for network in networks]
        return payloads.success(style, "networks", rows)

    def _services(self, _request: Request, style: Style, token: str) -> dict[str, Any]:
        lifetime = self._rules.settings.lifetime
        short = self._faults.fires("services-short", "service", token)
        services = [] if self._faults.fires("services-empty", "service", token) else self._rules.services()
        rows = []
        for service in services:
            seconds = service.lifetime if lifetime is None else max(1, round(lifetime))
            rows.append(payloads.service_row(style, service, seconds, short))
        return payloads.success(style, "service", rows)

    def _code(self, request: Request, style: Style, token: str) -> dict[str, Any]:
        fires = partial(self._faults.fires, endpoint="code", token=token)
        value = partial(self._faults.value, endpoint="code", token=token)
        with self._rules.transaction() as now:
            rental = self._rental_of(token, request.query.get("ID", ""))
            wrong_for = value("code-wrong-session")
            if wrong_for is not None and now - rental.created < wrong_for:
                raise Refused("unknown-session")
            lag = value("code-lag") or 0.0
            snapshot = self._snapshot(rental, max(now - lag, rental.created), "code")
            status = snapshot.status
            if status == WAITING and fires("code-says-expired"):
                status = EXPIRED
            if status == WAITING and fires("unknown-status"):
                status = _UNKNOWN_STATUS
            answer = payloads.code_answer(style, snapshot, status)
            if status not in (RECEIVED, EXPIRED) and fires("unknown-code"):
                answer[_code_key(style)] = _UNKNOWN_CODE
            return answer

    def _rental_of(self, token: str, rental_id: str) -> Rental:
        number, _, sv = rental_id.partition(".")
        rental = self._rules.books.rentals.get(int(number)) if number.isdecimal() else None
        # An id that PHP printed without its last zero is accepted in that form.
        if rental is None or rental.token != token or (sv and sv.rstrip("0") != rental.sv.rstrip("0")):
            raise Refused("unknown-session")
        return rental

    def _snapshot(self, rental: Rental, at: float, endpoint: str) -> Snapshot:
        arrived = rental.arrived(at)
        message = arrived[-1] if arrived else None
        audio = self._rules.audio_url(rental, message)
        return Snapshot(rental, rental.status(at), message, audio, self._printed_time(rental, endpoint))

    def _printed_time(self, rental: Rental, endpoint: str) -> float:
        skew = self._faults.value("clock-skew", endpoint, rental.token) or 0.0
        return rental.created + self._rules.skew + skew

    def _history(self, request: Request, style: Style, token: str) -> dict[str, Any]:
        fires = partial(self._faults.fires, endpoint="history", token=token)
        with self._rules.transaction() as now:
            snapshots = self._newest_first(request.query, token, now)
        if fires("unknown-status"):
            snapshots = [replace(one, status=_UNKNOWN_STATUS) if one.status == WAITING else one for one in snapshots]
        if fires("history-oldest-first"):
            snapshots.reverse()
        if fires("history-shuffled"):
            draw(self._rules.settings.seed, "shuffle", self._answered).shuffle(snapshots)
        id_form = "short" if style.envelope == "A" else "full"
        if fires("history-full-id"):
            id_form, style = "full", payloads.change(style, ids="page")
        if fires("history-bare-id"):
            id_form, style = "short", payloads.change(style, ids="page")
        rows = [payloads.history_row(style, snapshot, id_form, payloads.boolean_text) for snapshot in snapshots]
        return payloads.success(style, "history", rows)

    def _newest_first(self, query: dict[str, str], token: str, now: float) -> list[Snapshot]:
        fires = partial(self._faults.fires, endpoint="history", token=token)
        value = partial(self._faults.value, endpoint="history", token=token)
        at = now - (value("history-lag") or 0.0)
        filters = {} if fires("history-ignores-filters") else query
        limit = self._rules.settings.history_limit
        if filters.get("limit", "").isdecimal():
            limit = int(filters["limit"])
        if (rows := value("history-short")) is not None:
            limit = int(rows)
        rentals = (rental for rental in reversed(self._rules.books.rentals_of[token]) if rental.created <= at)
        without_recent = islice(rentals, int(value("history-omits-recent") or 0), None)
        matching = (rental for rental in without_recent if self._matches(rental, filters, at))
        return [self._snapshot(rental, at, "history") for rental in islice(matching, limit)]

    def _matches(self, rental: Rental, filters: dict[str, str], at: float) -> bool:
        service, status = filters.get("service", ""), filters.get("status", "")
        if service and service not in (str(rental.service_id), rental.service_key):
            return False
        if status and status != str(rental.status(at)):
            return False
        first, last = _date(filters.get("fromDate", "")), _date(filters.get("toDate", ""))
        day = payloads.in_vietnam(rental.created + self._rules.skew).date()
        return (first is None or day >= first) and (last is None or day <= last)

    def _audio(self, request: Request) -> Reply:
        if self._faults.fires("audio-html", "audio", None):
            return Reply(_MAINTENANCE.encode(), 200, HTML)
        file_name = re.fullmatch(r"(\d+)_\w*_(\d\d)[0-9a-f]+\.wav", request.query.get("01", ""))
        with self._rules.lock:
            rental = self._rules.books.rentals.get(int(file_name[1])) if file_name else None
            index = int(file_name[2]) if file_name else 0
            if rental is None or index >= len(rental.messages) or not rental.messages[index].call:
                return Reply(_PAGE.format("404 Not Found").encode(), 404, HTML)
            code = rental.messages[index].code or messages.code_in(rental.messages[index].text) or "0"
        return Reply(messages.spoken(code), content_type="audio/x-wav")


def _code_key(style: Style) -> str:
    return "status_code" if style.envelope == "A" else "ResponseCode"


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
