"""The messages that services send: their codes, their number, and the audio of voice calls."""

import re

import pytest

from sandbox.server import Sandbox
from sandbox.tests.conftest import ask, rent


@pytest.mark.parametrize(
    ("service", "code"),
    [("01.5", r"G-\d{6}"), ("01.6", r"0\d{5}"), ("02.97", r"\d{6}"), ("01.28", r"LN-\d{6}"), ("01.2", r"\d{6}")],
)
def test_services_send_codes_of_several_kinds(service: str, code: str) -> None:
    with Sandbox(gap=0) as sandbox:
        rental = rent(sandbox, service)
        sandbox.advance(30)
        result = ask(sandbox, "code", ID=rental["ID"]).json["Result"]
    assert re.fullmatch(code, result["Code"])
    assert result["Code"] in result["SMS"]
    assert result["IsCall"] is (service == "01.2")


def test_a_code_can_be_null_and_only_in_the_text() -> None:
    with Sandbox(gap=0) as sandbox:
        rental = rent(sandbox, "01.11")
        sandbox.advance(30)
        result = ask(sandbox, "code", ID=rental["ID"]).json["Result"]
        recorded = sandbox.books()["rentals"][0]["messages"][0]
    assert result["Code"] is None
    assert recorded["code"] in result["SMS"]
    assert recorded["code_shown"] is False


def test_a_second_message_replaces_the_first_and_both_are_in_the_books() -> None:
    with Sandbox(gap=0, message_after=(1, 1)) as sandbox:
        rental = rent(sandbox, "01.3")
        sandbox.advance(1.1)
        first = ask(sandbox, "code", ID=rental["ID"]).json["Result"]["Code"]
        sandbox.advance(0.3)
        second = ask(sandbox, "code", ID=rental["ID"]).json["Result"]["Code"]
        assert [message["code"] for message in sandbox.books()["rentals"][0]["messages"]] == [first, second]
    assert first != second
