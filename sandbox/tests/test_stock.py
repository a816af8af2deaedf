"""Who gets a number: the gap, the limit, stock, filters, balance, and renting again."""

import threading
import time

import pytest

from sandbox.catalogue import NETWORKS
from sandbox.server import Sandbox
from sandbox.tests.conftest import ask, eventually, rent

PREFIXES = {network.name: {prefix[1:] for prefix in network.prefixes} for network in NETWORKS}


def prefix_of(rental: dict[str, str]) -> str:
    return rental["Phone"].strip()[1:3]


def test_two_calls_within_the_gap_are_too_soon_and_cost_nothing() -> None:
    with Sandbox(gap=5, message_after=None) as sandbox:
        rent(sandbox)
        answer = ask(sandbox, "rent", serviceId="02.97").json
        assert answer == {"ResponseCode": -1, "Message": "Bạn lấy số quá nhanh, vui lòng chờ 5s"}
        books = sandbox.books()
    assert [(attempt["outcome"], attempt["reason"]) for attempt in books["attempts"]] == [
        ("charged", ""),
        ("refused", "too-soon"),
    ]
    assert books["balance"] == 500_000 - 1450
    assert 0 < books["gap"]["min"] < 5


def test_the_gap_counts_from_arrival_to_arrival_and_for_both_calls() -> None:
    with Sandbox(gap=0.15, message_after=None) as sandbox:
        rental = rent(sandbox)
        again = {"phone": rental["Phone"].strip(), "serviceId": "97", "thuesim1": rental["ID"]}
        assert "quá nhanh" in ask(sandbox, "rephone", **again).text
        time.sleep(0.16)
        assert "thành công" in ask(sandbox, "rephone", **again).text


def test_the_gap_holds_for_a_call_that_is_acted_on_after_a_later_one() -> None:
    with Sandbox(gap=5, message_after=None) as sandbox:
        sandbox.set_fault("slow", value=200, count=1)
        slow = threading.Thread(target=ask, args=(sandbox, "rent"), kwargs={"serviceId": "02.97"})
        slow.start()
        eventually(lambda: sandbox.books()["attempts"])
        rent(sandbox)
        slow.join()
        books = sandbox.books()
    assert [attempt["reason"] for attempt in books["attempts"]] == ["too-soon", ""]
    assert books["gap"]["min"] > 0


def test_each_token_has_a_gap_of_its_own() -> None:
    with Sandbox(gap=5, message_after=None) as sandbox:
        rent(sandbox)
        other = sandbox.add_token()
        assert ask(sandbox, "rent", token=other, serviceId="02.97").json["ResponseCode"] == 1


def test_past_the_waiting_limit_no_number_is_given() -> None:
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


def test_without_stock_there_is_no_number(sandbox: Sandbox) -> None:
    sandbox.set_stock(0)
    answer = ask(sandbox, "rent", serviceId="02.97").json
    assert answer == {"ResponseCode": -3, "Message": "Kho số đang tạm hết, vui lòng liên hệ hỗ trợ"}
    sandbox.set_stock(1, prefix="096")
    assert prefix_of(rent(sandbox)) == "96"
    assert ask(sandbox, "rent", serviceId="02.97").json["ResponseCode"] == -3


@pytest.mark.parametrize(
    ("query", "allowed"),
    [
        ({"carries": "MOBIFONE"}, PREFIXES["MOBIFONE"]),
        ({"carries": "VINAPHONE|ITELECOM|"}, PREFIXES["VINAPHONE"] | PREFIXES["ITELECOM"]),
        ({"yPrefix": "90"}, {"90"}),
        ({"yPrefix": "96|97|98|"}, {"96", "97", "98"}),
        ({"carries": "VIETTEL", "nPrefix": "96|97|98|86|"}, PREFIXES["VIETTEL"] - {"96", "97", "98", "86"}),
    ],
)
def test_filters_are_honoured(query: dict[str, str], allowed: set[str]) -> None:
    with Sandbox(gap=0, message_after=None, waiting_limit=40) as sandbox:
        assert {prefix_of(rent(sandbox, **query)) for _ in range(25)} <= allowed


def test_several_values_must_end_with_a_bar(sandbox: Sandbox) -> None:
    assert ask(sandbox, "rent", serviceId="02.97", yPrefix="96|97").json["ResponseCode"] == -1


def test_a_service_without_server_is_rented_by_its_bare_id(sandbox: Sandbox) -> None:
    rental = rent(sandbox, "301")
    assert "." not in rental["ID"]
    assert ask(sandbox, "code", ID=rental["ID"]).json["ResponseCode"] == 1


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
def test_renting_again_wants_exact_parameters(sandbox: Sandbox, wrong: dict[str, str]) -> None:
    rental = rent(sandbox, "10.40")
    asked = {"phone": rental["Phone"].strip(), "serviceId": "40", "thuesim1": rental["ID"]} | wrong
    assert ask(sandbox, "rephone", **asked).json["ResponseCode"] < 0
    assert len(sandbox.books()["rentals"]) == 1


def test_an_id_whose_zero_was_dropped_still_finds_its_code(sandbox: Sandbox) -> None:
    rental = rent(sandbox, "10.40")
    assert ask(sandbox, "code", ID=rental["ID"].rstrip("0")).json["ResponseCode"] == 1
    assert ask(sandbox, "code", ID=rental["ID"].replace(".10", ".01")).json["ResponseCode"] == 3


def test_a_rental_of_another_token_is_unknown(sandbox: Sandbox) -> None:
    rental = rent(sandbox)
    other = sandbox.add_token()
    assert ask(sandbox, "code", token=other, ID=rental["ID"]).json["ResponseCode"] == 3
    assert ask(sandbox, "history", token=other).json["data"] == []


def test_prices_change_and_services_are_withdrawn(sandbox: Sandbox) -> None:
    sandbox.change_service("02.97", price=1500)
    sandbox.change_service("01.7", withdrawn=True)
    assert rent(sandbox)["Price"] == 1500
    assert ask(sandbox, "rent", serviceId="01.7").json["ResponseCode"] == -4
    assert '"SERVICE_NAME":"Facebook"' not in ask(sandbox, "service").text


def test_the_same_seed_gives_the_same_numbers_and_messages() -> None:
    def play(seed: int) -> list[object]:
        with Sandbox(seed=seed, gap=0) as sandbox:
            for _ in range(3):
                rent(sandbox, "01.2")
            sandbox.advance(30)
            return [(rental["phone"], rental["messages"][0]["code"]) for rental in sandbox.books()["rentals"]]

    assert play(7) == play(7) != play(8)
