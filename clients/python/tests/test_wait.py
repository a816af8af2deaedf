"""Waits: over many requests, restarts and lost connections, and never a code that was already had."""

from __future__ import annotations

import time

import pytest

from thuesim_desk import (
    CodeNotFound,
    CodeTimeout,
    Desk,
    Forbidden,
    NotRented,
    NumberTimeout,
    RentalExpired,
    Unauthorized,
)

from .stand_in import DROP, KEY, PHONE, Fault, StandIn


def test_a_number_comes_in_its_forms(client: Desk, stand_in: StandIn) -> None:
    stand_in.number_at_once = False
    rental = client.rent("01.2")
    stand_in.later(0.1, stand_in.update, rental.id, status="waiting", phone=PHONE)
    stand_in.second = 1
    number = rental.wait_for_number(timeout=60)
    assert (number, number.national, number.international) == ("0852222127", "0852 222 127", "+84852222127")
    assert stand_in.paths() == ["POST rentals", "GET rentals/1/wait"]
    assert rental.wait_for_number() == number
    assert len(stand_in.requests) == 2, "what is known is not asked again"


def test_a_code_is_there_the_moment_it_comes(client: Desk, stand_in: StandIn) -> None:
    rental = client.rent("01.2")
    stand_in.second = 1
    stand_in.later(0.2, stand_in.message, rental.id, "195829")
    started = time.monotonic()
    code = rental.wait_for_code(timeout=60)
    assert stand_in.paths() == ["POST rentals", "GET rentals/1/wait"]
    assert time.monotonic() - started < 30, "not at the end of the wait"
    assert code == "195829"
    assert code.message is not None
    assert code.message.text == "Ma: 195829"


def test_a_long_wait_is_many_requests_and_goes_on_after_the_last_message(
    client: Desk, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    rental = client.rent("01.2")
    seen = stand_in.message(rental.id, "", "Welcome")
    seconds = iter([0.01, 0.01, 1])  # so 60 s are 0.6 s in the first two waits
    monkeypatch.setattr(StandIn, "second", property(lambda _: next(seconds)), raising=False)

    def answer_the_third() -> None:
        while stand_in.paths().count("GET rentals/1/wait") < 3:
            time.sleep(0.02)
        stand_in.message(rental.id, "4711")

    stand_in.later(0, answer_the_third)
    assert rental.wait_for_code(timeout=300) == "4711"
    waits = stand_in.queries()[1:]
    assert len(waits) == 3
    assert {query["timeout"] for query in waits} == {"60"}
    assert [query.get("after") for query in waits] == [None, str(seen), str(seen)]


def test_a_code_that_was_had_is_not_returned_as_the_next_one(client: Desk, stand_in: StandIn) -> None:
    rental = client.rent("01.2")
    stand_in.message(rental.id, "1111")
    first = rental.wait_for_code()
    assert rental.wait_for_code() == first, "without `after` it is the code that is there"
    stand_in.second = 1
    stand_in.later(0.1, stand_in.message, rental.id, "2222")
    assert rental.wait_for_code(timeout=60, after=first) == "2222"
    with pytest.raises(CodeTimeout, match="2 messages without"):
        rental.wait_for_code(timeout=0.1, after=rental.messages[-1])


def test_a_wait_goes_on_over_a_restart_and_every_other_failure(client: Desk, stand_in: StandIn) -> None:
    rental = client.rent("01.2")
    stand_in.second = 1
    stand_in.faults += [
        DROP,
        Fault(503, "starting"),
        Fault(502, body=b"<h1>Bad gateway</h1>"),
        Fault(200, body=b'{"id": 1, "st', headers={"Content-Type": "application/json"}),
        Fault(429, "rate_limited", headers={"Retry-After": "0"}),
    ]

    def restart() -> None:
        while len(stand_in.requests) < 7:  # the order, five failures, and the wait that is now held
            time.sleep(0.02)
        stand_in.stop()
        time.sleep(0.4)
        stand_in.message(rental.id, "195829")
        stand_in.start()

    stand_in.later(0, restart)
    assert rental.wait_for_code(timeout=60) == "195829"
    assert stand_in.paths().count("GET rentals/1/wait") == 7


def test_a_time_out_names_the_rental_and_leaves_it_usable(client: Desk, stand_in: StandIn) -> None:
    stand_in.number_at_once = False
    rental = client.rent("01.2")
    with pytest.raises(NumberTimeout) as caught:
        rental.wait_for_number(timeout=0.2)
    assert caught.value.rental is rental
    assert isinstance(caught.value, TimeoutError)
    stand_in.update(rental.id, status="waiting", phone=PHONE)
    assert rental.wait_for_number() == "0852222127"
    with pytest.raises(CodeTimeout, match=r"rental 1: no code in time \(status waiting\)"):
        rental.wait_for_code(timeout=0.2)


def test_a_desk_that_is_away_at_the_end_is_named_as_the_cause(client: Desk, stand_in: StandIn) -> None:
    rental = client.rent("01.2")
    stand_in.stop()
    with pytest.raises(CodeTimeout, match="did not answer") as caught:
        rental.wait_for_code(timeout=0.4)
    assert getattr(caught.value.__cause__, "code", "") == "unreachable"
    stand_in.start()


def test_a_desk_that_answers_waits_at_once_is_not_flooded(client: Desk, stand_in: StandIn) -> None:
    rental = client.rent("01.2")
    stand_in.second = 0
    with pytest.raises(CodeTimeout):
        rental.wait_for_code(timeout=1.2)
    assert len(stand_in.requests) <= 5


def test_a_refused_order_is_not_rented_with_its_reason(client: Desk, stand_in: StandIn) -> None:
    stand_in.number_at_once = False
    rental = client.rent("01.2")
    stand_in.update(rental.id, status="refused", reason={"code": "out_of_stock", "detail": "No such number now."})
    with pytest.raises(NotRented, match="No such number now") as caught:
        rental.wait_for_number()
    assert (caught.value.reason, caught.value.rental) == ("out_of_stock", rental)
    with pytest.raises(NotRented):
        rental.wait_for_code()


def test_an_expired_rental_says_whether_messages_came(client: Desk, stand_in: StandIn) -> None:
    rental = client.rent("01.2")
    stand_in.update(rental.id, status="expired", reason={"code": "no_code", "detail": "No message came."})
    with pytest.raises(RentalExpired, match="No message came"):
        rental.wait_for_code()
    other = client.rent("01.2")
    stand_in.message(other.id, "", "Your parcel has arrived")
    stand_in.update(other.id, status="expired")
    with pytest.raises(CodeNotFound) as caught:
        other.wait_for_code()
    assert caught.value.rental is not None
    assert [message.text for message in caught.value.rental.messages] == ["Your parcel has arrived"]


def test_a_key_that_is_revoked_during_a_wait_ends_it(client: Desk, stand_in: StandIn) -> None:
    rental = client.rent("01.2")
    stand_in.faults.append(Fault(401, "unauthorized"))
    with pytest.raises(Unauthorized):
        rental.wait_for_code(timeout=30)


def test_a_key_that_may_not_read_codes_is_told_so_at_once(client: Desk, stand_in: StandIn) -> None:
    rental = client.rent("01.2")
    stand_in.message(rental.id, "195829")
    stand_in.update(rental.id, code=None, masked=True)
    with pytest.raises(Forbidden, match="codes:read"):
        rental.wait_for_code(timeout=30)


def test_the_end_can_be_waited_for(client: Desk, stand_in: StandIn) -> None:
    rental = client.rent("01.2")
    stand_in.later(0.1, stand_in.update, rental.id, status="expired")
    stand_in.second = 1
    assert rental.wait_for_end(timeout=60).status == "expired"


def test_a_rental_of_another_process_is_waited_for_by_its_id(stand_in: StandIn) -> None:
    rental_id = stand_in.order()["id"]
    stand_in.message(rental_id, "0042")
    assert Desk(stand_in.url, KEY).rental(rental_id).wait_for_code() == "0042"
