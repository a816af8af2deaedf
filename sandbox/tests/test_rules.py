"""What becomes of a rental: its message, its expiry, its refund, and the books of all that."""

import re

import pytest

from sandbox.server import Sandbox
from sandbox.tests.conftest import ask, eventually, rent


def status(sandbox: Sandbox, rental: dict[str, str]) -> int:
    return int(ask(sandbox, "code", ID=rental["ID"]).json["ResponseCode"])


def test_a_message_arrives_by_itself() -> None:
    with Sandbox(gap=0, message_after=(0.02, 0.05)) as sandbox:
        rental = rent(sandbox)
        answer = eventually(lambda: ask(sandbox, "code", ID=rental["ID"]).json.get("Result"))
        written = sandbox.books()["rentals"][0]
    assert answer["Code"] == written["messages"][0]["code"]
    assert answer["Code"] in answer["SMS"]
    assert 0.02 <= written["messages"][0]["available_at"] - written["created"] <= 0.05


@pytest.mark.parametrize(
    ("service", "code"),
    [("01.5", r"G-\d{6}"), ("01.6", r"0\d{5}"), ("02.97", r"\d{6}"), ("01.28", r"LN-\d{6}"), ("01.2", r"\d{6}")],
)
def test_services_send_codes_of_many_kinds(service: str, code: str) -> None:
    with Sandbox(gap=0) as sandbox:
        rental = rent(sandbox, service)
        sandbox.advance(30)
        result = ask(sandbox, "code", ID=rental["ID"]).json["Result"]
    assert re.fullmatch(code, result["Code"])
    assert result["Code"] in result["SMS"]
    assert result["IsCall"] is (service == "01.2")


def test_a_code_may_be_null_and_stand_in_the_text() -> None:
    with Sandbox(gap=0) as sandbox:
        rental = rent(sandbox, "01.11")
        sandbox.advance(30)
        result = ask(sandbox, "code", ID=rental["ID"]).json["Result"]
        written = sandbox.books()["rentals"][0]["messages"][0]
    assert result["Code"] is None
    assert written["code"] in result["SMS"]
    assert written["code_shown"] is False


def test_a_second_message_replaces_the_first_and_both_are_in_the_books() -> None:
    with Sandbox(gap=0, message_after=(1, 1)) as sandbox:
        rental = rent(sandbox, "01.3")
        sandbox.advance(1.1)
        first = ask(sandbox, "code", ID=rental["ID"]).json["Result"]["Code"]
        sandbox.advance(0.3)
        second = ask(sandbox, "code", ID=rental["ID"]).json["Result"]["Code"]
        assert [message["code"] for message in sandbox.books()["rentals"][0]["messages"]] == [first, second]
    assert first != second


def test_without_a_message_a_rental_expires_and_is_refunded_later(sandbox: Sandbox) -> None:
    rental = rent(sandbox, "02.99")
    sandbox.advance(59)
    assert status(sandbox, rental) == 1
    sandbox.advance(1)
    assert status(sandbox, rental) == 2
    assert ask(sandbox, "balance").json["data"]["balance"] == 500_000 - 350
    sandbox.advance(60)
    assert ask(sandbox, "balance").json["data"]["balance"] == 500_000
    assert [line["kind"] for line in sandbox.books()["ledger"]] == ["opening", "charge", "refund"]


def test_a_service_that_never_sends_expires() -> None:
    with Sandbox(gap=0) as sandbox:
        rental = rent(sandbox, "02.98")
        sandbox.advance(61)
        assert status(sandbox, rental) == 2


def test_a_rental_with_a_message_does_not_expire(sandbox: Sandbox) -> None:
    rental = rent(sandbox, "02.99")
    sandbox.deliver(rental["ID"], "1234", "1234")
    sandbox.advance(500)
    assert status(sandbox, rental) == 0
    assert sandbox.books()["totals"] == {"opening": 500_000, "charge": -350}


def test_a_late_message_revives_an_expired_rental_and_stops_its_refund(sandbox: Sandbox) -> None:
    rental = rent(sandbox, "02.99")
    sandbox.expire(rental["ID"])
    sandbox.deliver(rental["ID"], "late 4321", "4321")
    sandbox.advance(500)
    assert status(sandbox, rental) == 0
    assert "refund" not in sandbox.books()["totals"]


def test_a_message_is_delivered_by_any_form_of_the_phone(sandbox: Sandbox) -> None:
    for prefix in ("0", "", "84", "+84"):
        rental = rent(sandbox)
        sandbox.deliver(prefix + rental["Phone"].strip()[1:], "1234", "1234")
        assert status(sandbox, rental) == 0
    with pytest.raises(LookupError):
        sandbox.deliver("0999999999", "to nobody")


def test_lifetime_replaces_the_time_of_every_service() -> None:
    with Sandbox(gap=0, message_after=None, lifetime=2, refund_after=1) as sandbox:
        rental = rent(sandbox)
        assert {row.get("Time", "2") for row in ask(sandbox, "service").json["Data"]} == {"2"}
        sandbox.advance(2)
        assert status(sandbox, rental) == 2
        sandbox.advance(1)
        assert sandbox.books()["balance"] == 500_000


def test_the_books_add_up(sandbox: Sandbox) -> None:
    sandbox.change_settings(waiting_limit=50)
    rentals = [rent(sandbox, service) for service in ("01.7", "02.99", "01.2", "02.98", "10.41", "02.99")]
    sandbox.top_up(10_000)
    sandbox.deliver(rentals[0]["ID"], "1234", "1234")
    sandbox.set_stock(0)
    ask(sandbox, "rent", serviceId="02.97")
    sandbox.advance(130)
    books = sandbox.books()
    charged = sum(attempt["price"] for attempt in books["attempts"] if attempt["outcome"] == "charged")
    refunded = sum(rental["price"] for rental in books["rentals"] if rental["refunded"])
    assert refunded == 350 + 400 + 350
    assert charged == sum(rental["price"] for rental in books["rentals"])
    assert books["balance"] == 500_000 + 10_000 - charged + refunded
    assert books["balance"] == sum(line["amount"] for line in books["ledger"])
    assert ask(sandbox, "balance").json["data"]["balance"] == books["balance"]
    assert books["calls"]["rent"] == 7
    eventually(lambda: [attempt["delivered"] for attempt in sandbox.books()["attempts"]] == ["sent"] * 7)


def test_history_takes_filters(sandbox: Sandbox) -> None:
    first, second, third = rent(sandbox, "01.7"), rent(sandbox, "02.97"), rent(sandbox, "02.97")
    sandbox.deliver(first["ID"], "1", "1")
    sandbox.expire(second["ID"])

    def ids(**query: str) -> list[str]:
        return [str(row["ID"]) for row in ask(sandbox, "history", **query).json["data"]]

    one, two, three = (rental["ID"].split(".")[0] for rental in (first, second, third))
    assert ids() == [three, two, one]
    assert ids(service="97") == [three, two]
    assert ids(status="0") == [three]
    assert ids(status="1") == [one]
    assert ids(status="2") == [two]
    assert ids(limit="2") == [three, two]
    assert ids(fromDate="2000-01-01", toDate="2000-12-31") == []
    assert ids(fromDate="2000-01-01", toDate="2999-12-31") == [three, two, one]


def test_many_rentals_can_be_seeded_at_once(sandbox: Sandbox) -> None:
    ids = sandbox.seed_rentals(300)
    assert len(set(ids)) == 300
    assert len(ask(sandbox, "history", limit="1000").json["data"]) == 300
    assert sandbox.books()["waiting"] == 300
    assert sandbox.books()["balance"] == 500_000 - 300 * 1450
