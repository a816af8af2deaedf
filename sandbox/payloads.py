"""The JSON of answers: the three envelopes, the forms of ids, phones, numbers and times, and numbers as PHP prints them.

Where a form is called "page", it is the one that ThueSim's API page prints at that place. Sections are those of that page.
"""

import json
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from sandbox.books import EXPIRED, RECEIVED, Message, Rental
from sandbox.catalog import Service

ENVELOPES = ("page", "A", "B", "C", "mixed")
PAGE_ENVELOPES = {
    "balance": "A",
    "networks": "A",
    "service": "B",
    "rent": "B",
    "rephone": "B",
    "code": "C",
    "history": "A",
}
STATUS_TEXTS = {0: "Đợi tin nhắn", 1: "Hoàn thành", 2: "Hết hạn"}
REFUSALS = {
    "invalid-token": (401, "Lỗi xác thực"),
    "limit-reached": (429, "Limit exceeded, tối đa {limit} số chờ tin nhắn"),
    "error": (-1, "Có lỗi"),
    "bad-request": (-1, "Tham số không hợp lệ"),
    # The API page gives this refusal neither a code nor a text; with -1 a client has to read the text.
    "too-soon": (-1, "Bạn lấy số quá nhanh, vui lòng chờ {gap:g}s"),
    "insufficient-balance": (-2, "Số dư tài khoản không đủ"),
    "unknown-session": (-2, "Mã phiên không đúng"),
    "out-of-stock": (-3, "Kho số đang tạm hết, vui lòng liên hệ hỗ trợ"),
    "service-suspended": (-4, "Ứng dụng không tồn tại hoặc đang tạm ngưng"),
}
_VIETNAM_OFFSET = timedelta(hours=7)
# A private-use letter before the digits that `to_json` takes out of their quotes.
_UNQUOTED = "\ue000"
_QUOTED_DIGITS = re.compile(r'"(?:\ue000|\\ue000)([0-9.]+)"')


def unquoted(digits: str) -> str:
    """Digits that `to_json` prints as a number, exactly as they stand: a float would lose a zero or a digit."""
    return _UNQUOTED + digits


@dataclass(frozen=True)
class Style:
    """The forms of one answer; `digits` are those of a time's fraction, None for the page's own."""

    envelope: str
    keys: str = "page"
    ids: str = "page"
    drop_zero: bool = False
    phone: str = "page"
    numbers: str = "page"
    booleans: str = "page"
    digits: int | None = None
    ascii: bool = False
    accents: bool = True
    empty_result: bool = False


def choose_style(envelope: str, endpoint: str, rng: Random) -> Style:
    """The style of an answer in one of `ENVELOPES`; "mixed" draws every form."""
    if envelope == "page":
        return Style(PAGE_ENVELOPES[endpoint])
    if envelope != "mixed":
        return Style(envelope)
    return Style(
        envelope=rng.choice("ABC"),
        keys=rng.choice(("page", "page", "lower", "upper", "title")),
        ids=rng.choice(("page", "full", "full-text")),
        phone=rng.choice(("page", "space", "bare", "number", "84")),
        numbers=rng.choice(("page", "string", "number")),
        booleans=rng.choice(("page", "string", "json")),
        digits=rng.choice((None, 0, 2, 7)),
        ascii=rng.random() < 0.3,
        empty_result=rng.random() < 0.5,
    )


def success(style: Style, endpoint: str, payload: Any, message: str = "successful", balance: int = 0) -> dict[str, Any]:
    """Wrap a payload in the envelope of the style."""
    if style.envelope == "A":
        return {"status_code": 200, "success": True, "message": message, "data": payload}
    if style.envelope == "C":
        return {"ResponseCode": 0, "Msg": "OK", "Result": payload}
    if endpoint in ("rent", "rephone"):
        return {"RequestLog": payload, "Balance": number(style, balance), "ResponseCode": 1, "Message": message}
    return {"ResponseCode": 1, "Data": payload}


def refusal(style: Style, reason: str, **values: object) -> dict[str, Any]:
    """A refusal in the envelope of the style; `reason` is a key of `REFUSALS`, `values` fill its text."""
    code, text = REFUSALS[reason]
    text = text.format(**values)
    if style.envelope == "A":
        return {"status_code": code, "success": False, "message": text}
    if style.envelope == "C":
        return {"ResponseCode": 3 if reason == "unknown-session" else code, "Msg": text}
    return {"ResponseCode": code, "Message": text}


def number(style: Style, value: int, page: Callable[[int], object] = int) -> object:
    """Money or a count; `page` makes the page's form."""
    if style.numbers == "page":
        return page(value)
    return str(value) if style.numbers == "string" else value


def boolean(style: Style, value: bool, page: Callable[[bool], object] = bool) -> object:
    """A boolean, JSON's own or as text; `page` makes the page's form."""
    if style.booleans == "page":
        return page(value)
    return boolean_text(value) if style.booleans == "string" else value


def boolean_text(value: bool) -> str:
    """`true` or `false` as text."""
    return "true" if value else "false"


def identity(style: Style, rental: Rental, page: str) -> object:
    """The rental's id with its SV ("full", "full-text") or without ("short", "short-text"), as a number or as text.

    `page` is the page's form.
    """
    form = page if style.ids == "page" else style.ids
    full_id = rental.id
    if style.drop_zero and rental.sv:
        full_id = full_id.rstrip("0")
    if form in ("full", "full-text"):
        return unquoted(full_id) if form == "full" else full_id
    return rental.number if form == "short" else str(rental.number)


def phone(style: Style, nine_digits: str, page: str) -> object:
    """The phone in one of its documented forms: "space", "bare", "number", "84"; `page` is the page's form."""
    form = page if style.phone == "page" else style.phone
    if form == "space":
        return f" 0{nine_digits}"
    if form == "84":
        return f"84{nine_digits}"
    return int(nine_digits) if form == "number" else nine_digits


def in_vietnam(at: float) -> datetime:
    """Unix seconds as a date and time on Vietnam's clocks."""
    return datetime.fromtimestamp(at, UTC) + _VIETNAM_OFFSET


def local_time(style: Style, at: float, digits: int) -> str:
    """Unix seconds as Vietnam's local time without a zone; `digits` of fraction unless the style has its own."""
    local = in_vietnam(at)
    digits = digits if style.digits is None else style.digits
    fraction = f"{local.microsecond:06d}0"[:digits]
    return local.strftime("%Y-%m-%dT%H:%M:%S") + (f".{fraction}" if digits else "")


def network_row(identifier: int, name: str) -> dict[str, object]:
    """A row of section 1."""
    return {"id": identifier, "name": name}


def service_row(style: Style, service: Service, seconds: int, short: bool) -> dict[str, object]:
    """A row of section 2: in B as the page's example has it, else as its description; `short` without SV and Time."""
    if style.envelope == "B" and not short:
        row: dict[str, object] = {"ID": service.id, "SV": service.sv, "SERVICE_NAME": service.name}
        row |= {"PRICE": number(style, service.price), "Time": str(seconds)}
        sv_key, time_key = "SV", "Time"
    else:
        row = {"id": service.id, "name": service.name, "price": number(style, service.price, str)}
        row |= {} if short else {"sv": service.sv, "time": str(seconds)}
        sv_key, time_key = "sv", "time"
    if not service.sv:
        row.pop(sv_key, None)
    if service.seconds is None:
        row.pop(time_key, None)
    return row


def rent_payload(style: Style, rental: Rental, balance: int, at: float) -> dict[str, object]:
    """The number just taken, section 3: A's three fields, or the RequestLog of B; C adds the balance to it."""
    if style.envelope == "A":
        return {
            "phone_number": phone(style, rental.phone, "bare"),
            "balance": number(style, balance),
            "request_id": identity(style, rental, "short-text"),
        }
    log: dict[str, object] = {
        "ID": identity(style, rental, "full"),
        "ServiceID": rental.service_id,
        "ServiceName": rental.service_name,
        "IMG": f"{rental.service_name.split()[0]}.ico",
        "Price": number(style, rental.price),
        "Phone": phone(style, rental.phone, "space"),
        "SmsContent": None,
        "StatusStr": STATUS_TEXTS[0],
        "CreatedTime": local_time(style, at, 0),
        "IsSound": boolean(style, False),
        "Code": None,
    }
    return log | ({"Balance": number(style, balance)} if style.envelope == "C" else {})


@dataclass(frozen=True)
class Snapshot:
    """A rental as one answer shows it: its status, its newest message, the address of the audio, the time printed."""

    rental: Rental
    status: int
    message: Message | None
    audio: str
    created: float


def code_answer(style: Style, snapshot: Snapshot, status: int) -> dict[str, Any]:
    """The answer of section 4: C's short one, or a history row in A and B."""
    if style.envelope != "C":
        row = history_row(style, snapshot, "short-text", bool)
        return success(style, "code", row | {"Status": number(style, status)})
    message = snapshot.message
    if status == RECEIVED and message:
        result = {
            "SMS": message.text,
            "Code": shown_code(message),
            "IsCall": boolean(style, message.call),
            "CallFile": snapshot.audio if message.call else None,
        }
        return {"ResponseCode": 0, "Msg": "OK", "Result": result}
    answer: dict[str, Any] = {
        "ResponseCode": 2 if status == EXPIRED else 1,
        "Msg": STATUS_TEXTS.get(status, "Đang xử lý"),
    }
    if style.empty_result:
        answer["Result"] = {"SMS": None, "Code": None, "IsCall": boolean(style, False), "CallFile": None}
    return answer


def history_row(
    style: Style, snapshot: Snapshot, id_form: str, page_boolean: Callable[[bool], object]
) -> dict[str, object]:
    """A row of section 5, also the code answer in envelope A; `id_form` as in `identity`."""
    rental, message = snapshot.rental, snapshot.message
    call = bool(message and message.call)
    return {
        "ID": identity(style, rental, id_form),
        "ServiceID": rental.service_id,
        "ServiceName": rental.service_name,
        "Status": number(style, snapshot.status),
        "Price": number(style, rental.price),
        "Phone": phone(style, rental.phone, "bare"),
        "SmsContent": (snapshot.audio if call else message.text) if message else None,
        "IsSound": boolean(style, call, page_boolean),
        "CreatedTime": local_time(style, snapshot.created, 2),
        "Code": shown_code(message) if message else None,
    }


def shown_code(message: Message) -> str | None:
    """The code as an answer prints it: None where it is in the text alone."""
    return message.code if message.code_shown else None


def recase(value: Any, how: str, rng: Random) -> Any:
    """Print every key in another case: "lower", "upper", "title" (`Status_code`) or "random"."""
    if isinstance(value, Mapping):
        return {_recase_key(key, how, rng): recase(item, how, rng) for key, item in value.items()}
    return [recase(item, how, rng) for item in value] if isinstance(value, list) else value


def _recase_key(key: str, how: str, rng: Random) -> str:
    if how == "random":
        how = rng.choice(("lower", "upper", "title"))
    return {"lower": key.lower(), "upper": key.upper(), "title": key.capitalize()}[how]


def plain_text(text: str) -> str:
    """The text without Vietnamese accents."""
    decomposed = unicodedata.normalize("NFD", text.replace("đ", "d").replace("Đ", "D"))
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))


def render(style: Style, answer: dict[str, Any], rng: Random) -> str:
    """The whole answer as text."""
    if not style.accents:
        answer |= {key: plain_text(answer[key]) for key in ("message", "Message", "Msg") if key in answer}
    if style.keys != "page":
        answer = recase(answer, style.keys, rng)
    return to_json(answer, style.ascii)


def to_json(value: Any, ascii_only: bool = False) -> str:
    """JSON without spaces, with `unquoted` digits as they stand; `ascii_only` escapes letters and slashes as PHP does."""
    text = json.dumps(value, ensure_ascii=ascii_only, separators=(",", ":"))
    return _QUOTED_DIGITS.sub(r"\1", text.replace("/", "\\/") if ascii_only else text)


def change(style: Style, **forms: object) -> Style:
    """The same style with some forms replaced."""
    return replace(style, **forms)  # type: ignore[arg-type]
