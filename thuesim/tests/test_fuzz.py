"""Whatever comes, a parser returns a typed value or raises a ThueSimError.

TEST_EFFORT=fuzz runs it at length.
"""

import json
import os
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from thuesim import limits, replies
from thuesim.codes import extract_code
from thuesim.decoding import moment, money
from thuesim.drift import MAX_SAMPLE_LENGTH, Drift
from thuesim.errors import ThueSimError
from thuesim.phones import to_e164

from .parsers import PARSERS
from .payloads import PAYLOADS

LONG = os.environ.get("TEST_EFFORT") == "fuzz"
LENIENT = settings(deadline=None, database=None, derandomize=not LONG, suppress_health_check=list(HealthCheck))
fuzzed = settings(LENIENT, max_examples=60_000 if LONG else 120)
# Making up whole documents takes far longer than reading them.
fuzzed_slowly = settings(LENIENT, max_examples=10_000 if LONG else 50)

KEYS = st.sampled_from(
    [
        "status_code", "success", "message", "data", "ResponseCode", "Data", "RequestLog", "Result", "Msg", "Message",
        "Balance", "balance", "ID", "id", "SV", "name", "SERVICE_NAME", "PRICE", "price", "Time", "ServiceID",
        "ServiceName", "Phone", "phone_number", "request_id", "requestId", "Status", "status", "StatusStr", "SmsContent",
        "smsContent", "SMS", "Code", "code", "IsSound", "isSound", "IsCall", "CallFile", "CreatedTime",
    ]
)  # fmt: skip
TELLING = st.sampled_from(
    [
        200, 1, 0, 2, 3, -1, -2, -3, 401, 429, "200", "1", "0", "true", "false", "", "null", " 0852222127", "987654321",
        938558302, 88237016.01, "88237016.10", "1.450", "1450đ", "2020-08-06T17:13:24.8812345", "Đợi tin nhắn",
        "529310", "https://thuesim.xyz/1.wav", "\x00", "\ud800", "9" * 400, 10**30,
        "Limit exceeded, tối đa 10 số", "9" * 64, "7" * 41,
        "0001-01-01", 2**31, -5, ".5", "0.10", "00000852", "x" * 500, "ma " + "0" * 300 + "529310", "đ" * 6000,
        "https://thuesim.xyz/" + "a" * 3000, "+84000123",
    ]
)  # fmt: skip
LEAVES = (
    TELLING | st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=30)
)
DOCUMENTS = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS | st.text(max_size=8), inner, max_size=8)
)
BODIES = st.sampled_from([body for _, _, body, _ in PAYLOADS])


def check(body: bytes) -> None:
    for endpoint, parse in PARSERS.items():
        drifts: list[Drift] = []
        try:
            outcome = parse(body, on_drift=drifts.append)
        except ThueSimError as error:
            outcome = [error.message, error.code]
            bounded = len(error.message) <= limits.MAX_REASON_LENGTH
        else:
            bounded = True
        sound(outcome)
        assert bounded
        for drift in drifts:
            assert drift.endpoint == endpoint
            assert len(drift.form) <= 120
            assert len(drift.sample) <= MAX_SAMPLE_LENGTH
            storable(drift.form + drift.sample)


def storable(text: str) -> None:
    assert "\x00" not in text
    text.encode("utf-8")


MAX_LENGTHS = {
    "id": limits.MAX_ID_LENGTH,
    "sv": limits.MAX_ID_LENGTH,
    "service_id": limits.MAX_ID_LENGTH,
    "name": limits.MAX_NAME_LENGTH,
    "service_name": limits.MAX_NAME_LENGTH,
    "code": limits.MAX_CODE_LENGTH,
    "audio_url": limits.MAX_ADDRESS_LENGTH,
}


def within_limits(value: Any) -> None:
    for name, length in MAX_LENGTHS.items():
        assert len(getattr(value, name, "")) <= length, name
    assert len(getattr(value, "text", "").encode()) <= limits.MAX_TEXT_BYTES
    assert 0 <= (getattr(value, "price", 0) or 0) <= limits.MAX_PRICE
    assert 0 < getattr(value, "seconds", 1) <= limits.MAX_WAITING_SECONDS
    if isinstance(value, replies.Rented | replies.HistoryEntry | replies.CallbackBody):
        assert replies.rental_key(value.id)
    if isinstance(value, replies.Network):
        assert len(value.name) <= limits.MAX_NETWORK_LENGTH


def sound(value: Any) -> None:
    if isinstance(value, list):
        for item in value:
            sound(item)
    elif is_dataclass(value):
        for field in fields(value):
            sound(getattr(value, field.name))
        phone = getattr(value, "phone", "")
        assert phone == "" or (phone[0] == "+" and phone[1:].isdecimal() and len(phone) <= limits.MAX_PHONE_LENGTH)
        assert phone == "" or to_e164(phone) == phone
        within_limits(value)
    elif isinstance(value, str) and not isinstance(value, Enum):
        assert type(value) is str
        storable(value)
    elif isinstance(value, int):
        assert abs(value) <= limits.MAX_BALANCE
    elif isinstance(value, datetime):
        assert value.tzinfo is not None


@fuzzed
@given(st.binary(max_size=400))
def test_any_bytes(body: bytes) -> None:
    check(body)


@fuzzed_slowly
@given(DOCUMENTS)
def test_any_json(document: object) -> None:
    check(json.dumps(document, ensure_ascii=True).encode())


@fuzzed_slowly
@given(BODIES, st.data())
def test_known_payloads_with_values_changed(body: str, data: st.DataObject) -> None:
    document = json.loads(body, parse_float=str)
    for _ in range(data.draw(st.integers(1, 3))):
        place: Any = document
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = data.draw(st.sampled_from(keys))
            if isinstance(place[key], dict | list) and data.draw(st.booleans()):
                place = place[key]
                continue
            if data.draw(st.integers(0, 4)):
                place[key] = data.draw(DOCUMENTS)
            else:
                del place[key]
            break
    check(json.dumps(document).encode())


@fuzzed
@given(BODIES, st.data())
def test_known_payloads_with_bytes_changed(body: str, data: st.DataObject) -> None:
    raw = bytearray(body.encode())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw)))
        end = data.draw(st.integers(at, min(len(raw), at + 40)))
        raw[at:end] = data.draw(st.binary(max_size=6))
    if data.draw(st.booleans()):
        del raw[data.draw(st.integers(0, len(raw))) :]
    check(bytes(raw))


@fuzzed
@given(
    st.binary(max_size=300),
    st.sampled_from(["", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
    | st.text(max_size=80),
)
def test_any_callback(body: bytes, content_type: str) -> None:
    for whole in (body, b"requestId=5&code=" + body, b'--x\r\nContent-Disposition: form-data; name="' + body):
        try:
            sound(replies.parse_callback(whole, content_type))
        except ThueSimError:
            continue


@fuzzed
@given(st.text(max_size=80))
def test_any_text_for_the_small_readers(text: str) -> None:
    sound(money(text))
    sound(moment(text))
    assert len(extract_code(text)) <= 11
    try:
        phone = to_e164(text)
    except ValueError:
        return
    assert to_e164(phone) == phone


def test_deep_nesting_is_gibberish() -> None:
    for body in (b"[" * 200_000, b'{"data":' * 100_000, b'{"data":' * 500 + b"1" + b"}" * 500):
        check(body)


def test_numbers_of_a_million_digits_do_no_harm() -> None:
    check(b'{"status_code":200,"success":true,"data":{"balance":' + b"9" * 1_000_000 + b"}}")
    check(b'{"ResponseCode":1,"RequestLog":{"ID":' + b"9" * 1_000_000 + b',"Phone":"' + b"0" * 1_000_000 + b'"}}')
