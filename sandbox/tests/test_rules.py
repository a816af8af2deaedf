"""Who gets a number (gap, limit, balance, renting again), and what happens to a rental until its refund."""

import threading
import time

import pytest

from sandbox.server import Sandbox
from sandbox.tests.conftest import ask, code_status, eventually, rent, slow_until_set


def test_a_message_arrives_between_the_shortest_and_the_longest_wait() -> None:
    with Sandbox(gap=0, message_after=(0.02, 0.05)) as sandbox:
        rental = rent(sandbox)
        answer = eventually(lambda: ask(sandbox, "code", ID=rental["ID"]).json.get("Result"))
        rented = sandbox.books()["rentals"][0]
    assert answer["Code"] == rented["messages"][0]["code"]
    assert answer["Code"] in answer["SMS"]
    assert 0.02 <= rented["messages"][0]["available_at"] - rented["created"] <= 0.05


def test_a_rental_without_a_message_expires_and_is_refunded_later(sandbox: Sandbox) -> None:
    rental = rent(sandbox, "02.99")
    sandbox.advance(59)
    assert code_status(sandbox, rental) == 1
    sandbox.advance(1)
    assert code_status(sandbox, rental) == 2
    assert ask(sandbox, "balance").json["data"]["balance"] == 500_000 - 350
    sandbox.advance(60)
    assert ask(sandbox, "balance").json["data"]["balance"] == 500_000
    assert [line["kind"] for line in sandbox.books()["ledger"]] == ["opening", "charge", "refund"]


def test_a_service_that_never_sends_expires() -> None:
    with Sandbox(gap=0) as sandbox:
        rental = rent(sandbox, "02.98")
        sandbox.advance(61)
        assert code_status(sandbox, rental) == 2


def test_a_rental_with_a_message_does_not_expire(sandbox: Sandbox) -> None:
    rental = rent(sandbox, "02.99")
    sandbox.deliver(rental["ID"], "1234", "1234")
    sandbox.advance(500)
    assert code_status(sandbox, rental) == 0
    assert sandbox.books()["totals"] == {"opening": 500_000, "charge": -350}


def test_a_late_message_revives_an_expired_rental_and_stops_its_refund(sandbox: Sandbox) -> None:
    rental = rent(sandbox, "02.99")
    sandbox.expire(rental["ID"])
    sandbox.deliver(rental["ID"], "late 4321", "4321")
    sandbox.advance(500)
    assert code_status(sandbox, rental) == 0
    assert "refund" not in sandbox.books()["totals"]


def test_the_lifetime_replaces_the_time_of_every_service() -> None:
    with Sandbox(gap=0, message_after=None, lifetime=2, refund_after=1) as sandbox:
        rental = rent(sandbox)
        assert {row["Time"] for row in ask(sandbox, "service").json["Data"] if "Time" in row} == {"2"}
        sandbox.advance(2)
        assert code_status(sandbox, rental) == 2
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


def test_two_calls_within_the_gap_are_too_soon_and_cost_nothing() -> None:
    with Sandbox(gap=60, message_after=None) as sandbox:
        rent(sandbox)
        answer = ask(sandbox, "rent", serviceId="02.97").json
        assert answer == {"ResponseCode": -1, "Message": "Bạn lấy số quá nhanh, vui lòng chờ 60s"}
        books = sandbox.books()
    assert [(attempt["outcome"], attempt["reason"]) for attempt in books["attempts"]] == [
        ("charged", ""),
        ("refused", "too-soon"),
    ]
    assert books["balance"] == 500_000 - 1450
    assert 0 < books["gap"]["min"] < 60


def test_the_gap_is_from_arrival_to_arrival_and_for_both_endpoints() -> None:
    with Sandbox(gap=60, message_after=None) as sandbox:
        rental = rent(sandbox)
        again = {"phone": rental["Phone"].strip(), "serviceId": "97", "thuesim1": rental["ID"]}
        assert "quá nhanh" in ask(sandbox, "rephone", **again).text
        sandbox.change_settings(gap=0.15)
        time.sleep(0.16)
        assert "thành công" in ask(sandbox, "rephone", **again).text


def test_the_gap_holds_for_a_request_that_is_acted_on_after_a_later_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with Sandbox(gap=60, message_after=None) as sandbox:
        go_on = slow_until_set(sandbox, monkeypatch)
        sandbox.set_fault("slow", count=1)
        slow = threading.Thread(target=ask, args=(sandbox, "rent"), kwargs={"serviceId": "02.97"})
        slow.start()
        eventually(lambda: sandbox.books()["attempts"])
        rent(sandbox)
        go_on.set()
        slow.join()
        books = sandbox.books()
    assert [attempt["reason"] for attempt in books["attempts"]] == ["too-soon", ""]
    assert books["gap"]["min"] > 0


def test_each_token_has_a_gap_of_its_own() -> None:
    with Sandbox(gap=60, message_after=None) as sandbox:
        rent(sandbox)
        other = sandbox.add_token()
        assert ask(sandbox, "rent", token=other, serviceId="02.97").json["ResponseCode"] == 1


def test_no_number_is_given_past_the_waiting_limit() -> None:
    with Sandbox(gap=0, waiting_limit=2, message_after=None) as sandbox:
        first, _ = rent(sandbox), rent(sandbox)
        answer = ask(sandbox, "rent", serviceId="02.97").json
        assert answer == {"ResponseCode": 429, "Message": "Limit exceeded, tối đa 2 số chờ tin nhắn"}
        sandbox.deliver(first["ID"], "1234")
        rent(sandbox)
        assert sandbox.books()["waiting"] == 2


def test_a_low_balance_is_refused(sandbox: Sandbox) -> None:
    sandbox.set_balance(1449)
    answer = ask(sandbox, "rent", serviceId="02.97").json
    assert answer == {"ResponseCode": -2, "Message": "Số dư tài khoản không đủ"}
    sandbox.top_up(1)
    rent(sandbox)
    assert sandbox.books()["balance"] == 0


def test_a_number_is_rented_again_with_its_earlier_id(sandbox: Sandbox) -> None:
    rental = rent(sandbox, "10.40")
    phone = rental["Phone"].strip()
    answer = ask(sandbox, "rephone", phone=phone, serviceId="40", thuesim1=rental["ID"]).json
    assert answer["RequestLog"]["Phone"].strip() == phone
    assert answer["RequestLog"]["ID"] != rental["ID"]
    assert sandbox.books()["rentals"][-1]["again"] is True


@pytest.mark.parametrize(
    "wrong", [{"thuesim1": "88237016.1"}, {"thuesim1": "88237016"}, {"phone": "912345678"}, {"serviceId": "10.40"}]
)
def test_renting_again_needs_exact_parameters(sandbox: Sandbox, wrong: dict[str, str]) -> None:
    rental = rent(sandbox, "10.40")
    query = {"phone": rental["Phone"].strip(), "serviceId": "40", "thuesim1": rental["ID"]} | wrong
    assert ask(sandbox, "rephone", **query).json["ResponseCode"] < 0
    assert len(sandbox.books()["rentals"]) == 1
