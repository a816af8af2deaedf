"""What happens is written for the destinations that want it, in its own transaction, and for no others."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

import thuesim
from rentals import budgets, lifecycle, orders, outbox
from rentals.jobs import balances
from rentals.lifecycle import reasons
from rentals.models import Delivery, Destination, Hold, MessageSource, OutgoingEvent, Status, reason_codes
from rentals.tests.factories import make_destination, make_person, make_rental, make_service, make_team, make_token
from rentals.tests.fixtures import House
from rentals.upstream import breaker

pytestmark = pytest.mark.django_db

RENTED = thuesim.Rented(
    id="88000001.02",
    phone="+84961234567",
    price=1450,
    balance=None,
    created_at=None,
    service_id="02.97",
    service_name="",
    message="",
)
SMS = thuesim.Message(code="749216", text="Ma cua ban la 749216", is_call=False, audio_url="")


def _written() -> list[str]:
    return list(Delivery.objects.order_by("pk").values_list("event", flat=True))


def test_a_rental_tells_of_its_number_its_code_and_its_end() -> None:
    rental = make_rental(Status.PLACING)
    make_destination(rental.team)
    lifecycle.number_taken(rental, RENTED)
    lifecycle.expire(rental)
    lifecycle.message_arrived(rental, SMS, source=MessageSource.POLL)
    assert _written() == ["rental.number", "rental.expired", "rental.code"]


@pytest.mark.parametrize(
    ("reason", "code"), [(reasons.OUT_OF_STOCK, "out_of_stock"), (reasons.TEAM_PRICE, "price_exceeded")]
)
def test_an_order_that_got_no_number_tells_why_in_the_words_of_the_api(reason: str, code: str) -> None:
    rental = make_rental(Status.PLACING)
    make_destination(rental.team)
    lifecycle.refuse(rental, reason=reason)
    delivery = Delivery.objects.get()
    assert (delivery.event, delivery.data["rental"]["reason"]) == ("rental.refused", code)


def test_each_reason_with_a_more_general_code_is_one() -> None:
    assert set(reason_codes.CODES) <= {*reasons.SENTENCES, orders.DISK_FULL}


def test_an_event_is_written_in_the_transaction_of_the_change() -> None:
    rental = make_rental(Status.WAITING)
    make_destination(rental.team)
    with transaction.atomic():
        lifecycle.expire(rental)
        transaction.set_rollback(True)
    assert _written() == []


def test_neither_code_nor_text_stands_in_the_outbox_even_where_they_are_sent() -> None:
    rental = make_rental(Status.WAITING)
    make_destination(rental.team, includes_codes=True)
    lifecycle.message_arrived(rental, SMS, source=MessageSource.POLL)
    delivery = Delivery.objects.get()
    assert delivery.message == rental.messages.get()
    assert "749216" not in str(delivery.data)
    assert delivery.data["message"]["has_code"] is True


def test_a_code_is_dropped_an_hour_after_the_numbers_time() -> None:
    rental = make_rental(Status.WAITING)
    make_destination(rental.team)
    lifecycle.message_arrived(rental, SMS, source=MessageSource.POLL)
    assert rental.expires_at is not None
    assert Delivery.objects.get().drop_after == rental.expires_at + timedelta(hours=1)


def test_a_message_that_comes_twice_is_told_once_and_a_code_that_follows_its_text_is_told() -> None:
    rental = make_rental(Status.WAITING)
    make_destination(rental.team)
    for source in (MessageSource.POLL, MessageSource.CALLBACK):
        lifecycle.message_arrived(rental, SMS, source=source)
    assert _written() == ["rental.code"]


@pytest.mark.parametrize(
    "over",
    [
        {"events": ["rental.number"]},
        {"off_reason": "manager"},
        {"services": ["99.1"]},
        {"person": "another"},
        {"team": "another"},
    ],
    ids=lambda over: next(iter(over)),
)
def test_a_destination_that_does_not_want_the_event_gets_none(over: dict[str, Any]) -> None:
    rental = make_rental(Status.WAITING, person=make_person())
    fields = {**over, **({"person": make_person()} if "person" in over else {})}
    make_destination(**{"team": rental.team, **fields, **({"team": make_team()} if "team" in over else {})})
    lifecycle.expire(rental)
    assert _written() == []


def test_a_destination_of_one_person_and_service_gets_these() -> None:
    rental = make_rental(Status.WAITING, person=make_person())
    make_destination(rental.team, services=[rental.service.key], person=rental.person)
    lifecycle.expire(rental)
    assert _written() == ["rental.expired"]


def test_a_team_without_destinations_costs_one_query() -> None:
    rental = make_rental(Status.WAITING)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        outbox.about_rental(rental, OutgoingEvent.EXPIRED)
    assert len(queries) == 1


def test_a_refund_is_told(house: House) -> None:
    make_destination(house.team)
    rental = make_rental(Status.EXPIRED, team=house.team, token=house.token)
    reading = balances.read_balance(house.token)
    with transaction.atomic():
        lifecycle.hold_token(house.token.pk)
        assert lifecycle.refund(rental, reading)
    assert _written() == ["rental.refunded"]


def test_a_balance_is_told_once_as_it_falls_below_what_each_team_chose() -> None:
    careful, careless = make_team(low_balance=10_000), make_team(low_balance=1_000)
    token = make_token(careful, careless)
    for team in (careful, careless):
        make_destination(team)
    for before, after in ((20_000, 12_000), (12_000, 9_000), (9_000, 5_000), (5_000, 30_000)):
        outbox.balance_changed(token, before, after)
    delivery = Delivery.objects.get()
    assert (delivery.destination.team, delivery.event) == (careful, "balance.low")
    assert delivery.data == {
        "token": {"id": token.pk, "name": token.name}, "balance": 9_000, "warn_below": 10_000,
    }  # fmt: skip


def test_a_budget_is_told_as_an_order_crosses_80_percent_and_as_it_uses_it_up() -> None:
    team = make_team(budget_day=10_000)
    person, service = make_person(team), make_service(price=4_000)
    make_destination(team)
    told = []
    for _ in range(2):
        assert budgets.why_not_taken(team=team, person=person, service=service) is None
        make_rental(Status.QUEUED, team=team, person=person, service=service)
        told.append([(one.data["budget"], one.data["level"], one.data["used"]) for one in Delivery.objects.all()])
    assert told == [[], [("team_day", "near", 8_000)]]


def test_the_upstream_is_told_down_once_and_back_once() -> None:
    team = make_team()
    token = make_token(team)
    make_destination(team)
    for _ in range(5):
        breaker.failed(token, thuesim.CannotConnect("away"))
    for _ in range(2):
        breaker.answered(token)
    assert _written() == ["upstream.down", "upstream.back"]


def test_a_refused_token_is_told_once() -> None:
    team = make_team()
    token = make_token(team)
    make_destination(team)
    for _ in range(2):
        breaker.put_on_hold(token, Hold.INVALID, seconds=10)
    assert _written() == ["token.refused"]


def test_the_next_event_of_a_rental_brings_forward_the_one_before_it() -> None:
    rental = make_rental(Status.WAITING)
    destination = make_destination(rental.team)
    outbox.about_rental(rental, OutgoingEvent.NUMBER)
    Delivery.objects.update(attempts=3, next_try=timezone.now() + timedelta(hours=1))
    lifecycle.expire(rental)
    assert Delivery.objects.filter(destination=destination, next_try__lte=timezone.now()).count() == 2
    assert Destination.objects.get().is_on
