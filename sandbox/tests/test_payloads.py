"""Each endpoint answers in the form of the API page, in each envelope, and in many forms at once."""

import io
import json
import re
import wave
from typing import Any

import pytest

from sandbox.server import Sandbox
from sandbox.tests.conftest import ask, fetch, rent

NETWORKS = (
    '{"status_code":200,"success":true,"message":"successful","data":[{"id":1,"name":"MOBIFONE"},'
    '{"id":2,"name":"VINAPHONE"},{"id":3,"name":"VIETTEL"},{"id":4,"name":"VIETNAMOBILE"},{"id":5,"name":"ITELECOM"}]}'
)
RENTED = json.loads(
    '{"RequestLog":{"ID":88237016.01,"ServiceID":4,"ServiceName":"Yahoo","IMG":"Yahoo.ico","Price":470,'
    '"Phone":" 0852222127","SmsContent":null,"StatusStr":"Đợi tin nhắn","CreatedTime":"2021-10-16T09:27:01",'
    '"IsSound":false,"Code":null},"Balance":123456,"ResponseCode":1,"Message":"Tạo yêu cầu Yahoo thành công !"}'
)
HISTORY_ROW = json.loads(
    '{"ID":58098,"ServiceID":1,"ServiceName":"Momo","Status":1,"Price":600,"Phone":"987654321",'
    '"SmsContent":"486460 la ma xac thuc","IsSound":"false","CreatedTime":"2020-08-06T17:13:24.88","Code":"486460"}'
)


def form(value: Any) -> Any:
    """The keys in their order and the types below them."""
    if isinstance(value, dict):
        return [(key, form(item)) for key, item in value.items()]
    return [form(item) for item in value] if isinstance(value, list) else type(value).__name__


def test_balance_is_printed_as_on_the_api_page(sandbox: Sandbox) -> None:
    sandbox.set_balance(123456)
    printed = '{"status_code":200,"success":true,"message":"successful","data":{"balance":123456}}'
    assert ask(sandbox, "balance").text == printed


def test_networks_are_printed_as_on_the_api_page(sandbox: Sandbox) -> None:
    assert ask(sandbox, "networks").text == NETWORKS


def test_services_are_printed_as_on_the_api_page(sandbox: Sandbox) -> None:
    text = ask(sandbox, "service").text
    assert text.startswith('{"ResponseCode":1,"Data":[{"ID":')
    assert '{"ID":97,"SV":"02","SERVICE_NAME":"DV KHÁC (TEST)","PRICE":1450,"Time":"300"}' in text


def test_services_can_be_printed_in_the_short_form(sandbox: Sandbox) -> None:
    sandbox.set_fault("services-short")
    sandbox.change_settings(envelope="A")
    assert '"data":[{"id":7,"name":"Facebook","price":"800"},{"id":1,"name":"Momo","price":"350"}' in (
        ask(sandbox, "service").text
    )


def test_a_rent_is_printed_as_on_the_api_page(sandbox: Sandbox) -> None:
    answer = ask(sandbox, "rent", serviceId="01.4")
    parsed = json.loads(answer.text)
    assert form(parsed) == form(RENTED)
    assert '"ID":88237016.01,' in answer.text
    assert re.fullmatch(r" 0\d{9}", parsed["RequestLog"]["Phone"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", parsed["RequestLog"]["CreatedTime"])
    assert parsed["Message"] == "Tạo yêu cầu Yahoo thành công !"
    assert parsed["Balance"] == 500_000 - 470


def test_an_id_keeps_the_zero_at_its_end(sandbox: Sandbox) -> None:
    assert '"ID":88237016.10,' in ask(sandbox, "rent", serviceId="10.40").text


def test_a_message_is_printed_as_on_the_api_page(sandbox: Sandbox) -> None:
    rental = rent(sandbox)
    sandbox.deliver(rental["ID"], "ma kich hoat: 529310. Vui long khong chia se", "529310")
    assert ask(sandbox, "code", ID=rental["ID"]).text == (
        '{"ResponseCode":0,"Msg":"OK","Result":{"SMS":"ma kich hoat: 529310. Vui long khong chia se",'
        '"Code":"529310","IsCall":false,"CallFile":null}}'
    )


def test_a_voice_call_is_printed_as_on_the_api_page_and_can_be_heard(sandbox: Sandbox) -> None:
    rental = rent(sandbox)
    sandbox.deliver(rental["ID"], "[Call]mã otp của bạn là 059809", "059809", call=True)
    result = ask(sandbox, "code", ID=rental["ID"]).json["Result"]
    assert (result["Code"], result["IsCall"]) == ("059809", True)
    phone = rental["Phone"].strip()[1:]
    address = rf"{re.escape(sandbox.url)}/audio/play\.php\?01=\d+_\w+\.wav&phone={phone}"
    assert re.fullmatch(address, result["CallFile"])
    audio = fetch(result["CallFile"])
    assert audio.headers["content-type"] == "audio/x-wav"
    with wave.open(io.BytesIO(audio.body)) as sound:
        assert sound.getnframes() > 0


def test_waiting_expired_and_unknown_rentals_have_codes_of_their_own(sandbox: Sandbox) -> None:
    rental = rent(sandbox)
    assert ask(sandbox, "code", ID=rental["ID"]).text == '{"ResponseCode":1,"Msg":"Đợi tin nhắn"}'
    sandbox.expire(rental["ID"])
    assert ask(sandbox, "code", ID=rental["ID"]).text == '{"ResponseCode":2,"Msg":"Hết hạn"}'
    assert ask(sandbox, "code", ID="1.01").text == '{"ResponseCode":3,"Msg":"Mã phiên không đúng"}'


def test_history_is_printed_as_on_the_api_page(sandbox: Sandbox) -> None:
    text, call = rent(sandbox), rent(sandbox)
    sandbox.deliver(text["ID"], "486460 la ma xac thuc", "486460")
    sandbox.deliver(call["ID"], "[Call] 486460", "486460", call=True)
    answer = json.loads(ask(sandbox, "history").text)
    assert list(answer) == ["status_code", "success", "message", "data"]
    newest, oldest = answer["data"]
    assert form(newest) == form(oldest) == form(HISTORY_ROW)
    assert oldest["ID"] == int(text["ID"].split(".")[0])
    assert (oldest["IsSound"], newest["IsSound"]) == ("false", "true")
    assert newest["SmsContent"].startswith(f"{sandbox.url}/audio/")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d\d", newest["CreatedTime"])


def test_envelope_a_for_rents_and_codes(sandbox: Sandbox) -> None:
    sandbox.change_settings(envelope="A")
    data = ask(sandbox, "rent", serviceId="02.97").json["data"]
    assert form(data) == form({"phone_number": "987654321", "balance": 50000, "request_id": "122314"})
    sandbox.deliver(data["request_id"], "486460 la ma", "486460")
    row = ask(sandbox, "code", ID=data["request_id"]).json["data"]
    assert row.keys() == HISTORY_ROW.keys()
    assert (row["ID"], row["Status"], row["IsSound"]) == (data["request_id"], 1, False)


@pytest.mark.parametrize("endpoint", ["balance", "networks", "service", "rent", "code", "history"])
@pytest.mark.parametrize(
    ("envelope", "status", "success", "payload"),
    [("A", "status_code", 200, "data"), ("B", "ResponseCode", 1, "Data"), ("C", "ResponseCode", 0, "Result")],
)
def test_every_endpoint_answers_in_every_envelope(
    sandbox: Sandbox, endpoint: str, envelope: str, status: str, success: int, payload: str
) -> None:
    rental = rent(sandbox)
    sandbox.deliver(rental["ID"], "1234 is it", "1234")
    sandbox.change_settings(envelope=envelope)
    answer = ask(sandbox, endpoint, ID=rental["ID"], serviceId="02.97").json
    payload = "RequestLog" if (endpoint, envelope) == ("rent", "B") else payload
    assert answer[status] == success
    assert answer[payload]


def test_refusals_take_the_form_of_their_envelope(sandbox: Sandbox) -> None:
    expected = {
        "A": '{"status_code":-4,"success":false,"message":"Ứng dụng không tồn tại hoặc đang tạm ngưng"}',
        "B": '{"ResponseCode":-4,"Message":"Ứng dụng không tồn tại hoặc đang tạm ngưng"}',
        "C": '{"ResponseCode":-4,"Msg":"Ứng dụng không tồn tại hoặc đang tạm ngưng"}',
    }
    for envelope, text in expected.items():
        sandbox.change_settings(envelope=envelope)
        assert ask(sandbox, "rent", serviceId="09.9").text == text


def test_the_mixed_envelope_prints_the_same_in_many_forms(sandbox: Sandbox) -> None:
    sandbox.change_settings(envelope="mixed")
    bodies = {ask(sandbox, "balance").text for _ in range(40)}
    assert len(bodies) > 6
    assert all("500000" in body for body in bodies)
