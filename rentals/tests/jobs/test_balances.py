"""The ledger beside the upstream's balance."""

from datetime import timedelta

import pytest
from django.db import IntegrityError
from django.utils import timezone

import thuesim
from accounts.policy import access_for
from pages.presenters import spend
from pages.presenters.spend import Period
from rentals import lifecycle, orders
from rentals.jobs import balances, placing
from rentals.models import BalanceReading, LedgerEntry, MessageSource, Rental, Status
from rentals.tests.factories import make_rental, make_service
from rentals.tests.fixtures import House

pytestmark = pytest.mark.django_db


def rent(house: House, **over: object) -> Rental:
    wishes = {"person": house.person, "team": house.team, "service": house.service, **over}
    rental = orders.take_order(**wishes)  # type: ignore[arg-type]
    placing.place_next(house.token.pk)
    rental.refresh_from_db()
    return rental


def expire(house: House, rental: Rental) -> None:
    house.upstream.expire(rental.upstream_key)
    lifecycle.expire(rental)


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


def test_a_refund_is_recognised_and_booked_once(house: House) -> None:
    balances.read_balance(house.token)
    rental = rent(house)
    expire(house, rental)
    house.upstream.advance(5)
    assert balances.read_balance(house.token).unexplained == 1450, "one reading may be an old one"
    for _ in range(2):
        assert balances.read_balance(house.token).unexplained == 0
    assert LedgerEntry.objects.filter(rental=rental, kind=LedgerEntry.Kind.REFUND).count() == 1
    assert "refunded" in {event.kind for event in rental.events.all()}


def test_an_old_balance_is_not_taken_for_a_refund(house: House) -> None:
    house.upstream.set_fault("refund-never")
    expire(house, rent(house))
    balances.read_balance(house.token)
    house.upstream.advance(60)
    rent(house)
    house.upstream.set_fault("balance-lag", count=1, value=30)
    assert balances.read_balance(house.token).unexplained == 1450
    assert balances.read_balance(house.token).unexplained == 0
    assert not LedgerEntry.objects.filter(kind=LedgerEntry.Kind.REFUND).exists()


def test_a_refund_is_recognised_though_the_message_came_late(house: House) -> None:
    balances.read_balance(house.token)
    rental = rent(house)
    house.upstream.expire(rental.upstream_key)
    house.upstream.advance(5)
    late = thuesim.Message("Ma: 123456", "123456", is_call=False, audio_url="")
    assert rental.expires_at is not None
    lifecycle.message_arrived(rental, late, source=MessageSource.POLL, at=rental.expires_at + timedelta(seconds=5))
    for _ in range(2):
        reading = balances.read_balance(house.token)
    assert reading.unexplained == 0


def test_the_database_itself_refuses_a_second_refund(house: House) -> None:
    rental = rent(house)
    line = {"token": house.token, "rental": rental, "kind": "refund", "amount": 1, "at": timezone.now()}
    LedgerEntry.objects.create(**line)
    with pytest.raises(IntegrityError):
        LedgerEntry.objects.create(**line)


def test_money_that_nobody_explained_is_shown_with_its_time(house: House) -> None:
    balances.read_balance(house.token)
    house.upstream.set_balance(490_000)
    assert balances.read_balance(house.token).unexplained == -10_000
    [found] = spend.differences(access_for(house.person), Period.from_query({}))
    older, newer = BalanceReading.objects.order_by("pk")
    assert (found.token, found.since, found.until, found.amount) == (house.token, older.at, newer.at, -10_000)


def test_a_top_up_is_not_taken_for_a_refund(house: House) -> None:
    balances.read_balance(house.token)
    expire(house, rent(house))
    house.upstream.set_fault("refund-never")
    house.upstream.top_up(100_001)
    assert balances.read_balance(house.token).unexplained in {100_001, 100_001 + 1450}
    assert not LedgerEntry.objects.filter(amount=100_001).exists()


def test_nothing_is_compared_while_an_order_is_under_way(house: House) -> None:
    balances.read_balance(house.token)
    make_rental(Status.UNCONFIRMED, token=house.token, team=house.team)
    assert balances.read_balance(house.token).expected is None


@pytest.mark.parametrize(
    ("prices", "total", "chosen"),
    [([1450, 470, 900], 1370, [1, 2]), ([500, 500], 500, [0]), ([500, 700], 600, []), ([], 500, [])],
)
def test_the_refunds_in_a_difference_are_found(prices: list[int], total: int, chosen: list[int]) -> None:
    now = timezone.now()
    service = make_service()
    rentals = [
        Rental(price=price, service=service, ended_at=now + timedelta(seconds=n)) for n, price in enumerate(prices)
    ]
    assert balances.subset_of(rentals, total) == [rentals[index] for index in chosen]
