"""A code is taken from the text only where one alone stands out."""

import time

import pytest

from thuesim import extract_code
from thuesim.codes import copied, equal_codes, equal_codes_beside, read, visible, whole_code

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
        ("Ma 529310, don hang 88123", "529310"),
        ("١٢٣٤٥٦", "123456"),
        ("ma GD 1533 ma OTP 572123 so tien 50000", "572123"),
        ("The xxxx5678 thanh toan 120,000 VND. Ma OTP: 12 34 56", "123456"),
        ("Ma xac nhan la 072-464, het han luc 14:35 22/11/2026", "072464"),
        ("123 456 is your Instagram code", "123456"),
        ("Qm3RDi is your code", "Qm3RDi"),
        ("Your Uber code is 2749 16", "274916"),
        ("【支付宝】274916，您正在登录", "274916"),
        ("인증번호 [123456]", "123456"),
        ("code RM83K", "RM83K"),
        ("[Call] 486460", "486460"),
        ("Mã mới của bạn là 529310", "529310"),
        ("Your verification code is 7QX-4M2", "7QX-4M2"),
        ("UBER: 883102 — never share", "883102"),
        ("Your GitHub authentication code is: 123456@github.com #123456", "123456"),
        ("Chao mung ban\n@example.com #123456", "123456"),
        ("G-195829 la ma xac minh Google", "G-195829"),
        ("Ma OTP &quot;294017&quot; &#8211; khong chia se", "294017"),
        ("x" * 3000 + " Ma OTP: 529310", "529310"),
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
        "2026",
        "26112026",
        "Confirmation code: 5050505. Check-in 2pm",
        "Pin 4000, sac 5050",
        "OTP truck 5050 departs",
        "Lich thi: mon OTP 5050",
        "Ma pin du doan: 5050",
        "Mã mời của bạn là 529310",
        "Theo doi chung toi\n@shop.vn #2026",
        "Theo doi chung toi tai @shop.vn #505050",
        "1234 or 5678",
        "Ma OTP 529310, OTP 771024",
        "Ma OTP 529310 da het han",
        "Chuc mung nam moi 2026",
        "Ma giam gia 529310",
        "LH 0912345678",
        "OTP dang nhap 551208 - 882312",
        "OTP mo 5512 tai khoan con: 882312",
        "So dien thoai dang nhap 551208",
        "San pham doi ma. Ma cu: 551208, ma moi: 902211",
        "Ma cu 551208 da het han. Nhap ma moi 902211 giam 10%",
        "Ten dang nhap 551208, mat khau 882312",
        "Ten dang nhap: 551208",
        "TK dang nhap 551208, MK 882312",
        "So du: 50000d",
        "https://x.vn/123456",
        "x" * 5000 + " Ma OTP: 529310",
    ],
)
def test_otherwise_there_is_none(text: str) -> None:
    assert extract_code(text) == ""


@pytest.mark.parametrize(
    ("given", "text", "code", "second"),
    [
        ("", "Ma OTP 529310", "529310", ""),
        ("529310", "", "529310", ""),
        ("529310", "Ma OTP 529310", "529310", ""),
        ("G-195829", "G-195829 is your code", "G-195829", ""),
        ("195829", "G-195829 is your code", "195829", ""),
        ("072-464", "Ma OTP 072 464", "072-464", ""),
        ("59809", "Ma OTP 059809", "059809", ""),
        ("529310", "Xin chao", "529310", ""),
        ("4821", "Ma 1: 4821, ma 2: 9930", "4821", ""),
        ("1533", "ma GD 1533 ma OTP 572123", "572123", "1533"),
        ("072", "Ma OTP la 072-464", "072464", "072"),
        ("999111", "Ma OTP 529310", "529310", "999111"),
        ("4821", "ma 4821, OTP 529310", "4821", "529310"),
        ("2026", "Chuc mung nam moi 2026", "", "2026"),
        ("19001234", "Uu dai 50%. Goi 1900 1234", "", "19001234"),
        ("482913", "Your order 482913 has shipped", "", "482913"),
        ("551208", "Tên đăng nhập 551208. Mật khẩu gửi qua email", "", "551208"),
        ("4821", "Su dung ma SALE4821 de duoc giam 10%", "", "4821"),
        ("482910", "Ma OTP 482910 da het han", "", "482910"),
        ("482910", "Vash kod 482910", "482910", ""),
        ("482910", "Canh giac lua dao! Ma OTP 482910 chi danh cho ban", "482910", ""),
        ("482910", "Bao cao thang. Ma OTP 482910", "482910", ""),
        ("482910", "Ma xac nhan don hang: 482910. Shop se giao", "482910", ""),
        ("2749 16", "Your Uber code is 2749 16", "2749 16", ""),
        ("123", "Ma cua ban la 123", "123", ""),
    ],
)
def test_the_code_of_the_service_stays_unless_the_text_speaks_against_it(
    given: str, text: str, code: str, second: str
) -> None:
    reading = read(given, text)
    assert (reading.code, reading.second) == (code, second)
    assert bool(reading.drift) == bool(second)


# Each repeated until it fills the text: what a pattern with nested repetitions would take hours for.
HOSTILE = [
    "a", "a-", "a.", "1", "1.", "1 ", "@", "0", "http://", "so du ", "hotline 1", "1900 ", "ma ", "otp ", "code ",
    "x", "*", "x1", "ma otp 1234 ", "1234 la ma ", "your a ", "tk ", "ma gd ", "a1", "A1-", "mot ", "一", "đ",
    "&amp;", "\ufdfa", "12/", "12:", "la ", "so ", "soan a ", "+1", "-1", "1,000", "1 2 3 4 ", "#1", "*1", "&#1",
    "AB-1", "your your code ", "1234 de a a ", "ma cua ban ", "\n", "\u0301", "_", "reply 1 ", "(0", "<a ",
    "gui a 1 ", "ma so ma so 1", "1234, ", "Aa1Bb2 ", "@a #1",
    "ma cu 1234 ", "OTP1 ", "OTP1: 1234 ", "ten dang nhap ", "1 co phieu ", "mua 1234 ve ", "ma 1234 da ", "otp a 1234 - ",
    "otp don 1234, ma a ",
]  # fmt: skip


def test_finding_it_takes_no_time_in_hostile_text() -> None:
    started = time.process_time()
    for piece in HOSTILE:
        extract_code(piece * 1_000_000)
        extract_code(piece * (3990 // len(piece)) + "1234 x")
        equal_codes(piece * 100_000)
    assert time.process_time() - started < 30


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


@pytest.mark.parametrize(
    ("code", "pasted"),
    [
        ("G-195829", "195829"),
        ("072-464", "072464"),
        ("072 464", "072464"),
        ("12 34 56", "123456"),
        ("529310", "529310"),
        ("2749 16", "274916"),
        ("LN-482910", "482910"),
        ("４８２９１３", "482913"),
        ("٤٨٢٩١٣", "482913"),
        ("Qm3RDi", "Qm3RDi"),
        ("R4K-2PX", "R4K-2PX"),
        ("Xin chao 2026", "Xin chao 2026"),
        ("", ""),
    ],
)
def test_what_is_copied_is_what_the_boxes_for_a_code_take(code: str, pasted: str) -> None:
    assert copied(code) == pasted


def test_what_undoes_somebody_elses_deed_is_not_shown_as_the_code_even_where_thuesim_says_so() -> None:
    text = "Quý khách vừa đổi mật khẩu lúc 10:22. Nếu không phải, nhập mã 0000 hoặc gọi 1800 5999"
    reading = read("0000", text)
    assert (reading.code, reading.second) == ("", "0000")


@pytest.mark.parametrize(
    ("text", "several"),
    [
        ("Ma OTP dang ky the: 119020. Ma OTP kich hoat: 884512. Moi ma dung 1 lan", ("119020", "884512")),
        ("Ma dang ky: 3344. Ma rut tien: 9911.", ("3344", "9911")),
        ("OTP chuyen tien: 8812 (NH A), 9931 (NH B)", ("8812", "9931")),
        ("8812 la ma OTP chuyen tien, 9931 la ma OTP dang nhap", ("8812", "9931")),
        ("481516 là mã xác thực rút tiền; 234242 là mã xác thực đăng nhập", ("481516", "234242")),
        ("8812 is your login code, 9931 is your withdrawal code", ("8812", "9931")),
        ("8812 is your login code. 9931 is your order code", ()),
        ("Ma dang nhap: 550192. Ma tham chieu: 881023", ()),
        ("Ma OTP1: 4412, OTP2: 9038", ("4412", "9038")),
        ("OTP 1: 123456. OTP 2: 654321", ("123456", "654321")),
        ("OTP1: 5521 OTP2: 8830", ("5521", "8830")),
        ("OTP1 4412, OTP2 9038", ("4412", "9038")),
        ("Ma OTP1, OTP2 gui qua email", ()),
        ("Ma OTP: 119020. Goi 1800 5999", ()),
        ("Ma OTP: 119020. Nhac lai: ma OTP: 119020", ()),
        ("Ma GD 1533 ma OTP 572123", ()),
        ("Don hang 119020 va 884512 da giao", ()),
        (" ".join(f"Ma OTP: {n}." for n in range(119020, 119026)), ()),
    ],
)
def test_only_codes_with_equal_right_are_equal(text: str, several: tuple[str, ...]) -> None:
    assert equal_codes(text) == several
    assert not (several and extract_code(text))


def test_a_code_of_thuesims_that_the_text_does_not_name_so_has_no_equals() -> None:
    text = "Ma OTP dang ky the: 119020. Ma OTP kich hoat: 884512"
    assert equal_codes_beside("884512", text) == equal_codes_beside("", text) == ("119020", "884512")
    assert equal_codes_beside("771122", text) == ()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Tặng bạn 50.000đ! Mã xác nhận đăng nhập Telegram của bạn là 48213. Ưu đãi đến 24/11/2026", "48213"),
        ("Your password reset code for linh@shop.vn is 551008", "551008"),
        ("Reset code for user linh_99: 551008", "551008"),
        ("8812 la ma OTP dang nhap, het han sau 5 phut", "8812"),
        ("ID đăng nhập 551208, OTP 882312", "882312"),
        ("Ma OTP tai khoan dang nhap: 551208", "551208"),
        ("OTP don 551208 - 882312", "882312"),
        ("OTP bán 5512 cổ phiếu HPG: 882312", "882312"),
        ("OTP mua 2000 VNM gia 66.5: 882312", "882312"),
        ("OTP dat 5512 ve: 882312", "882312"),
        ("OTP hợp đồng 551208 – 882312", "882312"),
        ("OTP dang nhap 882312 - VCB", "882312"),
        ("Mã cũ: 551208, mã mới: 902211", "902211"),
        ("Ma 551208 da het han. Ma moi la 902211", "902211"),
        ("Ma moi 902211 thay cho ma 551208", "902211"),
        ("Dung nhap 909090! Ma dung cua ban: 7742", "7742"),
        ("Acme: mã của bạn là 603184", "603184"),
        ("MoMo: KHONG chia se OTP 9134 … Nhap 9134", "9134"),
        ("Mat ma giao dich la 663 190", "663190"),
        ("VCB: 5512. OTP: 8823. Hotline 1900545413", "8823"),
        ("Agribank: 1800558. OTP: 8823105", "8823105"),
        ("MobiFone: 9090. Mã xác thực: 8823", "8823"),
    ],
)
def test_an_offer_or_an_account_beside_a_code_does_not_hide_it(text: str, code: str) -> None:
    assert extract_code(text) == code
