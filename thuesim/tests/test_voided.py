"""A message that says of a code that it no longer holds, and the many that do not."""

import pytest

from thuesim.codes.voided import takes_back


@pytest.mark.parametrize(
    "text",
    [
        "ZaloPay: Ma OTP 551208 da het han. Vui long yeu cau ma moi",
        "Mã OTP 551208 của bạn đã hết hiệu lực.",
        "Ma 551208 da bi huy",
        "Ma OTP 551208 khong con hieu luc",
        "Giao dich voi OTP 551208 thanh cong",
        "Mã xác nhận 551-208 đã được sử dụng",
        "Mã 551208 không đúng. Vui lòng thử lại",
        "Ma da het han: 551208",
        "Your code 551208 has expired. Request a new one.",
        "Code 551208 is no longer valid",
        "G-551208 was used",
        "Payment with code 551208 completed.",
        "Wrong code: 551208",
        "Mã OTP 551208 hết hạn",
        "OTP 551208 het hieu luc",
        "Ma 551208 vo hieu, lay ma khac",
        "Mã 551208 không còn sử dụng được",
        "Ma 551208 da het han luc 10:22, de nhan ma moi vui long bam Gui lai",
        "Code 551208 has expired, request a new one to continue",
    ],
)
def test_a_code_is_taken_back(text: str) -> None:
    assert takes_back(text, "551208")
    assert not takes_back(text, "551209")


@pytest.mark.parametrize(
    "text",
    [
        "ZaloPay: Ma OTP 551208 de thanh toan",
        "Ma OTP 551208 se het han sau 5 phut",
        "Ma OTP 551208 het han sau 5 phut",
        "Ma 551208 co hieu luc trong 5 phut",
        "De dang ky thanh cong, nhap ma 551208",
        "Nhap 551208 de dang ky thanh cong",
        "Ma OTP la 551208. Neu ma khong dung, vui long thu lai",
        "Neu ma 551208 da het han, vui long yeu cau ma moi",
        "Tuyet doi khong chia se ma 551208",
        "Ma cu da het han. Ma moi: 551208",
        "Ma cu da het han, ma moi 551208",
        "Ma 551208 van con hieu luc 3 phut, dung nhap sai.",
        "OTP 551208 het hieu luc trong 3 phut",
        "Code 551208 is still valid, not expired",
        "Your code 551208 was sent because your old code expired",
        "Mật khẩu trước đó đã bị hủy, mã mới của bạn: 551208",
        "Dang nhap thanh cong. Ma 551208",
        "Your code is 551208. It expires in 5 minutes.",
        "Chao mung ban",
        "",
    ],
)
def test_a_code_still_holds(text: str) -> None:
    assert not takes_back(text, "551208")


def test_a_code_of_the_senders_form_is_the_same() -> None:
    assert takes_back("Ma 551208 da het han", "G-551208")
    assert takes_back("Ma G-551208 da het han", "551208")


def test_a_long_text_is_read_at_once() -> None:
    assert not takes_back("5 " * 20_000 + "da het handa" * 2000, "555555")
