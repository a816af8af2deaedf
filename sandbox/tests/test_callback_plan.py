"""Which callbacks are sent for a message or an expiry, when, and with which faults."""

import json

from sandbox.server import Sandbox
from sandbox.tests.conftest import Receiver, ask, eventually, rent_with_callbacks


def test_a_message_is_announced_in_the_form_of_the_api_page(sandbox: Sandbox, receiver: Receiver) -> None:
    number = rent_with_callbacks(sandbox, receiver)
    sandbox.deliver(number, "486460 la ma xac thuc", "486460")
    (body,) = receiver.wait_for(1)
    assert receiver.posts[0][0] == "application/json"
    fields = {"status": 1, "requestId": number, "code": "486460", "smsContent": "486460 la ma xac thuc"}
    assert body == {"data": fields | {"isSound": "false"}}
    (recorded,) = eventually(lambda: sandbox.books()["callbacks"])
    assert (recorded["http"], recorded["rental"]) == (200, int(number))


def test_a_voice_call_is_announced_with_the_address_of_its_audio(sandbox: Sandbox, receiver: Receiver) -> None:
    number = rent_with_callbacks(sandbox, receiver)
    sandbox.deliver(number, "[Call] 1234", "1234", call=True)
    data = receiver.wait_for(1)[0]["data"]
    assert data["isSound"] == "true"
    assert data["smsContent"].startswith(f"{sandbox.url}/audio/")


def test_an_expiry_is_announced(sandbox: Sandbox, receiver: Receiver) -> None:
    number = rent_with_callbacks(sandbox, receiver)
    sandbox.expire(number)
    assert receiver.wait_for(1)[0]["data"]["status"] == 2


def test_a_callback_can_be_sent_twice(sandbox: Sandbox, receiver: Receiver) -> None:
    sandbox.deliver(rent_with_callbacks(sandbox, receiver, "callback-twice"), "1234", "1234")
    first, second = receiver.wait_for(2)
    assert first == second


def test_a_callback_can_be_sent_late(sandbox: Sandbox, receiver: Receiver) -> None:
    number = rent_with_callbacks(sandbox, receiver, "callback-late:100")
    sandbox.deliver(number, "late", "1111")
    sandbox.advance(60)
    sandbox.clear_faults()
    sandbox.deliver(number, "in time", "2222")
    assert [body["data"]["code"] for body in receiver.wait_for(1)] == ["2222"]
    sandbox.advance(41)
    assert [body["data"]["code"] for body in receiver.wait_for(2)] == ["2222", "1111"]


def test_a_callback_can_be_left_out(sandbox: Sandbox, receiver: Receiver) -> None:
    number = rent_with_callbacks(sandbox, receiver, "callback-never")
    sandbox.deliver(number, "1234", "1234")
    sandbox.clear_faults()
    sandbox.deliver(number, "5678", "5678")
    assert receiver.wait_for(1)[0]["data"]["code"] == "5678"


def test_a_callback_can_be_overtaken_by_a_later_one(sandbox: Sandbox, receiver: Receiver) -> None:
    number = rent_with_callbacks(sandbox, receiver, "callback-out-of-order:60")
    sandbox.deliver(number, "first", "1111")
    sandbox.clear_faults()
    sandbox.deliver(number, "second", "2222")
    assert [body["data"]["code"] for body in receiver.wait_for(2)] == ["2222", "1111"]


def test_a_callback_can_be_sent_before_the_rent_is_answered(receiver: Receiver) -> None:
    with Sandbox(gap=0) as sandbox:
        number = rent_with_callbacks(sandbox, receiver, "callback-early", "slow-reply:0")
        # No waiting: the reply has just arrived, and the callback was there before it.
        (body,) = [json.loads(body) for _, body in receiver.posts]
        assert body["data"]["requestId"] == number
        assert ask(sandbox, "code", ID=number).json["ResponseCode"] == 0


def test_a_callback_for_an_unknown_rental_can_be_sent_as_well(sandbox: Sandbox, receiver: Receiver) -> None:
    number = rent_with_callbacks(sandbox, receiver, "callback-unknown-id")
    sandbox.deliver(number, "1234", "1234")
    ids = {body["data"]["requestId"] for body in receiver.wait_for(2)}
    assert ids == {number, str(int(number) + 50_000_000)}


def test_a_wrong_expiry_can_be_sent_before_the_message(sandbox: Sandbox, receiver: Receiver) -> None:
    sandbox.deliver(rent_with_callbacks(sandbox, receiver, "callback-expired-first"), "1234", "1234")
    assert [body["data"]["status"] for body in receiver.wait_for(2)] == [2, 1]


def test_a_body_that_is_not_json_can_be_sent_as_well(sandbox: Sandbox, receiver: Receiver) -> None:
    sandbox.deliver(rent_with_callbacks(sandbox, receiver, "callback-junk"), "1234", "1234")
    eventually(lambda: len(receiver.posts) == 2)
    assert b"status=1&{not json" in [body for _, body in receiver.posts]
