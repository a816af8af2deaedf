"""Which numbers and services there are: stock, filters, prices, and the seed."""

import pytest

from sandbox.catalog import NETWORKS
from sandbox.server import Sandbox
from sandbox.tests.conftest import ask, rent

PREFIXES = {network.name: {prefix[1:] for prefix in network.prefixes} for network in NETWORKS}


def prefix_of(rental: dict[str, str]) -> str:
    return rental["Phone"].strip()[1:3]


def test_a_rent_without_stock_is_refused(sandbox: Sandbox) -> None:
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


def test_several_filter_values_must_each_end_with_a_bar(sandbox: Sandbox) -> None:
    assert ask(sandbox, "rent", serviceId="02.97", yPrefix="96|97").json["ResponseCode"] == -1


def test_a_changed_price_is_charged_and_a_withdrawn_service_refused(sandbox: Sandbox) -> None:
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
