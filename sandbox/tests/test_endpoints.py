"""Which requests the endpoints answer: tokens, methods, ids, and the filters of history."""

import pytest

from sandbox.server import Sandbox
from sandbox.tests.conftest import ask, fetch, rent


def test_history_is_filtered_by_service_status_limit_and_date(sandbox: Sandbox) -> None:
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


def test_an_id_without_its_last_zero_still_finds_its_code(sandbox: Sandbox) -> None:
    rental = rent(sandbox, "10.40")
    assert ask(sandbox, "code", ID=rental["ID"].rstrip("0")).json["ResponseCode"] == 1
    assert ask(sandbox, "code", ID=rental["ID"].replace(".10", ".01")).json["ResponseCode"] == 3


def test_a_rental_of_another_token_is_unknown(sandbox: Sandbox) -> None:
    rental = rent(sandbox)
    other = sandbox.add_token()
    assert ask(sandbox, "code", token=other, ID=rental["ID"]).json["ResponseCode"] == 3
    assert ask(sandbox, "history", token=other).json["data"] == []


@pytest.mark.parametrize("token", ["", "1-00000000000000000000000000000000"])
def test_an_unknown_token_is_refused(sandbox: Sandbox, token: str) -> None:
    answer = ask(sandbox, "balance", token=token)
    assert answer.text == '{"status_code":401,"success":false,"message":"Lỗi xác thực"}'
    assert ask(sandbox, "rent", token=token, serviceId="02.97").json == {"ResponseCode": 401, "Message": "Lỗi xác thực"}


def test_every_token_is_accepted_with_any_token() -> None:
    with Sandbox(any_token=True, balance=700) as sandbox:
        assert ask(sandbox, "balance", token="5-any").json["data"] == {"balance": 700}


def test_a_post_or_an_unknown_address_is_refused(sandbox: Sandbox) -> None:
    assert fetch(f"{sandbox.url}/api/?show=balance&token={sandbox.token}", "POST", b"").status == 405
    assert fetch(f"{sandbox.url}/nowhere/").status == 404
    assert ask(sandbox, "nonsense").json["success"] is False
