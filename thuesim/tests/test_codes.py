"""A code is taken from the text only where one alone stands out."""

import time

import pytest

from thuesim import extract_code
from thuesim.codes import visible, whole_code

from .payloads import CALL_TEXT, MOMO_HASH, SMS_TEXT


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (CALL_TEXT, "059809"),
        (SMS_TEXT, "529310"),
        (MOMO_HASH, "486460"),
        ("G-195829 là mã xác minh Google của bạn.", "G-195829"),
        ("G-195829. Ma cua ban la 195829", "G-195829"),
        ("FB-52931 is your Facebook code", "FB-52931"),
        ("[TikTok] 1234 is your code", "1234"),
        ("Ma xac nhan: 12345678.", "12345678"),
        ("Mã 529310. Mã 529310. Mã 529310", "529310"),
        ("Your code: 529310. https://fb.com/l/12345 or www.x.vn/9999", "529310"),
        ("529310 http://t.co/123456", "529310"),
        ("Ma 529310. Xem momo.vn/otp/2024", "529310"),
        ("Ma 529310, mail cskh2024@abc.com.vn", "529310"),
        ("Ma OTP 529310 thanh toan 50000d", "529310"),
        ("OTP 529310 cho giao dich 1.500.000 VND", "529310"),
        ("OTP 529310, số tiền 150000, không chia sẻ", "529310"),
        ("OTP 529310 cho 25000 đồng", "529310"),
        ("Ma 529310. Goi 19001234 neu can", "529310"),
        ("Ma 529310. Hotline: 1900 545 415", "529310"),
        ("Ma 529310. LH 0912345678", "529310"),
        ("Ma 529310. LH 0912 345 678 hoac +84912345678", "529310"),
        ("mã của bạn là 529310 dong y thi nhap", "529310"),
        ("Nhap 529310 de dang nhap", "529310"),
        ("529310\n@shop.vn #529310", "529310"),
    ],
)
def test_the_one_that_stands_out_is_found(text: str, code: str) -> None:
    assert extract_code(text) == code


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no digits",
        "123",
        "123456789",
        "12 34 56",
        "1234 or 5678",
        "Ma 529310, don hang 88123",
        "LH 0912345678",
        "So du: 50000d",
        "https://x.vn/123456",
        "١٢٣٤٥٦",
    ],
)
def test_otherwise_there_is_none(text: str) -> None:
    assert extract_code(text) == ""


def test_finding_it_takes_no_time_in_hostile_text() -> None:
    started = time.monotonic()
    for piece in ("a", "a-", "a.", "1", "1.", "1 ", "@", "0", "http://", "so du ", "hotline 1", "1900 "):
        extract_code(piece * 1_000_000)
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("given", "text", "code"),
    [
        ("59809", "mã là 059809mã", "059809"),
        ("59809", "mã là 59809", "59809"),
        ("59809", "mã là 059809 hay 0059809", "59809"),
        ("059809", "mã là 059809", "059809"),
        ("G-195829", "G-195829", "G-195829"),
        ("59809", "", "59809"),
    ],
)
def test_a_number_gets_the_zeros_back_that_json_took(given: str, text: str, code: str) -> None:
    assert whole_code(given, text) == code


@pytest.mark.parametrize("mark", ["\u202e", "\u2066", "\u200b", "\ufeff", "\u200f", "\x1b", "\x00", "\n", "\u2028"])
def test_a_code_is_rid_of_what_turns_it_around_or_hides_in_it(mark: str) -> None:
    assert visible(f"{mark}59{mark}809{mark}") == "59809"
    assert visible("G-195829") == "G-195829"
    assert visible("mã 12") == "mã 12"
