"""Every documented spelling of a value, read on its own."""

from datetime import datetime

import pytest

from thuesim import phones, rental_key
from thuesim.decoding import VIETNAM, Fields, Number, decode, flag, integer, moment, money, session_id
from thuesim.errors import Gibberish
from thuesim.folding import fold
from thuesim.values import Service


@pytest.mark.parametrize(
    ("raw", "amount"),
    [
        (Number("1450"), 1450),
        ("800", 800),
        (" 1.450 ", 1450),
        ("1,450", 1450),
        ("1.234.567", 1_234_567),
        ("1450.0", 1450),
        (Number("1450.0"), 1450),
        (Number("1.45e3"), 1450),
        (Number("123.456"), 123),
        ("1.450,50", 1451),
        ("1,450.00", 1450),
        ("1450đ", 1450),
        ("1.450 ₫", 1450),
        ("1450 VNĐ", 1450),
        ("1450 vnd", 1450),
        ("-500", -500),
        ("0", 0),
        ("", None),
        (None, None),
        (True, None),
        ("free", None),
        ("1450 usd", None),
        ("1.2.3", None),
        (Number("1e400"), None),
        (Number("9" * 30), None),
        ([], None),
    ],
)
def test_money(raw: object, amount: int | None) -> None:
    assert money(raw) == amount


FLAGS = [
    (True, True),
    (False, False),
    ("true", True),
    ("False", False),
    ("1", True),
    (Number("0"), False),
    (None, None),
    ("", None),
    ("maybe", None),
    ([], None),
]


@pytest.mark.parametrize(("raw", "value"), FLAGS)
def test_flags(raw: object, value: bool | None) -> None:
    assert flag(raw) is value


@pytest.mark.parametrize(
    ("raw", "value"), [("300", 300), (Number("300.0"), 300), ("5m", None), ("", None), (None, None)]
)
def test_whole_numbers(raw: object, value: int | None) -> None:
    assert integer(raw) == value


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=VIETNAM)  # type: ignore[arg-type,misc]


@pytest.mark.parametrize(
    ("raw", "when"),
    [
        ("2021-10-16T09:27:01", at(2021, 10, 16, 9, 27, 1)),
        ("2020-08-06T17:13:24.88", at(2020, 8, 6, 17, 13, 24, 880_000)),
        ("2020-08-06T17:13:24.8812345", at(2020, 8, 6, 17, 13, 24, 881_234)),
        ("2020-08-06T17:13:24.8", at(2020, 8, 6, 17, 13, 24, 800_000)),
        ("2020-08-06 17:13:24", at(2020, 8, 6, 17, 13, 24)),
        ("2020-08-06T17:13", at(2020, 8, 6, 17, 13)),
        ("2020-08-06T10:13:24Z", at(2020, 8, 6, 17, 13, 24)),
        ("2020-08-06T10:13:24.5+00:00", at(2020, 8, 6, 17, 13, 24, 500_000)),
        ("2020-08-06T17:13:24+0700", at(2020, 8, 6, 17, 13, 24)),
        ("2020-08-06T05:13:24-05:00", at(2020, 8, 6, 17, 13, 24)),
        ("06/08/2020 17:13:24", at(2020, 8, 6, 17, 13, 24)),
        ("2020-08-06", at(2020, 8, 6)),
        ("0001-01-01T00:00:00", None),
        ("2020-13-01T00:00:00", None),
        ("2020-02-30T00:00:00", None),
        ("2020-08-06T10:13:24+99:99", None),
        ("yesterday", None),
        ("", None),
        (None, None),
    ],
)
def test_times(raw: object, when: datetime | None) -> None:
    found = moment(raw)
    assert found == when
    assert found is None or str(found.tzinfo) == "Asia/Ho_Chi_Minh"


@pytest.mark.parametrize(
    ("raw", "e164"),
    [
        (" 0852222127", "+84852222127"),
        ("987654321", "+84987654321"),
        ("843044146", "+84843044146"),
        ("0843044146", "+84843044146"),
        ("84843044146", "+84843044146"),
        ("84987654321", "+84987654321"),
        ("+84 987 654 321", "+84987654321"),
        ("0084987654321", "+84987654321"),
        ("840987654321", "+84987654321"),
        ("0987.654.321", "+84987654321"),
        ("(098) 765-4321", "+84987654321"),
        ("0000000001", "+84000000001"),
        ("01627555555", "+841627555555"),
        ("+8613912345678", "+8613912345678"),
    ],
)
def test_phone_forms_are_told_by_length(raw: str, e164: str) -> None:
    assert phones.to_e164(raw) == e164


@pytest.mark.parametrize("raw", ["", "098****123", "abc", "12345", "1" * 16, "0987654321x"])
def test_what_is_no_phone_number_is_refused(raw: str) -> None:
    with pytest.raises(ValueError, match="not a phone number"):
        phones.to_e164(raw)


def test_phone_forms_for_people_and_for_the_upstream() -> None:
    assert phones.national("+84852222127") == "0852222127"
    assert phones.pretty("+84852222127") == "0852 222 127"
    assert phones.pretty("+841627555555") == "01627555555"
    assert phones.subscriber("+84852222127") == "852222127"


def test_prefixes_lose_their_zero() -> None:
    assert [phones.prefix(raw) for raw in ("096", "96", " 96 ", "+8496", "9")] == ["96", "96", "96", "96", "9"]
    for raw in ("", "0", "9a", "96|97"):
        with pytest.raises(ValueError, match="not a phone prefix"):
            phones.prefix(raw)


@pytest.mark.parametrize(
    ("json_number", "id_"),
    [
        ("88237016.10", "88237016.10"),
        ("88237016.01", "88237016.01"),
        ("123456789012345678901234567890.02", "123456789012345678901234567890.02"),
        ('"58098"', "58098"),
        ('" 58098 "', "58098"),
        ("58098", "58098"),
        ("0", ""),
        ("-1", ""),
        ("null", ""),
        ("true", ""),
        ('""', ""),
        ('"null"', ""),
        ('"a b"', ""),
        ("9" * 65, ""),
    ],
)
def test_ids_are_exact_text(json_number: str, id_: str) -> None:
    document = decode(f'{{"ID":{json_number}}}'.encode())
    assert isinstance(document, Fields)
    found = session_id(document["id"])
    assert found == id_
    assert type(found) is str


def test_one_rental_has_one_key_in_whatever_form_its_id_came() -> None:
    assert {rental_key(id_) for id_ in ("88237016.01", "88237016.1", "88237016", " 88237016.10")} == {"88237016"}


def test_a_services_key_keeps_the_zero_of_its_server() -> None:
    assert Service("02", "97", "", None, 300).key == "02.97"
    assert Service("", "97", "", None, 300).key == "97"


@pytest.mark.parametrize(
    "body", [b"", b"  \n", b"\xef\xbb\xbf", b"<html>", b'{"a":', b"{} {}", b'{"a":NaN}', b"\xff\xfe"]
)
def test_what_is_no_json_is_gibberish(body: bytes) -> None:
    with pytest.raises(Gibberish):
        decode(body)


def test_the_reason_for_gibberish_is_told() -> None:
    for body, reason in (
        (b"", "empty"),
        (b"<br>Warning", "web page"),
        (b"{", "cut short"),
        (b"[" * 99999, "too deeply"),
    ):
        with pytest.raises(Gibberish, match=reason):
            decode(body)


def test_wrong_bytes_and_raw_line_breaks_in_texts_do_no_harm() -> None:
    assert decode(b'{"a":"x\xff\r\ny"}') == {"a": "x\ufffd\r\ny"}


def test_of_two_spellings_of_a_key_the_one_that_says_something_counts() -> None:
    assert decode(b'{"message":"no","Message":null}') == {"message": "no"}
    assert decode(b'{"message":null,"Message":"no"}') == {"message": "no"}


def test_folding_takes_accents_and_case() -> None:
    assert fold("  Số DƯ  tài khoản KHÔNG đủ Đ") == "so du tai khoan khong du d"
