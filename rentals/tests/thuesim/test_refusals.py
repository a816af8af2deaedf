"""Refusals are told from their words, with or without accents, in any case."""

import json
import unicodedata

import pytest

from rentals.thuesim import faults, replies
from rentals.thuesim.drift import Drift
from rentals.thuesim.faults import ThueSimFault

WORDS = {
    "Lỗi xác thực": faults.InvalidToken,
    "Xác thực thất bại": faults.InvalidToken,
    "Token không hợp lệ": faults.InvalidToken,
    "Token không tồn tại": faults.InvalidToken,
    "Sai token": faults.InvalidToken,
    "Invalid token": faults.InvalidToken,
    "Unauthorized": faults.InvalidToken,
    "Phiên đăng nhập hết hạn": faults.InvalidToken,
    "Limit exceeded, tối đa 10 số chờ tin nhắn": faults.PendingLimitReached,
    "Vượt quá giới hạn số chờ tin nhắn": faults.PendingLimitReached,
    "Số dư tài khoản không đủ": faults.InsufficientBalance,
    "Tài khoản không đủ tiền": faults.InsufficientBalance,
    "Hết số dư, vui lòng nạp thêm tiền": faults.InsufficientBalance,
    "Insufficient balance": faults.InsufficientBalance,
    "Kho số đang tạm hết, vui lòng liên hệ hỗ trợ": faults.OutOfStock,
    "Hết số": faults.OutOfStock,
    "Dịch vụ này hết số, thử lại sau 5 giây": faults.OutOfStock,
    "Không còn số nào": faults.OutOfStock,
    "No number available": faults.OutOfStock,
    "Ứng dụng không tồn tại hoặc đang tạm ngưng": faults.ServiceUnavailable,
    "Dịch vụ đang bảo trì": faults.ServiceUnavailable,
    "Dịch vụ tạm ngưng": faults.ServiceUnavailable,
    "Mã phiên không đúng": faults.UnknownSession,
    "Phiên không tồn tại": faults.UnknownSession,
    "Bạn thao tác quá nhanh": faults.TooSoon,
    "Lấy số phải cách nhau 5s trở lên": faults.TooSoon,
    "Vui lòng đợi 5 giây": faults.TooSoon,
    "Vượt quá giới hạn, vui lòng chờ 5 giây": faults.TooSoon,
    "Rate limit exceeded": faults.TooSoon,
    "Too many requests": faults.TooSoon,
    "Có lỗi": faults.UpstreamError,
    "Tài khoản bị khoá": faults.UpstreamError,
    "": faults.UpstreamError,
}


def without_accents(text: str) -> str:
    plain = unicodedata.normalize("NFD", text.replace("đ", "d").replace("Đ", "D"))
    return "".join(c for c in plain if not unicodedata.combining(c))


def decomposed(text: str) -> str:
    return unicodedata.normalize("NFD", text)


@pytest.mark.parametrize("spell", [str, str.upper, str.lower, without_accents, decomposed])
@pytest.mark.parametrize(("words", "fault"), WORDS.items())
def test_words_tell_the_fault(words: str, fault: type[ThueSimFault], spell: type[str]) -> None:
    for reply in (
        {"ResponseCode": 0 if words else 9, "Message": spell(words)},
        {"status_code": -99, "message": spell(words)},
    ):
        with pytest.raises(ThueSimFault) as caught:
            replies.parse_rented(json.dumps(reply).encode())
        assert type(caught.value) is fault


def test_words_outweigh_a_code_that_disagrees_and_that_is_news() -> None:
    drifts: list[Drift] = []
    with pytest.raises(faults.TooSoon):
        replies.parse_rented(
            '{"status_code":429,"success":false,"message":"quá nhanh, chờ 5s"}'.encode(), on_drift=drifts.append
        )
    assert [drift.form for drift in drifts] == ["status_code 429 with the words of TooSoon"]


def test_success_false_is_a_refusal_whatever_the_code() -> None:
    for reply in ('{"status_code":200,"success":false,"message":"x"}', '{"success":"false","message":"x"}'):
        with pytest.raises(faults.UpstreamError):
            replies.parse_balance(reply.encode())


def test_a_fault_keeps_the_words_and_the_code_bounded() -> None:
    body = json.dumps({"status_code": "-1", "success": False, "message": "Có\n lỗi\x00 " + "dài " * 500})
    with pytest.raises(faults.UpstreamError) as caught:
        replies.parse_balance(body.encode())
    assert caught.value.message.startswith("Có lỗi")
    assert len(caught.value.message) == faults.MESSAGE_LIMIT
    assert caught.value.code == "-1"
    assert str(caught.value) == caught.value.message


def test_the_two_families_have_nothing_in_common() -> None:
    assert not issubclass(faults.NotRented, faults.OutcomeUnknown)
    kinds = [kind for kind in vars(faults).values() if isinstance(kind, type) and issubclass(kind, ThueSimFault)]
    for kind in set(kinds) - {ThueSimFault}:
        assert issubclass(kind, faults.NotRented) != issubclass(kind, faults.OutcomeUnknown)
