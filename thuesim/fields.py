"""Read the fields that rentals, code replies, the history and callbacks share; deviations go to the notes."""

import re
from datetime import datetime
from typing import Final

from .codes import read, visible
from .decoding import Fields, flag, moment, money, session_id, spoken, word
from .drift import Notes, key_shape
from .limits import (
    MAX_ADDRESS_LENGTH,
    MAX_CODE_LENGTH,
    MAX_ID_LENGTH,
    MAX_NAME_LENGTH,
    MAX_PRICE,
    MAX_TEXT_BYTES,
    shortened,
)
from .phones import to_e164
from .values import Message, State

_PRICES: Final = range(50, 100_001)


def note_unknown(fields: Fields, known: set[str], notes: Notes) -> None:
    """Note the fields that are not among the `known` ones."""
    for name in fields.keys() - known:
        notes.add(f"unknown field: data.{key_shape(fields.spelled[name])}")


def read_session_id(fields: Fields, notes: Notes, *keys: str) -> str:
    """Return the first of the keys that has a rental's id; `""` where none has."""
    for key in keys:
        if id_ := session_id(fields.get(key)):
            return id_
        if len(spoken(fields.get(key))) > MAX_ID_LENGTH:
            notes.add(f"an id of more than {MAX_ID_LENGTH} characters")
    return ""


def read_name(fields: Fields, *keys: str) -> str:
    """Return the first of the keys that has a text, at most `MAX_NAME_LENGTH`; `""` where none has."""
    return next((name for key in keys if (name := spoken(fields.get(key)))), "")[:MAX_NAME_LENGTH]


def read_price(fields: Fields, notes: Notes) -> int | None:
    """Return the price in đồng, None where there is none."""
    raw = fields.get("price")
    price = money(raw)
    if price is None and raw is not None:
        notes.add("a price that is none")
    elif price is not None and price not in _PRICES:
        notes.add("a price outside 50 to 100,000 đ")
    # A negative price would turn a charge in the caller's ledger into a credit.
    return price if price is not None and 0 <= price <= MAX_PRICE else None


def read_phone(fields: Fields, notes: Notes) -> str:
    """Return the phone number in E.164, `""` where there is none."""
    raw = spoken(fields.get("phone")) or spoken(fields.get("phonenumber"))
    if not raw:
        return ""
    try:
        phone = to_e164(raw)
    except ValueError:
        notes.add("a phone number that is none")
        return ""
    if len(phone) != len("+84852222127"):
        notes.add(f"a phone number of {len(phone) - 3} digits")
    return phone


def read_created(fields: Fields, notes: Notes) -> datetime | None:
    """Return when the rental was made, None where that is not known."""
    raw = spoken(fields.get("createdtime"))
    created = moment(raw)
    if created is None and raw and not raw.startswith("0001-"):
        notes.add("a time that is none")
    return created


_STATES: Final = {
    "1": State.RECEIVED, "hoan thanh": State.RECEIVED, "thanh cong": State.RECEIVED, "da nhan": State.RECEIVED,
    "0": State.WAITING,
    "2": State.EXPIRED, "het han": State.EXPIRED, "het thoi gian": State.EXPIRED, "da het han": State.EXPIRED,
}  # fmt: skip


_PENDING: Final = re.compile(
    r"\b(?:(?:doi|cho|chua)\b.{0,20}\b(?:tin nhan|sms|code|ma|otp|cuoc goi)|dang (?:xu ly|cho|doi)|waiting|pending)\b"
)


def state_in(words: str) -> State | None:
    """Return the state that a status word or a short message speaks of, None where it speaks of none."""
    return _STATES.get(words) or (State.WAITING if _PENDING.search(words) else None)


def read_state(fields: Fields, notes: Notes) -> State | None:
    """Return what `Status`, or else `StatusStr`, says; None where it says nothing known."""
    for key in ("status", "statusstr"):
        status = word(fields.get(key)).removesuffix(".0")
        if state := state_in(status):
            return state
        if status:
            notes.add(f"unknown status: {key_shape(status)}")
    return None


_PLACEHOLDERS: Final = frozenset({"doi tin nhan", "dang doi tin nhan", "cho tin nhan", "dang cho tin nhan", "het han"})


def read_message(fields: Fields, notes: Notes) -> Message | None:
    """Return the message in an object of a code reply, the history or a callback; None where there is none yet.

    The words in quotes are the names of the payloads in `thuesim/tests/payloads.py` that each branch is for.
    """
    text = spoken(fields.get("sms")) or spoken(fields.get("smscontent"))
    audio = spoken(fields.get("callfile"))
    code = visible(spoken(fields.get("code")))
    is_call = bool(flag(fields.get("iscall")) or flag(fields.get("issound")) or audio)
    if word(text) in _PLACEHOLDERS:  # "the status in the place of the message"
        text = ""
    if is_call and not audio and text.lower().startswith(("http://", "https://", "/")):  # "code, A, a call"
        text, audio = "", text
    if code in {"0", "-1"}:  # "a number for no code"
        code = ""
    if len(code) > MAX_CODE_LENGTH:  # "the whole message in the place of the code"
        notes.add("a code that is a text")
        text, code = text or code, ""
    if not (text or code or audio):  # "code, not yet"
        return None
    # "a code that lost its leading zero", "a message whose code is not told", "a code that is a year"
    reading = read(code, text)
    if reading.drift:
        notes.add(reading.drift)
    if len(audio) > MAX_ADDRESS_LENGTH:
        notes.add(f"a recording's address of more than {MAX_ADDRESS_LENGTH} characters")
        audio = ""
    kept = shortened(text)
    if kept != text:
        notes.add(f"a text of more than {MAX_TEXT_BYTES} bytes")
    return Message(text=kept, code=reading.code, is_call=is_call, audio_url=audio, second_code=reading.second)
