"""What the API page prints is understood exactly, without a deviation noted, in every disguise."""

import inspect
import json
import re

import pytest

from thuesim import errors, fields, replies
from thuesim.drift import Drift
from thuesim.errors import ThueSimError
from thuesim.values import CodeReply, State

from .parsers import PARSERS
from .payloads import ODD_CODE_REPLIES, PAYLOADS

IDS = [payload[0] for payload in PAYLOADS]


@pytest.mark.parametrize(("_", "parser", "body", "meaning"), PAYLOADS, ids=IDS)
def test_the_printed_payload_is_understood_and_is_no_news(_: str, parser: str, body: str, meaning: object) -> None:
    drifts: list[Drift] = []
    assert PARSERS[parser](body.encode(), on_drift=drifts.append) == meaning
    assert drifts == []


@pytest.mark.parametrize(("_", "parser", "body", "meaning"), PAYLOADS, ids=IDS)
def test_bom_and_white_space_around_it_change_nothing(_: str, parser: str, body: str, meaning: object) -> None:
    wrapped = b"\xef\xbb\xbf\r\n \xef\xbb\xbf\t" + body.encode() + b"\r\n\x00 "
    assert PARSERS[parser](wrapped) == meaning


@pytest.mark.parametrize(("_", "body", "meaning"), ODD_CODE_REPLIES, ids=[reply[0] for reply in ODD_CODE_REPLIES])
def test_an_odd_reply_to_code_is_understood(_: str, body: str, meaning: CodeReply | type[ThueSimError]) -> None:
    if isinstance(meaning, CodeReply):
        assert PARSERS["code"](body.encode()) == meaning
        return
    with pytest.raises(ThueSimError) as caught:
        PARSERS["code"](body.encode())
    assert type(caught.value) is meaning


def test_the_payloads_that_the_code_names_are_in_the_tables() -> None:
    names = {payload[0] for payload in PAYLOADS} | {reply[0] for reply in ODD_CODE_REPLIES}
    for module in (fields, replies):
        comments = re.findall(r'# (".+)$', inspect.getsource(module), re.MULTILINE)
        assert comments
        assert set(re.findall(r'"([^"]+)"', " ".join(comments))) <= names


WARNING = "<br />\n<b>Warning</b>:  Undefined array key 1 in <b>/api/index.php</b> on line <b>97</b><br />\n"


@pytest.mark.parametrize(("_", "parser", "body", "meaning"), PAYLOADS, ids=IDS)
def test_php_warnings_before_it_change_nothing(_: str, parser: str, body: str, meaning: object) -> None:
    if parser != "callback":
        assert PARSERS[parser]((WARNING + body).encode()) == meaning


def test_json_inside_a_web_page_is_no_reply() -> None:
    for page in (
        '<html><script type="application/ld+json">{"@context":"https://schema.org"}</script></html>',
        '<html><script>var reply = {"status_code":200,"success":true,"data":{"balance":1}}</script></html>',
        '<html>{"data":{"balance":1}}',
    ):
        with pytest.raises(errors.Gibberish, match="web page"):
            PARSERS["balance"](page.encode())


@pytest.mark.parametrize("spell", [str.upper, str.lower, str.title, str.swapcase], ids=lambda spell: spell.__name__)
@pytest.mark.parametrize(("_", "parser", "body", "meaning"), PAYLOADS, ids=IDS)
def test_the_case_of_its_keys_changes_nothing(_: str, parser: str, body: str, meaning: object, spell: object) -> None:
    def respelled(pairs: list[tuple[str, object]]) -> dict[str, object]:
        return {spell(key): value for key, value in pairs}  # type: ignore[operator]

    document = json.loads(body, object_pairs_hook=respelled)
    assert PARSERS[parser](json.dumps(document).encode()) == meaning


@pytest.mark.parametrize(("_", "parser", "body", "meaning"), PAYLOADS, ids=IDS)
def test_numbers_and_booleans_as_text_change_nothing(_: str, parser: str, body: str, meaning: object) -> None:
    def as_text(value: object) -> object:
        if isinstance(value, dict):
            return {key: as_text(item) for key, item in value.items()}
        if isinstance(value, list):
            return [as_text(item) for item in value]
        return {True: "true", False: "false"}[value] if isinstance(value, bool) else value

    document = as_text(json.loads(body, parse_float=str, parse_int=str))
    assert PARSERS[parser](json.dumps(document).encode()) == meaning


def dressed(family: str, parser: str, payload: object, message: str) -> dict[str, object]:
    if family == "A":
        return {"status_code": 200, "success": True, "message": message, "data": payload}
    if family == "C":
        return {"ResponseCode": 0, "Msg": message, "Result": payload}
    return {"ResponseCode": 1, "Message": message, "RequestLog" if parser.startswith("rent") else "Data": payload}


@pytest.mark.parametrize("family", "ABC")
@pytest.mark.parametrize(("_", "parser", "body", "meaning"), PAYLOADS, ids=IDS)
def test_each_payload_is_understood_in_each_envelope(
    _: str, parser: str, body: str, meaning: object, family: str
) -> None:
    document = json.loads(body, parse_float=str)
    payload = next((document[key] for key in ("data", "Data", "RequestLog", "Result") if key in document), None)
    if parser == "callback" or payload is None:
        return
    message = str(document.get("message") or document.get("Message") or "")
    reply = dressed(family, parser, payload, message)
    if "Balance" in document:
        reply["Balance"] = document["Balance"]
    assert PARSERS[parser](json.dumps(reply).encode()) == meaning


PAGE_REFUSALS = [
    (401, "Lỗi xác thực", errors.InvalidToken),
    (429, "Limit exceeded, tối đa 10 số chờ tin nhắn", errors.PendingLimitReached),
    (429, "Limit exceeded, tối đa $ số chờ tin nhắn", errors.PendingLimitReached),
    (-1, "Có lỗi", errors.UpstreamError),
    (-2, "Số dư tài khoản không đủ", errors.InsufficientBalance),
    (-3, "Kho số đang tạm hết, vui lòng liên hệ hỗ trợ", errors.OutOfStock),
    (-4, "Ứng dụng không tồn tại hoặc đang tạm ngưng", errors.ServiceUnavailable),
]


@pytest.mark.parametrize("as_text", [True, False])
@pytest.mark.parametrize(("code", "message", "error"), PAGE_REFUSALS)
def test_each_refusal_of_the_page_is_its_own_error_in_each_envelope(
    code: int, message: str, error: type[ThueSimError], as_text: bool
) -> None:
    drifts: list[Drift] = []
    told = str(code) if as_text else code
    replies = [
        {"status_code": told, "success": False, "message": message},
        {"status_code": told, "success": "false", "message": message, "data": None},
        {"status_code": told, "success": False, "message": message, "data": []},
        {"ResponseCode": told, "Message": message},
        {"ResponseCode": 0, "Msg": message, "RequestLog": None},
    ]
    for reply in replies:
        with pytest.raises(ThueSimError) as caught:
            PARSERS["rent"](json.dumps(reply).encode(), on_drift=drifts.append)
        assert type(caught.value) is error
        assert caught.value.message == message
        assert isinstance(caught.value, errors.NotRented)
    assert [drift.form for drift in drifts if "status_code" in drift.form] == []


@pytest.mark.parametrize(("code", "message", "error"), PAGE_REFUSALS)
def test_the_code_alone_tells_the_error_in_envelope_a(code: int, message: str, error: type[ThueSimError]) -> None:
    with pytest.raises(error):
        PARSERS["rent"](json.dumps({"status_code": code, "success": False, "message": "?"}).encode())


def test_the_waiting_limit_is_read_from_the_words() -> None:
    for words, limit in (("tối đa 10 số chờ", 10), ("toi da 7 so cho", 7), ("tối đa $ số chờ", None)):
        with pytest.raises(errors.PendingLimitReached) as caught:
            PARSERS["rent"](json.dumps({"status_code": 429, "message": f"Limit exceeded, {words} tin nhắn"}).encode())
        assert caught.value.limit == limit


@pytest.mark.parametrize(
    "reply",
    [
        '{"ResponseCode":3,"Msg":"Sai mã"}',
        '{"status_code":-2,"success":false,"message":"Mã phiên không đúng"}',
        '{"status_code":-2,"success":false,"message":"?"}',
        '{"ResponseCode":1,"Msg":"Mã phiên không đúng"}',
        '{"ResponseCode":4,"Msg":"Ma phien khong dung"}',
    ],
)
def test_a_wrong_id_is_an_unknown_session(reply: str) -> None:
    with pytest.raises(errors.UnknownSession):
        PARSERS["code"](reply.encode())


@pytest.mark.parametrize(
    "reply",
    [
        '{"ResponseCode":1}',
        '{"ResponseCode":"1","Msg":null,"Result":null}',
        '{"ResponseCode":1,"Msg":"","Result":{"SMS":null,"Code":null,"IsCall":false,"CallFile":null}}',
        '{"ResponseCode":0,"Msg":"OK","Result":{"SMS":"","Code":"","IsCall":false,"CallFile":""}}',
        '{"ResponseCode":0,"Msg":"OK","Result":{}}',
        '{"ResponseCode":0,"Msg":"OK","Result":[]}',
        '{"ResponseCode":1,"Data":{"Code":null,"SmsContent":null,"Status":0}}',
        '{"status_code":200,"success":true,"message":"successful","data":{"ID":"5","Status":0,"Code":"","SmsContent":""}}',
        '{"status_code":200,"success":true,"data":{"Status":1,"Code":null,"SmsContent":null}}',
        '{"status_code":200,"success":true,"data":{"Status":7}}',
        '{"status_code":200,"success":true,"data":{"SmsContent":"Đợi tin nhắn","StatusStr":"Đợi tin nhắn"}}',
        '{"status_code":97,"success":true,"message":"successful","data":{"ID":"5","Status":0,"Code":null}}',
        '{"ResponseCode":97,"Msg":"Đợi tin nhắn"}',
        '{"ResponseCode":97,"Msg":"Chưa nhận được tin nhắn nào"}',
        '{"ResponseCode":1,"Msg":"Vui lòng thử lại sau 5 giây"}',
        '{"status_code":200,"success":true,"data":null}',
        '{"status_code":200,"success":true}',
    ],
)
def test_a_good_reply_without_a_code_means_waiting(reply: str) -> None:
    assert PARSERS["code"](reply.encode()) == CodeReply(State.WAITING, None)


@pytest.mark.parametrize(
    "reply",
    [
        '{"ResponseCode":"2"}',
        '{"ResponseCode":2,"Msg":"Quá thời gian chờ","Result":null}',
        '{"status_code":200,"success":true,"data":{"Status":"2","Code":null}}',
        '{"status_code":200,"success":true,"data":{"StatusStr":"Hết hạn"}}',
    ],
)
def test_only_a_positive_word_means_expired(reply: str) -> None:
    assert PARSERS["code"](reply.encode()) == CodeReply(State.EXPIRED, None)


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        ('{"status_code":401,"success":false,"message":"Lỗi xác thực"}', errors.InvalidToken),
        ('{"ResponseCode":1,"Msg":"Lỗi xác thực"}', errors.InvalidToken),
        ('{"ResponseCode":-1,"Msg":"Có lỗi"}', errors.UpstreamError),
        ('{"status_code":200,"success":false,"message":"Có lỗi"}', errors.UpstreamError),
        ('{"ResponseCode":97,"Msg":"Tài khoản bị khoá"}', errors.UpstreamError),
        ('{"ResponseCode":97,"Msg":"Số dư tài khoản không đủ"}', errors.InsufficientBalance),
        ('{"ResponseCode":97,"Msg":"Hết hạn"}', errors.UpstreamError),
        ('{"status_code":97,"success":false,"message":"Đợi tin nhắn"}', errors.UpstreamError),
        ('{"status_code":503,"success":false,"message":"bảo trì"}', errors.ServerError),
        ("{}", errors.Gibberish),
        ("[]", errors.Gibberish),
        ("null", errors.Gibberish),
        ('"Lỗi xác thực"', errors.Gibberish),
        ('{"message":"hello"}', errors.Gibberish),
    ],
)
def test_an_error_is_never_waiting_nor_expired(reply: str, error: type[ThueSimError]) -> None:
    with pytest.raises(ThueSimError) as caught:
        PARSERS["code"](reply.encode())
    assert type(caught.value) is error


@pytest.mark.parametrize(
    "reply",
    [
        '{"ResponseCode":2,"Result":{"Code":"123456","SMS":"late"}}',
        '{"ResponseCode":0,"Msg":"OK","Data":{"Code":"123456","SMS":"late"}}',
        '{"status_code":200,"success":true,"data":{"Status":0,"Code":"123456","SmsContent":"late"}}',
        '{"status_code":200,"success":true,"data":[{"Status":1,"Code":123456,"SmsContent":"late"}]}',
    ],
)
def test_a_message_in_hand_is_received_whatever_else_is_said(reply: str) -> None:
    found = PARSERS["code"](reply.encode())
    assert isinstance(found, CodeReply)
    assert found.state is State.RECEIVED
    assert found.message
    assert (found.message.code, found.message.text) == ("123456", "late")


@pytest.mark.parametrize(
    "reply",
    [
        '{"ResponseCode":1,"Message":"Tạo yêu cầu thành công !"}',
        '{"ResponseCode":1,"RequestLog":{}}',
        '{"ResponseCode":1,"RequestLog":[]}',
        '{"ResponseCode":1,"RequestLog":null,"Message":"Kho số đang tạm hết"}',
        '{"ResponseCode":1,"RequestLog":{"ID":88237016.01,"Phone":null}}',
        '{"ResponseCode":1,"RequestLog":{"ID":0,"Phone":"0852222127"}}',
        '{"ResponseCode":1,"RequestLog":{"ID":1,"Phone":"***"}}',
        '{"ResponseCode":0,"Message":"Có lỗi","RequestLog":{"ID":88237016.01,"Phone":"0852222127"}}',
        '{"status_code":-3,"success":false,"data":{"request_id":"5","phone_number":"852222127"}}',
        '{"status_code":200,"success":true}',
        '{"status_code":17,"success":true,"message":"?"}',
        '{"status_code":1,"message":"Tạo yêu cầu thành công !"}',
        '{"ResponseCode":0,"Msg":"OK"}',
        '{"ResponseCode":0}',
        '{"ResponseCode":5,"Message":"Thành công"}',
        '{"ResponseCode":1,"Result":{"SMS":null}}',
    ],
)
def test_a_reply_that_is_neither_a_clear_yes_nor_a_clear_no_is_uncertain(reply: str) -> None:
    with pytest.raises(errors.OutcomeUnknown):
        PARSERS["rent"](reply.encode())


@pytest.mark.parametrize(
    "reply",
    [
        '{"ResponseCode":0,"Message":"Có lỗi"}',
        '{"ResponseCode":0,"Message":"Tạo yêu cầu không thành công"}',
        '{"status_code":-1,"success":true,"message":"Có lỗi"}',
        '{"ResponseCode":9}',
        '{"status_code":17,"success":false,"message":"?","data":"?"}',
    ],
)
def test_an_unknown_refusal_is_a_refusal(reply: str) -> None:
    with pytest.raises(errors.UpstreamError):
        PARSERS["rent"](reply.encode())
