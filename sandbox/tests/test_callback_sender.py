"""Posting callbacks: the forms of their bodies, and addresses where nothing answers."""

import json
from urllib.parse import parse_qs

import pytest

from sandbox.server import Sandbox
from sandbox.tests.conftest import Receiver, eventually, rent, rent_with_callbacks


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/", "http://127.0.0.1:9/à b", "nonsense", "http://[/"])
def test_an_address_that_does_not_answer_is_recorded_as_http_0(sandbox: Sandbox, url: str) -> None:
    sandbox.set_callback_url(url)
    number = rent(sandbox)["ID"]
    sandbox.deliver(number, "1234", "1234")
    assert eventually(lambda: sandbox.books()["callbacks"])[0]["http"] == 0


def test_faults_change_the_form_of_the_body(sandbox: Sandbox, receiver: Receiver) -> None:
    number = rent_with_callbacks(sandbox, receiver)

    def body(fault: str) -> tuple[str, str]:
        sandbox.clear_faults()
        sandbox.set_fault(fault)
        count = len(receiver.posts)
        sandbox.deliver(number, "mã 1234", "1234")
        eventually(lambda: len(receiver.posts) > count)
        content_type, raw = receiver.posts[count]
        return content_type, raw.decode()

    content_type, text = body("callback-form")
    assert content_type == "application/x-www-form-urlencoded"
    assert parse_qs(text)["requestId"] == [number]
    assert parse_qs(text)["smsContent"] == ["mã 1234"]
    assert parse_qs(body("callback-form-nested")[1])["data[code]"] == ["1234"]
    assert json.loads(body("callback-nested")[1])["result"]["code"] == "1234"
    assert json.loads(body("callback-flat")[1])["code"] == "1234"
    assert json.loads(body("callback-full-id")[1])["data"]["requestId"] == f"{number}.02"
    assert json.loads(body("numbers-as-strings")[1])["data"]["status"] == "1"
