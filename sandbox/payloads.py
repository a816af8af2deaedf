"""How answers look: the three envelopes, the forms of ids, phones, numbers and times, and JSON as PHP prints it."""

import json
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from sandbox.books import EXPIRED, RECEIVED, Message, Rental
from sandbox.catalogue import Service

STYLES = ("page", "A", "B", "C", "mixed")
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
    # The page gives this refusal neither a code nor a text; -1 makes the reader look at the text.
    "too-soon": (-1, "Bạn lấy số quá nhanh, vui lòng chờ {gap:g}s"),
    "insufficient-balance": (-2, "Số dư tài khoản không đủ"),
    "unknown-session": (-2, "Mã phiên không đúng"),
    "out-of-stock": (-3, "Kho số đang tạm hết, vui lòng liên hệ hỗ trợ"),
    "service-suspended": (-4, "Ứng dụng không tồn tại hoặc đang tạm ngưng"),
}
_VIETNAM = timedelta(hours=7)
# A private-use letter before what `to_json` has to take out of its quotes.
_MARK = "\ue000"
_MARKED = re.compile(r'"(?:\ue000|\\ue000)([0-9.]+)"')


def bare(digits: str) -> str:
    """Digits to print without quotes, exactly as they stand: PHP's numbers."""
    return _MARK + digits


@dataclass(frozen=True)
class Dress:
    """The forms chosen for one answer; "page" means as the service's own page prints it at that place."""

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


def choose_dress(style: str, endpoint: str, rng: Random) -> Dress:
    """The dress for a style of `STYLES`; "mixed" draws one."""
    if style == "page":
        return Dress(PAGE_ENVELOPES[endpoint])
    if style != "mixed":
        return Dress(style)
    return Dress(
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


def success(dress: Dress, endpoint: str, payload: Any, message: str = "successful", balance: int = 0) -> dict[str, Any]:
    """Wrap a payload in the envelope of the dress."""
    if dress.envelope == "A":
        return {"status_code": 200, "success": True, "message": message, "data": payload}
    if dress.envelope == "C":
        return {"ResponseCode": 0, "Msg": "OK", "Result": payload}
    if endpoint in ("rent", "rephone"):
        return {"RequestLog": payload, "Balance": number(dress, balance), "ResponseCode": 1, "Message": message}
    return {"ResponseCode": 1, "Data": payload}


def refusal(dress: Dress, reason: str, **about: object) -> dict[str, Any]:
    """An answer that says no, in the envelope of the dress; `reason` is a key of `REFUSALS`."""
    code, text = REFUSALS[reason]
    text = text.format(**about) if about else text
    if dress.envelope == "A":
        return {"status_code": code, "success": False, "message": text}
    if dress.envelope == "C":
        return {"ResponseCode": 3 if reason == "unknown-session" else code, "Msg": text}
    return {"ResponseCode": code, "Message": text}


def number(dress: Dress, value: int, page: Callable[[int], object] = int) -> object:
    """Money or a count; `page` makes the form that the page prints here."""
    if dress.numbers == "page":
        return page(value)
    return str(value) if dress.numbers == "string" else value


def boolean(dress: Dress, value: bool, page: Callable[[bool], object] = bool) -> object:
    """A boolean, JSON's own or a word."""
    if dress.booleans == "page":
        return page(value)
    return word(value) if dress.booleans == "string" else value


def word(value: bool) -> str:
    """`true` or `false` as text."""
    return "true" if value else "false"


def identity(dress: Dress, rental: Rental, page: str) -> object:
    """The rental's id as a number or text, with or without its SV: "full", "full-text", "short", "short-text".

    `page` is the form that the page prints here.
    """
    form = page if dress.ids == "page" else dress.ids
    whole = rental.id
    if dress.drop_zero and rental.sv:
        whole = whole.rstrip("0")
    if form in ("full", "full-text"):
        return bare(whole) if form == "full" else whole
    return rental.number if form == "short" else str(rental.number)


def phone(dress: Dress, nine: str, page: str) -> object:
    """The number in one of its documented forms: "space", "bare", "number", "84"."""
    form = page if dress.phone == "page" else dress.phone
    if form == "space":
        return f" 0{nine}"
    if form == "84":
        return f"84{nine}"
    return int(nine) if form == "number" else nine


def moment(dress: Dress, at: float, digits: int) -> str:
    """Vietnam's local time without a zone, `digits` of fraction unless the dress says otherwise."""
    local = datetime.fromtimestamp(at, UTC) + _VIETNAM
    digits = digits if dress.digits is None else dress.digits
    fraction = f"{local.microsecond:06d}0"[:digits]
    return local.strftime("%Y-%m-%dT%H:%M:%S") + (f".{fraction}" if digits else "")


def network_row(identifier: int, name: str) -> dict[str, object]:
    """A network as the list prints it."""
    return {"id": identifier, "name": name}


def service_row(dress: Dress, service: Service, seconds: int, short: bool) -> dict[str, object]:
    """A service: in B as the page's example prints it, else as its description does; `short` is without SV and Time."""
    if dress.envelope == "B" and not short:
        row: dict[str, object] = {"ID": service.id, "SV": service.sv, "SERVICE_NAME": service.name}
        row |= {"PRICE": number(dress, service.price), "Time": str(seconds)}
        absent = ("SV", "Time")
    else:
        row = {"id": service.id, "name": service.name, "price": number(dress, service.price, str)}
        row |= {} if short else {"sv": service.sv, "time": str(seconds)}
        absent = ("sv", "time")
    if not service.sv:
        row.pop(absent[0], None)
    if service.seconds is None:
        row.pop(absent[1], None)
    return row


def rent_payload(dress: Dress, rental: Rental, balance: int, at: float) -> dict[str, object]:
    """The number just taken: A's three fields, or the RequestLog of B; C adds the balance to it."""
    if dress.envelope == "A":
        return {
            "phone_number": phone(dress, rental.phone, "bare"),
            "balance": number(dress, balance),
            "request_id": identity(dress, rental, "short-text"),
        }
    log: dict[str, object] = {
        "ID": identity(dress, rental, "full"),
        "ServiceID": rental.service_id,
        "ServiceName": rental.service_name,
        "IMG": f"{rental.service_name.split()[0]}.ico",
        "Price": number(dress, rental.price),
        "Phone": phone(dress, rental.phone, "space"),
        "SmsContent": None,
        "StatusStr": STATUS_TEXTS[0],
        "CreatedTime": moment(dress, at, 0),
        "IsSound": boolean(dress, False),
        "Code": None,
    }
    return log | ({"Balance": number(dress, balance)} if dress.envelope == "C" else {})


@dataclass(frozen=True)
class Seen:
    """A rental as one answer shows it: its status then, the message to show, where its audio is, the time printed."""

    rental: Rental
    status: int
    message: Message | None
    audio: str
    created: float


def code_answer(dress: Dress, seen: Seen, status: int) -> dict[str, Any]:
    """The answer to "has a message come": C's short one, or a history row in A and B."""
    if dress.envelope != "C":
        row = history_row(dress, seen, "short-text", bool)
        return success(dress, "code", row | {"Status": number(dress, status)})
    message = seen.message
    if status == RECEIVED and message:
        result = {
            "SMS": message.text,
            "Code": shown_code(message),
            "IsCall": boolean(dress, message.call),
            "CallFile": seen.audio if message.call else None,
        }
        return {"ResponseCode": 0, "Msg": "OK", "Result": result}
    answer: dict[str, Any] = {
        "ResponseCode": 2 if status == EXPIRED else 1,
        "Msg": STATUS_TEXTS.get(status, "Đang xử lý"),
    }
    if dress.empty_result:
        answer["Result"] = {"SMS": None, "Code": None, "IsCall": boolean(dress, False), "CallFile": None}
    return answer


def history_row(dress: Dress, seen: Seen, id_form: str, page_boolean: Callable[[bool], object]) -> dict[str, object]:
    """A rental as history prints it, and the code call in envelope A."""
    rental, message = seen.rental, seen.message
    call = bool(message and message.call)
    return {
        "ID": identity(dress, rental, id_form),
        "ServiceID": rental.service_id,
        "ServiceName": rental.service_name,
        "Status": number(dress, seen.status),
        "Price": number(dress, rental.price),
        "Phone": phone(dress, rental.phone, "bare"),
        "SmsContent": (seen.audio if call else message.text) if message else None,
        "IsSound": boolean(dress, call, page_boolean),
        "CreatedTime": moment(dress, seen.created, 2),
        "Code": shown_code(message) if message else None,
    }


def shown_code(message: Message) -> str | None:
    """The code as it is printed."""
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
    apart = unicodedata.normalize("NFD", text.replace("đ", "d").replace("Đ", "D"))
    return "".join(letter for letter in apart if not unicodedata.combining(letter))


def render(dress: Dress, answer: dict[str, Any], rng: Random) -> str:
    """The whole answer as text."""
    if not dress.accents:
        said = {key: plain_text(answer[key]) for key in ("message", "Message", "Msg") if key in answer}
        answer = answer | said
    if dress.keys != "page":
        answer = recase(answer, dress.keys, rng)
    return to_json(answer, dress.ascii)


def to_json(value: Any, ascii_only: bool = False) -> str:
    """JSON without spaces, with `bare` numbers as they stand; `ascii_only` escapes letters and slashes as PHP does."""
    text = json.dumps(value, ensure_ascii=ascii_only, separators=(",", ":"))
    return _MARKED.sub(r"\1", text.replace("/", "\\/") if ascii_only else text)


def change(dress: Dress, **forms: object) -> Dress:
    """The same dress with some forms replaced."""
    return replace(dress, **forms)  # type: ignore[arg-type]
