"""The ledger beside the upstream's balance."""

from datetime import timedelta

import pytest
from django.db import IntegrityError
from django.utils import timezone

import thuesim
from rentals import lifecycle
from rentals.jobs import balances
from rentals.models import BalanceQuestion, LedgerEntry, MessageSource, Status
from rentals.tests.factories import make_rental
from rentals.tests.fixtures import House
from rentals.tests.money import Traveller, expire, read, rent

pytestmark = pytest.mark.django_db


def test_the_first_reading_opens_the_ledger(house: House) -> None:
    reading = balances.read_balance(house.token)
    assert (reading.balance, reading.expected, reading.unexplained) == (500_000, 500_000, 0)
    assert LedgerEntry.objects.get().kind == LedgerEntry.Kind.OPENING


def test_a_first_reading_after_the_first_rental_does_not_count_it_twice(house: House) -> None:
    rent(house)
    assert balances.read_balance(house.token).unexplained == 0
    assert balances.expected_balance(house.token) == house.upstream.books()["balance"]


def test_the_ledger_follows_the_upstreams_books(house: House) -> None:
    balances.read_balance(house.token)
    for _ in range(3):
        rent(house)
    assert balances.read_balance(house.token).unexplained == 0


def test_a_refund_is_recognised_and_booked_once(house: House, clock: Traveller) -> None:
    read(house, clock)
    rental = rent(house)
    read(house, clock)
    expire(house, rental)
    house.upstream.advance(5)
    assert read(house, clock).unexplained == 1450, "a rental made elsewhere may be unknown yet"
    for _ in range(2):
        assert read(house, clock).unexplained == 0
    assert LedgerEntry.objects.filter(rental=rental, kind=LedgerEntry.Kind.REFUND).count() == 1
    assert "refunded" in {event.kind for event in rental.events.all()}


def test_an_old_balance_is_not_taken_for_a_refund(house: House, clock: Traveller) -> None:
    house.upstream.set_fault("refund-never")
    read(house, clock)
    expire(house, rent(house))
    for _ in range(3):
        read(house, clock)
    rent(house)
    house.upstream.set_fault("balance-lag", count=1, value=30)
    assert balances.read_balance(house.token).unexplained == 1450
    for _ in range(3):
        assert read(house, clock).unexplained == 0
    assert not LedgerEntry.objects.filter(kind=LedgerEntry.Kind.REFUND).exists()
    assert not BalanceQuestion.objects.exists()


def test_a_refund_is_recognised_though_the_message_came_late(house: House, clock: Traveller) -> None:
    read(house, clock)
    rental = rent(house)
    read(house, clock)
    clock.shift(300)
    late = thuesim.Message("Ma: 123456", "123456", is_call=False, audio_url="")
    assert rental.expires_at is not None
    lifecycle.message_arrived(rental, late, source=MessageSource.POLL, at=rental.expires_at + timedelta(seconds=5))
    for _ in range(3):
        reading = read(house, clock)
    assert reading.unexplained == 0


def test_the_database_itself_refuses_a_second_refund(house: House) -> None:
    rental = rent(house)
    line = {"token": house.token, "rental": rental, "kind": "refund", "amount": 1, "at": timezone.now()}
    LedgerEntry.objects.create(**line)
    with pytest.raises(IntegrityError):
        LedgerEntry.objects.create(**line)


def test_nothing_is_compared_while_an_order_is_under_way(house: House) -> None:
    balances.read_balance(house.token)
    make_rental(Status.UNCONFIRMED, token=house.token, team=house.team)
    assert balances.read_balance(house.token).expected is None
