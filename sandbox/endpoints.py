"""One request of the API in, one reply out: the endpoints, and the faults around and on them."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Any

from sandbox import messages, payloads
from sandbox.books import RECEIVED, WAITING, Attempt, Rental
from sandbox.catalogue import EXTRA_NETWORKS, NETWORKS, draw
from sandbox.http_wire import HTML, JSON, Reply, Request
from sandbox.payloads import Snapshot, Style
from sandbox.rules import Rules
from sandbox.settings import Refused

TAKING = ("rent", "rephone")
_SHOWS = ("balance", "networks", "service", "code", "history")
_PAGE = """<!DOCTYPE html>
<html><head><title>{0}</title></head><body><center>
<h1>{0}</h1></center><hr><center>nginx</center></body></html>
"""
_MAINTENANCE = _PAGE.format("Hệ thống đang bảo trì, vui lòng quay lại sau ít phút")
_WARNING = (
    "<br />\n<b>Warning</b>:  Undefined array key 1 in <b>/home/thuesim/api/index.php</b> on line <b>97</b><br />\n"
)
_DIFFERENT_CODE = 97


def endpoint_of(request: Request) -> str | None:
    """Which endpoint a request is for, by the names of `faults.ENDPOINTS`; None where there is none."""
    path = request.path.strip("/")
    if path == "api":
        show = request.query.get("show", "")
        return show if show in _SHOWS else None
    if path.startswith("audio/") or re.fullmatch(r"\d+\.wav", path):
        return "audio"
    return {"api/register-service": "rent", "api/rephone": "rephone"}.get(path)


class Endpoints:
    """Answers the API's requests by the rules, in the style that settings and faults ask for."""

    def __init__(self, rules: Rules, wait: Callable[[float], object]) -> None:
        self._rules = rules
        self._wait = wait
        self._answered = 0
        self._answer_of: dict[str, Callable[[Request, Style, str], dict[str, Any]]] = {
            "balance": self._balance,
            "networks": self._networks,
            "service": self._services,
            "code": self._code,
            "history": self._history,
        }

    def answer(self, request: Request) -> tuple[Reply, Attempt | None]:
        """The reply, and the attempt to close once it was sent, where a number was asked for."""
        token = request.query.get("token", "")
        endpoint = endpoint_of(request)
        if endpoint is None:
            return self._elsewhere(request, token), None
        self._count(request, endpoint, token)
        attempt = None
        if endpoint in TAKING:
            asked = {name: value for name, value in request.query.items() if name != "token"}
            attempt = self._rules.open_attempt(endpoint, token, asked, request.monotonic)
        before = self._before(endpoint, token)
        if before:
            return before, attempt
        reply = self._audio(request) if endpoint == "audio" else self._json(request, endpoint, token, attempt)
        return self._after(reply, endpoint, token), attempt

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

    def _before(self, endpoint: str, token: str) -> Reply | None:
        def fires(name: str) -> float | None:
            return self._rules.faults.fires(name, endpoint, token)

        if (slow := fires("slow")) is not None:
            self._wait(slow / 1000)
        if fires("reset-before") is not None:
            return Reply(send="reset", fault="reset-before")
        if fires("close-before") is not None:
            return Reply(send="nothing", fault="close-before")
        if (hold := fires("hold-before")) is not None:
            return Reply(send="nothing", hold=hold, fault="hold-before")
        if (status := fires("http-500")) is not None:
            return Reply(_PAGE.format(f"{status:g} Server Error").encode(), int(status), HTML, fault="http-500")
        if fires("maintenance") is not None:
            return Reply(_MAINTENANCE.encode(), 200, HTML, fault="maintenance")
        if fires("redirect") is not None:
            return Reply(b"", 302, HTML, {"Location": "/_moved/"}, fault="redirect")
        return None

    def _after(self, reply: Reply, endpoint: str, token: str) -> Reply:
        def fires(name: str) -> float | None:
            return self._rules.faults.fires(name, endpoint, token)

        half = len(reply.body) // 2
        if (hold := fires("lost-hold")) is not None:
            return Reply(send="nothing", hold=hold, fault="lost-hold")
        if fires("lost-reset") is not None:
            return Reply(send="reset", fault="lost-reset")
        if fires("lost-close") is not None:
            return Reply(send="nothing", fault="lost-close")
        if (status := fires("lost-502")) is not None:
            return Reply(_PAGE.format(f"{status:g} Bad Gateway").encode(), int(status), HTML, fault="lost-502")
        if fires("lost-cut") is not None:
            return replace(reply, body=reply.body[:half], fault="lost-cut")
        if fires("lost-midway") is not None:
            return replace(reply, send="half", fault="lost-midway")
        if fires("lost-empty") is not None:
            return replace(reply, body=b"", fault="lost-empty")
        if (slow := fires("slow-reply")) is not None:
            reply = replace(reply, hold=slow / 1000)
        if (drip := fires("drip")) is not None:
            reply = replace(reply, drip=drip / 1000)
        if (size := fires("huge")) is not None:
            reply = replace(reply, padding=int(size * 1_000_000))
        return reply

    def _json(self, request: Request, endpoint: str, token: str, attempt: Attempt | None) -> Reply:
        """The JSON of an answer in the style of the moment."""
        self._answered += 1
        rng = draw(self._rules.settings.seed, "noise", self._answered)
        fires = self._rules.faults.fires
        style = self._style(endpoint, token)
        status, fault = 200, ""
        try:
            answer, fault = (
                self._taken(attempt, style) if attempt else (self._asked(request, endpoint, style, token), "")
            )
        except Refused as refused:
            answer = payloads.refusal(style, refused.reason, **refused.about)
            code = payloads.REFUSALS[refused.reason][0]
            if fires("http-errors", endpoint, token) is not None:
                status = code if code > 0 else 400
            if fires("unknown-code", endpoint, token) is not None:
                answer["status_code" if style.envelope == "A" else "ResponseCode"] = _DIFFERENT_CODE
        if fires("unknown-fields", endpoint, token) is not None:
            answer |= {"trace_id": f"{rng.getrandbits(64):016x}", "server": {"node": 3, "took": 0.0123}, "ads": []}
        body = payloads.render(style, answer, rng).encode()
        return replace(self._wrapped(body, endpoint, token), status=status, fault=fault)

    def _style(self, endpoint: str, token: str) -> Style:
        rules = self._rules
        rng = draw(rules.settings.seed, "style", endpoint, self._answered)
        forms: dict[str, object] = {}
        for fault, change in (
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
            if rules.faults.fires(fault, endpoint, token) is not None:
                forms |= change
        return payloads.change(payloads.choose_style(rules.settings.envelope, endpoint, rng), **forms)

    def _wrapped(self, body: bytes, endpoint: str, token: str) -> Reply:
        def fires(name: str) -> bool:
            return self._rules.faults.fires(name, endpoint, token) is not None

        if fires("white-space"):
            body = b"\r\n\n  \t" + body + b"\n\n"
        if fires("php-warning"):
            body = _WARNING.encode() + body
        if fires("bom"):
            body = b"\xef\xbb\xbf" + body
        content_type = HTML if fires("wrong-content-type") else JSON
        if fires("wrong-charset"):
            content_type = "application/json; charset=ISO-8859-1"
        return Reply(body, content_type=content_type)

    # The endpoints.

    def _taken(self, attempt: Attempt, style: Style) -> tuple[dict[str, Any], str]:
        rules, endpoint, token = self._rules, attempt.endpoint, attempt.token
        rental, balance = rules.take(attempt)
        rules.overtake_reply(rental)
        lost = rules.faults.fires("lost-no-number", endpoint, token) is not None
        payload = None if lost else payloads.rent_payload(style, rental, balance, self._printed(rental, endpoint))
        text = f"Tạo yêu cầu {rental.service_name} thành công !"
        return payloads.success(style, endpoint, payload, text, balance), "lost-no-number" if lost else ""

    def _asked(self, request: Request, endpoint: str, style: Style, token: str) -> dict[str, Any]:
        fires = self._rules.faults.fires
        with self._rules.transaction():
            self._rules.account(token)
        for reason in ("invalid-token", "error"):
            if fires(reason, endpoint, token) is not None:
                raise Refused(reason)
        return self._answer_of[endpoint](request, style, token)

    def _balance(self, _request: Request, style: Style, token: str) -> dict[str, Any]:
        balance = payloads.number(style, self._rules.balance(token))
        return payloads.success(style, "balance", {"balance": balance})

    def _networks(self, _request: Request, style: Style, token: str) -> dict[str, Any]:
        extra = self._rules.faults.fires("extra-networks", "networks", token) is not None
        rows = [payloads.network_row(network.id, network.name) for network in NETWORKS + EXTRA_NETWORKS * extra]
        return payloads.success(style, "networks", rows)

    def _services(self, _request: Request, style: Style, token: str) -> dict[str, Any]:
        settings, fires = self._rules.settings, self._rules.faults.fires
        short = fires("services-short", "service", token) is not None
        rows = []
        for service in () if fires("services-empty", "service", token) is not None else self._rules.services():
            seconds = service.lifetime if settings.lifetime is None else max(1, round(settings.lifetime))
            rows.append(payloads.service_row(style, service, seconds, short))
        return payloads.success(style, "service", rows)

    def _code(self, request: Request, style: Style, token: str) -> dict[str, Any]:
        fires = self._rules.faults.fires
        with self._rules.transaction() as now:
            rental = self._mine(request.query.get("ID", ""), token)
            wrong = fires("code-wrong-session", "code", token)
            if wrong is not None and now - rental.created < wrong:
                raise Refused("unknown-session")
            lag = fires("code-lag", "code", token) or 0.0
            seen = self._seen(rental, max(now - lag, rental.created), "code")
            status = seen.status
            if status == WAITING and fires("code-says-expired", "code", token) is not None:
                status = 2
            if status == WAITING and fires("unknown-status", "code", token) is not None:
                status = 7
            answer = payloads.code_answer(style, seen, status)
            if status not in (RECEIVED, 2) and fires("unknown-code", "code", token) is not None:
                answer["status_code" if style.envelope == "A" else "ResponseCode"] = _DIFFERENT_CODE
            return answer

    def _mine(self, rental_id: str, token: str) -> Rental:
        number, _, sv = rental_id.partition(".")
        rental = self._rules.books.rentals.get(int(number)) if number.isdecimal() else None
        # An id that PHP printed without its last zero is taken back the same way.
        if rental is None or rental.token != token or (sv and sv.rstrip("0") != rental.sv.rstrip("0")):
            raise Refused("unknown-session")
        return rental

    def _seen(self, rental: Rental, at: float, endpoint: str) -> Snapshot:
        arrived = rental.arrived(at)
        message = arrived[-1] if arrived else None
        audio = self._rules.audio_url(rental, message)
        return Snapshot(rental, rental.status(at), message, audio, self._printed(rental, endpoint))

    def _printed(self, rental: Rental, endpoint: str) -> float:
        skew = self._rules.faults.fires("clock-skew", endpoint, rental.token) or 0.0
        return rental.created + self._rules.skew + skew

    def _history(self, request: Request, style: Style, token: str) -> dict[str, Any]:
        def fires(name: str) -> float | None:
            return self._rules.faults.fires(name, "history", token)

        with self._rules.transaction() as now:
            at = now - (fires("history-lag") or 0.0)
            limit, filters = self._rules.settings.history_limit, request.query
            if fires("history-ignores-filters") is not None:
                filters = {}
            if filters.get("limit", "").isdecimal():
                limit = int(filters["limit"])
            if (short := fires("history-short")) is not None:
                limit = int(short)
            known = (rental for rental in reversed(self._rules.books.rentals_of[token]) if rental.created <= at)
            rentals = islice(known, int(fires("history-omits-recent") or 0), None)
            chosen = islice((rental for rental in rentals if self._passes(rental, filters, at)), limit)
            seen = [self._seen(rental, at, "history") for rental in chosen]
        if fires("unknown-status") is not None:
            seen = [replace(one, status=7) if one.status == WAITING else one for one in seen]
        if fires("history-oldest-first") is not None:
            seen.reverse()
        if fires("history-shuffled") is not None:
            draw(self._rules.settings.seed, "shuffle", self._answered).shuffle(seen)
        id_form = "short" if style.envelope == "A" else "full"
        if fires("history-full-id") is not None:
            id_form, style = "full", payloads.change(style, ids="page")
        if fires("history-bare-id") is not None:
            id_form, style = "short", payloads.change(style, ids="page")
        rows = [payloads.history_row(style, one, id_form, payloads.word) for one in seen]
        return payloads.success(style, "history", rows)

    def _passes(self, rental: Rental, filters: dict[str, str], at: float) -> bool:
        service, status = filters.get("service", ""), filters.get("status", "")
        if service and service not in (str(rental.service_id), f"{rental.sv}.{rental.service_id}"):
            return False
        if status and status != str(rental.status(at)):
            return False
        since, until = _day(filters.get("fromDate", "")), _day(filters.get("toDate", ""))
        if since is None and until is None:
            return True
        day = datetime.fromtimestamp(rental.created + self._rules.skew, UTC) + timedelta(hours=7)
        return (since is None or day.date() >= since) and (until is None or day.date() <= until)

    def _audio(self, request: Request) -> Reply:
        if self._rules.faults.fires("audio-html", "audio", None) is not None:
            return Reply(_MAINTENANCE.encode(), 200, HTML)
        found = re.fullmatch(r"(\d+)_\w*_(\d\d)[0-9a-f]+\.wav", request.query.get("01", ""))
        with self._rules.lock:
            rental = self._rules.books.rentals.get(int(found[1])) if found else None
            index = int(found[2]) if found else 0
            if rental is None or index >= len(rental.messages) or not rental.messages[index].call:
                return Reply(_PAGE.format("404 Not Found").encode(), 404, HTML)
            code = rental.messages[index].code or messages.code_in(rental.messages[index].text) or "0"
        return Reply(messages.spoken(code), content_type="audio/x-wav")


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
