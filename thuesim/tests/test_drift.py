"""Deviations from the reference are told, and nothing personal with them."""

import contextlib
import json

import pytest

from thuesim import Client, Rented, parse_callback, replies
from thuesim.drift import MAX_SAMPLE_LENGTH, Drift, shape
from thuesim.errors import ThueSimError

from .parsers import PARSERS
from .upstream import HTML, Upstream, answer

TOKEN = "12345-0123456789abcdef0123456789abea57"


def forms(parser: str, body: str) -> list[str]:
    drifts: list[Drift] = []
    with contextlib.suppress(ThueSimError):
        PARSERS[parser](body.encode(), on_drift=drifts.append)
    assert {drift.endpoint for drift in drifts} <= {parser}
    return [drift.form for drift in drifts]


@pytest.mark.parametrize(
    ("parser", "body", "form"),
    [
        ("balance", '{"status_code":200,"data":{"balance":1,"Bonus":5}}', "unknown field: data.Bonus"),
        ("balance", '{"status_code":200,"took":5,"data":{"balance":1}}', "unknown field: took"),
        ("balance", '{"ResponseCode":1,"Data":{"balance":1}}', "envelope B"),
        ("balance", '{"data":{"balance":1}}', "no status key"),
        ("balance", '{"status_code":17,"success":false,"message":"x"}', "unknown status_code: 17"),
        ("balance", '{"ResponseCode":9,"Msg":"Tài khoản bị khoá"}', "unknown refusal, code 9"),
        ("balance", '{"status_code":200,"data":{}}', "not understood: the answer holds no balance"),
        ("balance", "<html>", "not understood: the answer was a web page"),
        ("balance", "", "not understood: the answer was empty"),
        ("networks", '{"status_code":200,"data":[{"id":1,"name":"X","logo":"x.png"}]}', "unknown field: data.logo"),
        ("networks", '{"status_code":200,"data":[{"id":1}]}', "an element without a name"),
        ("services", '{"ResponseCode":1,"Data":[7]}', "an element that is no object"),
        ("services", '{"ResponseCode":1,"Data":[{"ID":1,"PRICE":"free"}]}', "a price that is none"),
        ("services", '{"ResponseCode":1,"Data":[{"ID":1,"PRICE":5}]}', "a price outside 50 to 100,000 đ"),
        ("services", '{"ResponseCode":1,"Data":[{"ID":1,"Time":"soon"}]}', "a time that is none"),
        ("services", '{"ResponseCode":1,"Data":{"0":{"ID":1}}}', "an object instead of a list"),
        ("services", '{"ResponseCode":1,"Data":null}', "null instead of a list"),
        ("rent", '{"status_code":200,"data":{"request_id":1,"phone_number":"12345678"}}', "a phone number of 8 digits"),
        ("code", '{"status_code":200,"data":{"Status":3}}', "unknown status: 3"),
        ("code", '{"status_code":200,"data":{"Status":1}}', "received, without a message"),
        ("code", '{"status_code":200,"data":[{"Status":0}]}', "a list instead of an object"),
        ("code", '{"ResponseCode":2,"Result":{"Code":"1234"}}', "a message in a reply that tells of none"),
        ("code", '{"ResponseCode":1,"Msg":"Lỗi xác thực"}', "ResponseCode 1 with the words of InvalidToken"),
        (
            "code",
            '{"ResponseCode":0,"Result":{"SMS":"Ma OTP 529310 nam 2026","Code":"2026"}}',
            "a code that is not the one in the text",
        ),
        (
            "callback",
            '{"data":{"requestId":5,"status":1,"smsContent":"ma 4821, OTP 529310","code":"4821"}}',
            "a code that the text names beside another one",
        ),
        (
            "code",
            '{"ResponseCode":0,"Result":{"SMS":"Chuc mung nam moi 2026","Code":"2026"}}',
            "a code that is another number of the text",
        ),
        ("history", '{"status_code":200,"data":[{"ID":1,"CreatedTime":"now"}]}', "a time that is none"),
        ("history", '{"status_code":200,"data":[{"Phone":"1"}]}', "an element without an id"),
        ("callback", '{"data":{"requestId":5,"status":0,"simId":7}}', "unknown field: data.simId"),
    ],
)
def test_each_deviation_has_its_own_words(parser: str, body: str, form: str) -> None:
    assert form in forms(parser, body)


def test_the_sample_keeps_keys_and_shapes_but_nothing_personal() -> None:
    body = {
        "status_code": 200,
        "success": True,
        "message": "successful",
        "data": {
            "request_id": "122314",
            "phone_number": "987654321",
            "Owner": "Nguyễn Văn A",
            "0987654321": "x",
            "Status": 7,
            "SmsContent": "Ma 529310",
            "token": TOKEN,
        },
    }
    drifts: list[Drift] = []
    replies.parse_rented(json.dumps(body).encode(), on_drift=drifts.append)
    sample = drifts[0].sample
    for secret in ("122314", "987654321", "Nguyễn", "529310", TOKEN, "0123456789abcdef"):
        assert secret not in "".join(drift.sample + drift.form for drift in drifts)
    for kept in ('"status_code": "200"', '"phone_number": "000000000"', '"Owner": "xxxxxx xxx x"', '"Status": "7"'):
        assert kept in sample
    assert '"message": "successful"' in sample


def test_samples_are_bounded() -> None:
    huge = {"a": ["x" * 1000] * 1000, **{f"k{n}": "v" * 500 for n in range(500)}}
    assert len(shape(huge)) <= MAX_SAMPLE_LENGTH
    assert len(forms("balance", json.dumps({"status_code": 200, "data": huge | {"balance": 1}}))) <= 10


def test_a_form_is_the_same_for_the_same_deviation_whatever_the_values() -> None:
    entries = [json.dumps({"status_code": 200, "data": [{"ID": n, f"x{n}": 1}]}) for n in (1234567, 7654321)]
    assert forms("history", entries[0]) == forms("history", entries[1]) == ["unknown field: data.x0000000"]


def test_one_bad_element_hides_no_other_in_the_history() -> None:
    rows = [None, 7, {"ID": None}, {"ID": 5, "Phone": {}, "Price": [], "CreatedTime": True}, {"ID": "6.02"}]
    found = replies.parse_history(json.dumps({"status_code": 200, "data": rows}).encode())
    assert [entry.id for entry in found] == ["5", "6.02"]


def test_the_client_tells_its_observer() -> None:
    drifts: list[Drift] = []
    with Upstream(answer('{"status_code":200,"data":{"balance":1,"x":2}}')) as server:
        Client(TOKEN, server.url, on_drift=drifts.append).balance()
    assert [(drift.endpoint, drift.form) for drift in drifts] == [("balance", "unknown field: data.x")]


def test_an_error_page_under_an_error_status_is_no_news() -> None:
    drifts: list[Drift] = []
    with Upstream(answer(HTML, "502 Bad Gateway")) as server, pytest.raises(ThueSimError):
        Client(TOKEN, server.url, on_drift=drifts.append).balance()
    assert drifts == []


def test_an_observer_that_fails_does_not_lose_the_number(caplog: pytest.LogCaptureFixture) -> None:
    def failing(news: object) -> None:
        raise RuntimeError("the database is away")

    body = '{"ResponseCode":1,"Extra":1,"RequestLog":{"ID":1.02,"Phone":"0852222127"}}'
    with Upstream(answer(body)) as server:
        rented = Client(TOKEN, server.url, on_drift=failing, on_call=failing).rent("02.97")
    assert isinstance(rented, Rented)
    assert "a hook of the client failed: RuntimeError" in caplog.text


def test_without_an_observer_nothing_changes() -> None:
    assert parse_callback(b'{"requestId":5,"unheard":1}').id == "5"
