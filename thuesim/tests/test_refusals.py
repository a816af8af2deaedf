"""Refusals are told from their words, with or without accents, in any case."""

import json
import unicodedata

import pytest

from thuesim import errors, limits, replies
from thuesim.drift import Drift
from thuesim.errors import ThueSimError

WORDS = {
    "Lỗi xác thực": errors.InvalidToken,
    "Xác thực thất bại": errors.InvalidToken,
    "Token không hợp lệ": errors.InvalidToken,
    "Token không tồn tại": errors.InvalidToken,
    "Sai token": errors.InvalidToken,
    "Invalid token": errors.InvalidToken,
    "Unauthorized": errors.InvalidToken,
    "Phiên đăng nhập hết hạn": errors.InvalidToken,
    "Limit exceeded, tối đa 10 số chờ tin nhắn": errors.PendingLimitReached,
    "Vượt quá giới hạn số chờ tin nhắn": errors.PendingLimitReached,
    "Số dư tài khoản không đủ": errors.InsufficientBalance,
    "Tài khoản không đủ tiền": errors.InsufficientBalance,
    "Hết số dư, vui lòng nạp thêm tiền": errors.InsufficientBalance,
    "Insufficient balance": errors.InsufficientBalance,
    "Kho số đang tạm hết, vui lòng liên hệ hỗ trợ": errors.OutOfStock,
    "Hết số": errors.OutOfStock,
    "Dịch vụ này hết số, thử lại sau 5 giây": errors.OutOfStock,
    "Không còn số nào": errors.OutOfStock,
    "No number available": errors.OutOfStock,
    "Ứng dụng không tồn tại hoặc đang tạm ngưng": errors.ServiceUnavailable,
    "Dịch vụ đang bảo trì": errors.ServiceUnavailable,
    "Dịch vụ tạm ngưng": errors.ServiceUnavailable,
    "Mã phiên không đúng": errors.UnknownSession,
    "Phiên không tồn tại": errors.UnknownSession,
    "Bạn thao tác quá nhanh": errors.TooSoon,
    "Lấy số phải cách nhau 5s trở lên": errors.TooSoon,
    "Vui lòng đợi 5 giây": errors.TooSoon,
    "Vượt quá giới hạn, vui lòng chờ 5 giây": errors.TooSoon,
    "Rate limit exceeded": errors.TooSoon,
    "Too many requests": errors.TooSoon,
    "Có lỗi": errors.UpstreamError,
    "Tài khoản bị khoá": errors.UpstreamError,
    "": errors.UpstreamError,
}


def without_accents(text: str) -> str:
    plain = unicodedata.normalize("NFD", text.replace("đ", "d").replace("Đ", "D"))
    return "".join(c for c in plain if not unicodedata.combining(c))


def decomposed(text: str) -> str:
    return unicodedata.normalize("NFD", text)


@pytest.mark.parametrize("spell", [str, str.upper, str.lower, without_accents, decomposed])
@pytest.mark.parametrize(("words", "error"), WORDS.items())
def test_words_tell_the_error(words: str, error: type[ThueSimError], spell: type[str]) -> None:
    for reply in (
        {"ResponseCode": 0 if words else 9, "Message": spell(words)},
        {"status_code": -99, "message": spell(words)},
    ):
        with pytest.raises(ThueSimError) as caught:
            replies.parse_rented(json.dumps(reply).encode())
        assert type(caught.value) is error


def test_words_outweigh_a_code_that_disagrees_and_that_is_news() -> None:
    drifts: list[Drift] = []
    with pytest.raises(errors.TooSoon):
        replies.parse_rented(
            '{"status_code":429,"success":false,"message":"quá nhanh, chờ 5s"}'.encode(), on_drift=drifts.append
        )
    assert [drift.form for drift in drifts] == ["status_code 429 with the words of TooSoon"]


def test_success_false_is_a_refusal_whatever_the_code() -> None:
    for reply in ('{"status_code":200,"success":false,"message":"x"}', '{"success":"false","message":"x"}'):
        with pytest.raises(errors.UpstreamError):
            replies.parse_balance(reply.encode())


def test_an_error_keeps_the_words_and_the_code_bounded() -> None:
    body = json.dumps({"status_code": "-1", "success": False, "message": "Có\n lỗi\x00 " + "dài " * 500})
    with pytest.raises(errors.UpstreamError) as caught:
        replies.parse_balance(body.encode())
    assert caught.value.message.startswith("Có lỗi")
    assert len(caught.value.message) == limits.MAX_REASON_LENGTH
    assert caught.value.code == "-1"
    assert str(caught.value) == caught.value.message


def test_the_two_families_have_nothing_in_common() -> None:
    assert not issubclass(errors.NotRented, errors.OutcomeUnknown)
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ThueSimError)]
    for kind in set(kinds) - {ThueSimError}:
        assert issubclass(kind, errors.NotRented) != issubclass(kind, errors.OutcomeUnknown)
