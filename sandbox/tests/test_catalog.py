"""What is on sale: services by their ids, and numbers that all differ."""

from sandbox.catalog import subscriber
from sandbox.server import Sandbox
from sandbox.tests.conftest import ask, rent


def test_the_same_id_is_on_sale_on_two_servers_and_one_service_has_no_server(sandbox: Sandbox) -> None:
    services = ask(sandbox, "service").json["Data"]
    assert [row["SV"] for row in services if row["ID"] == 97] == ["02", "03"]
    assert [row["ID"] for row in services if "SV" not in row and "Time" not in row] == [301]
    assert len(services) >= 40
    assert all(350 <= row["PRICE"] <= 4500 for row in services)


def test_a_service_without_server_is_rented_by_its_bare_id(sandbox: Sandbox) -> None:
    rental = rent(sandbox, "301")
    assert "." not in rental["ID"]
    assert ask(sandbox, "code", ID=rental["ID"]).json["ResponseCode"] == 1


def test_no_number_comes_twice() -> None:
    numbers = [subscriber("096", nth, seed=1) for nth in range(20_000)]
    assert len(set(numbers)) == len(numbers)
    assert all(len(number) == 9 and number.startswith("96") for number in numbers)
