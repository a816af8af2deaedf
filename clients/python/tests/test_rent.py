"""Orders: one number however often the request is sent, and refusals as typed errors."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from thuesim_desk import (
    Conflict,
    Desk,
    Forbidden,
    IdempotencyMismatch,
    Invalid,
    NotFound,
    NotRented,
    RateLimited,
    ServerError,
    Unauthorized,
    Unreachable,
)

from .stand_in import DROP, DROP_AFTER_WORK, KEY, Fault, StandIn


def _keys(stand_in: StandIn) -> list[str]:
    return [headers["Idempotency-Key"] for method, _, headers, _ in stand_in.requests if method == "POST"]


def test_an_order_sends_its_wishes_and_nothing_unset(client: Desk, stand_in: StandIn) -> None:
    rental = client.rent("01.2", networks=["VIETTEL"], prefixes="09", purpose="sign-up", max_price=2000)
    assert (rental.id, rental.status, rental.service, rental.price) == (1, "waiting", "01.2", 1450)
    assert stand_in.requests[0][3] == {
        "service": "01.2",
        "networks": ["VIETTEL"],
        "prefixes": ["09"],
        "purpose": "sign-up",
        "max_price": 2000,
    }


def test_an_order_whose_answer_was_lost_is_sent_again_with_the_same_key(client: Desk, stand_in: StandIn) -> None:
    stand_in.faults += [DROP_AFTER_WORK, DROP, Fault(503, "database"), Fault(409, "idempotency_in_progress")]
    rental = client.rent("01.2")
    keys = _keys(stand_in)
    assert len(keys) == 5
    assert len(set(keys)) == 1
    assert list(stand_in.rentals) == [rental.id]


def test_an_answer_that_was_cut_off_counts_as_lost(client: Desk, stand_in: StandIn) -> None:
    headers = {"Content-Type": "application/json", "Content-Length": "900"}
    stand_in.faults.append(Fault(201, after_work=True, body=b'{"id": 1, "sta', headers=headers))
    assert client.rent("01.2").id == 1
    assert list(stand_in.rentals) == [1]


def test_two_orders_have_two_keys(client: Desk, stand_in: StandIn) -> None:
    assert client.rent("01.2").id != client.rent("01.2").id
    assert len(set(_keys(stand_in))) == 2


def test_again_is_another_order_with_a_key_of_its_own(client: Desk, stand_in: StandIn) -> None:
    first = client.rent("01.2")
    stand_in.faults.append(Fault(502))
    assert first.again(max_price=1500).id == 2
    assert len(set(_keys(stand_in))) == 2
    assert stand_in.requests[-1][3] == {"max_price": 1500}


def test_too_many_requests_wait_as_long_as_the_desk_says(
    client: Desk, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    # The client's own clock alone: other threads of this process may sleep as well.
    clock = SimpleNamespace(sleep=pauses.append, monotonic=time.monotonic, time=time.time)
    monkeypatch.setattr("thuesim_desk.connection.time", clock)
    stand_in.faults.append(Fault(429, "rate_limited", headers={"Retry-After": "3"}))
    client.rent("01.2")
    assert pauses == [3.0]


def test_a_pause_that_is_too_long_is_an_error_at_once(client: Desk, stand_in: StandIn) -> None:
    stand_in.faults.append(Fault(429, "rate_limited", headers={"Retry-After": "120"}))
    with pytest.raises(RateLimited) as caught:
        client.rent("01.2")
    assert caught.value.retry_after == 120
    assert len(stand_in.requests) == 1


def test_an_outage_longer_than_retry_for_is_an_error(stand_in: StandIn) -> None:
    client = Desk(stand_in.url, KEY, retry_for=0.3)
    stand_in.faults += [Fault(503, "upstream_down")] * 50
    with pytest.raises(ServerError) as caught:
        client.rent("01.2")
    assert caught.value.code == "upstream_down"
    assert 2 <= len(stand_in.requests) < 10
    stand_in.stop()
    with pytest.raises(Unreachable, match="Connection refused"):
        client.me()
    stand_in.start()


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (401, "unauthorized", Unauthorized),
        (403, "forbidden", Forbidden),
        (404, "not_found", NotFound),
        (422, "invalid", Invalid),
        (422, "idempotency_mismatch", IdempotencyMismatch),
        (402, "insufficient_balance", NotRented),
        (403, "budget_exceeded", NotRented),
        (503, "service_unavailable", NotRented),
        (503, "out_of_stock", NotRented),
        (409, "price_exceeded", NotRented),
        (409, "paused", NotRented),
    ],
)
def test_a_final_problem_is_its_error_and_is_not_sent_again(
    client: Desk, stand_in: StandIn, status: int, code: str, kind: type[Exception]
) -> None:
    stand_in.faults.append(Fault(status, code, errors=[{"field": "service", "detail": "There is none."}]))
    with pytest.raises(kind) as caught:
        client.rent("01.2")
    assert getattr(caught.value, "code", "") == code
    assert kind is NotRented or "service: There is none." in str(caught.value)
    assert len(stand_in.requests) == 1


def test_an_unknown_code_is_told_by_its_status(client: Desk, stand_in: StandIn) -> None:
    stand_in.faults.append(Fault(403, "other_team"))
    with pytest.raises(Forbidden) as caught:
        client.me()
    assert caught.value.code == "other_team"


def test_a_queued_order_is_cancelled_and_a_rented_one_is_not(client: Desk, stand_in: StandIn) -> None:
    stand_in.number_at_once = False
    with client.rent("01.2") as rental:
        assert rental.status == "queued"
    assert stand_in.rentals[rental.id]["status"] == "cancelled"
    stand_in.number_at_once = True
    with client.rent("01.2") as rental:
        pass
    assert stand_in.rentals[rental.id]["status"] == "waiting"
    with pytest.raises(Conflict):
        rental.cancel()


def test_a_cancellation_whose_answer_was_lost_succeeded(client: Desk, stand_in: StandIn) -> None:
    stand_in.number_at_once = False
    rental = client.rent("01.2")
    stand_in.faults.append(DROP_AFTER_WORK)
    assert rental.cancel().status == "cancelled"


def test_leaving_the_block_hides_no_failure_of_the_test(client: Desk, stand_in: StandIn) -> None:
    stand_in.number_at_once = False
    rental = client.rent("01.2")
    stand_in.faults.append(Fault(401, "unauthorized"))
    with pytest.raises(ZeroDivisionError), rental:
        raise ZeroDivisionError
    assert rental.status == "queued"


def test_lists_go_over_their_pages(client: Desk, stand_in: StandIn) -> None:
    for _ in range(5):
        stand_in.order()
    assert [rental.id for rental in client.rentals(status="waiting")] == [5, 4, 3, 2, 1]
    assert [query.get("cursor") for query in stand_in.queries()] == [None, "2", "4"]
    assert [service["id"] for service in client.services("zalo")] == ["01.2"]
    assert client.tokens()[0]["balance"] == 125000
