"""What a balance's steps are: refunds, a top-up, or a question. Never a guess."""

from datetime import timedelta
from typing import Any

import pytest
from django.db.models import Sum
from django.utils import timezone

from accounts.models import Role, User
from accounts.policy import access_for
from rentals import bookkeeping, lifecycle
from rentals.jobs import balances, explaining, runs
from rentals.models import BalanceQuestion, BalanceReading, JobName, LedgerEntry, Rental, Service, Status, Token
from rentals.queries import refunds
from rentals.tests.factories import make_person, make_rental, make_service, make_team, make_token
from rentals.tests.fixtures import House
from rentals.tests.money import Traveller, expire, read, rent

pytestmark = pytest.mark.django_db
MINUTE = 60.0


@pytest.fixture
def manager(house: House) -> User:
    return make_person(house.team, Role.MANAGER, username="quan-ly")


def booked(house: House) -> list[tuple[str, int]]:
    """The lines that no rental's charge made, oldest first."""
    lines = house.token.ledger.exclude(kind__in=["opening", "rent"]).order_by("pk")
    return list(lines.values_list("kind", "amount"))


def asked() -> list[int]:
    return list(BalanceQuestion.objects.filter(answered_at=None).order_by("until").values_list("amount", flat=True))


def difference(house: House) -> int:
    return int(house.upstream.books()["balance"] - balances.explained_balance(house.token))


def cheap(house: House, price: int) -> Service:
    house.upstream.change_service("02.97", price=price)
    Service.objects.filter(sv="02", upstream_id="97").update(price=price)
    return house.service


def test_a_top_up_is_booked_when_nothing_else_explains_it(house: House, clock: Traveller) -> None:
    read(house, clock)
    house.upstream.top_up(100_003)
    read(house, clock)
    assert booked(house) == [], "a rental made elsewhere may be unknown yet"
    read(house, clock)
    assert booked(house) == [("top_up", 100_003)]
    assert read(house, clock).unexplained == 0
    assert asked() == []


def test_a_top_up_and_then_a_true_refund_are_both_booked(house: House, clock: Traveller) -> None:
    cheap(house, 300)
    read(house, clock)
    house.upstream.change_settings(refund_after=200)
    rental = rent(house)
    read(house, clock)
    expire(house, rental)
    house.upstream.top_up(100_003)
    read(house, clock)
    for _ in range(6):
        read(house, clock)
    assert sorted(booked(house)) == [("refund", 300), ("top_up", 100_003)]
    assert LedgerEntry.objects.get(kind="refund").rental == rental
    assert (difference(house), asked()) == (0, [])


def test_a_top_up_is_not_taken_for_twenty_refunds(house: House, clock: Traveller) -> None:
    house.upstream.set_fault("refund-never")
    cheap(house, 500)
    read(house, clock)
    for _ in range(20):
        expire(house, rent(house))
    read(house, clock)
    house.upstream.top_up(10_000)
    for _ in range(30):
        read(house, clock)
    assert booked(house) == []
    assert asked() == [10_000]
    assert difference(house) == 0


def test_a_price_that_came_back_while_a_top_up_may_hide_it_is_asked(house: House, clock: Traveller) -> None:
    house.upstream.change_settings(refund_after=5)
    read(house, clock)
    rental = rent(house)
    read(house, clock)
    expire(house, rental)
    house.upstream.top_up(20_000)
    house.upstream.advance(6)
    for _ in range(30):
        read(house, clock)
    assert (booked(house), asked()) == ([], [21_450])


def test_two_refunds_of_one_price_are_told_apart_by_waiting(house: House, clock: Traveller) -> None:
    """While one of two rentals of the same price may be meant it waits; both came back in the end."""
    house.upstream.change_settings(refund_after=100)
    read(house, clock)
    first, second = rent(house), rent(house, person=make_person(house.team))
    read(house, clock)
    expire(house, first)
    clock.shift(70)
    expire(house, second)
    for _ in range(6):
        read(house, clock)
    assert {line.rental for line in LedgerEntry.objects.filter(kind="refund")} == {first, second}
    assert (difference(house), asked()) == (0, [])


def test_one_refund_for_two_rentals_of_one_price_is_asked(house: House, clock: Traveller) -> None:
    read(house, clock)
    first, second = rent(house), rent(house, person=make_person(house.team))
    read(house, clock)
    house.upstream.set_fault("refund-never", count=1)
    expire(house, first)
    expire(house, second)
    for _ in range(30):
        read(house, clock)
    assert (booked(house), asked()) == ([], [1450])


def test_of_twins_that_differ_in_nothing_the_older_one_is_taken(house: House, clock: Traveller) -> None:
    read(house, clock)
    first, second = rent(house), rent(house)
    read(house, clock)
    expire(house, first)
    house.upstream.set_fault("refund-never", count=1)
    expire(house, second)
    for _ in range(4):
        read(house, clock)
    assert [line.rental for line in LedgerEntry.objects.filter(kind="refund")] == [first]


def test_money_that_went_is_asked_with_its_times(house: House, clock: Traveller) -> None:
    older = read(house, clock)
    house.upstream.set_balance(490_000)
    newer = read(house, clock)
    read(house, clock)
    question = BalanceQuestion.objects.get()
    assert (question.token, question.amount) == (house.token, -10_000)
    assert (question.since, question.until) == (older.at, newer.at)


def test_money_for_a_rental_made_elsewhere_is_not_asked_about(house: House, clock: Traveller) -> None:
    house.upstream.set_fault("refund-never")
    read(house, clock)
    rent(house)  # so that the upstream's clock is known
    read(house, clock)
    house.upstream.seed_rentals(1)
    assert balances.read_balance(house.token).unexplained in {None, -1450}
    for _ in range(4):
        read(house, clock)
    assert Rental.objects.filter(imported=True).count() == 1
    assert (booked(house), asked(), difference(house)) == ([], [], 0)


def test_a_question_goes_when_a_rental_found_late_explains_it(house: House, clock: Traveller) -> None:
    house.upstream.set_fault("refund-never")
    read(house, clock)
    rent(house)
    read(house, clock)
    house.upstream.set_fault("history-omits-recent", value=100_000)
    house.upstream.seed_rentals(1)
    for _ in range(3):
        read(house, clock)
    assert asked() == [-1450]
    house.upstream.clear_faults("history-omits-recent")
    for _ in range(3):
        read(house, clock)
    assert (booked(house), asked(), difference(house)) == ([], [], 0)


def test_nothing_is_decided_before_the_history_was_read(house: House, clock: Traveller) -> None:
    balances.read_balance(house.token)
    house.upstream.top_up(50_000)
    for _ in range(10):
        clock.shift(MINUTE)
        balances.read_balance(house.token)
    assert (booked(house), asked()) == ([], [])
    for _ in range(25):
        clock.shift(MINUTE)
        balances.read_balance(house.token)
    assert booked(house) == [("top_up", 50_000)]


@pytest.mark.parametrize("early", [True, False])
def test_a_top_up_that_a_manager_enters_meets_the_money(
    house: House, clock: Traveller, manager: User, early: bool
) -> None:
    read(house, clock)
    if not early:
        house.upstream.top_up(30_000)
        read(house, clock)
    access = access_for(manager)
    bookkeeping.enter(
        house.token, access=access, person=manager, kind=LedgerEntry.Kind.TOP_UP, amount=30_000, note="VCB"
    )
    read(house, clock)
    read(house, clock)
    if early:
        house.upstream.top_up(30_000)
    for _ in range(4):
        read(house, clock)
    assert (booked(house), asked(), difference(house)) == ([("top_up", 30_000)], [], 0)


def test_money_that_was_entered_and_never_came_is_asked(house: House, clock: Traveller, manager: User) -> None:
    read(house, clock)
    access = access_for(manager)
    bookkeeping.enter(house.token, access=access, person=manager, kind=LedgerEntry.Kind.TOP_UP, amount=30_000, note="")
    for _ in range(70):
        read(house, clock)
    assert asked() == [-30_000]
    bookkeeping.take_back(LedgerEntry.objects.get(kind="top_up"), access=access, person=manager, note="mistyped")
    read(house, clock)
    assert (asked(), difference(house)) == ([], 0)


def test_explaining_twice_changes_nothing(house: House, clock: Traveller) -> None:
    read(house, clock)
    house.upstream.top_up(50_000)
    for _ in range(3):
        read(house, clock)
    house.upstream.set_balance(1)
    for _ in range(3):
        read(house, clock)
    before = booked(house), asked()
    explaining.explain(house.token.pk)
    explaining.explain(house.token.pk)
    assert (booked(house), asked()) == before == ([("top_up", 50_000)], [-549_999])


def test_many_readings_without_a_step_are_passed_over(house: House, clock: Traveller) -> None:
    first = read(house, clock)
    BalanceReading.objects.bulk_create(
        BalanceReading(token=house.token, at=first.at + timedelta(seconds=30 * n), balance=500_000, expected=500_000)
        for n in range(explaining.MAX_READINGS + 50)
    )
    for _ in range(2):
        explaining.explain(house.token.pk)
    house.token.refresh_from_db()
    assert house.token.explained_reading == BalanceReading.objects.order_by("-pk")[0]


# The search for refunds.


@pytest.mark.parametrize(
    ("prices", "total", "chosen"),
    [
        ([1450, 470, 900], 1370, [[470, 900]]),
        ([500, 500], 1000, [[500, 500]]),
        ([500, 700], 600, []),
        ([], 500, []),
        ([300, 200, 500], 500, [[500], [300, 200]]),
    ],
)
def test_the_sets_of_refunds_that_make_up_an_amount(prices: list[int], total: int, chosen: list[list[int]]) -> None:
    team, token, service = make_team(), make_token(), make_service()
    rentals = [make_rental(Status.EXPIRED, team=team, token=token, service=service, price=price) for price in prices]
    found = refunds.sets_of(rentals, total)
    assert sorted(sorted(rental.price or 0 for rental in one) for one in found) == sorted(map(sorted, chosen))


def test_too_many_candidates_are_no_search() -> None:
    rental = make_rental(Status.EXPIRED, price=500)
    with pytest.raises(refunds.TooManySums):
        refunds.sets_of([rental] * (refunds.MAX_CANDIDATES + 1), 500)


# What it really cost.


def test_the_history_s_price_takes_the_place_of_the_catalog_s(house: House, clock: Traveller) -> None:
    house.upstream.set_fault("refund-never")
    read(house, clock)
    house.upstream.change_settings(envelope="A")  # its reply to an order has no price
    rental = rent(house)
    clock.shift(balances.FRESH.total_seconds() + 1)
    Service.objects.update(price=1000)
    house.upstream.change_service("02.97", price=3000)
    dearer = rent(house)
    assert (rental.price, dearer.price) == (1450, 1000)
    for _ in range(3):
        read(house, clock)
    dearer.refresh_from_db()
    assert dearer.price == 3000
    assert dearer.ledger.aggregate(sum=Sum("amount"))["sum"] == -3000
    assert dearer.events.get(kind="price").detail == {"before": 1000, "price": 3000, "by": "history"}
    assert (asked(), difference(house)) == ([], 0)


def test_the_reply_s_balance_tells_the_price_at_once(house: House, clock: Traveller) -> None:
    house.upstream.change_settings(envelope="A")
    read(house, clock)
    Service.objects.update(price=1000)
    rental = rent(house)
    assert Rental.objects.get(pk=rental.pk).price == 1450
    assert rental.events.get(kind="price").detail["by"] == "balance"
    assert balances.expected_balance(house.token) == house.upstream.books()["balance"]


def test_a_reply_s_balance_tells_no_price_where_a_refund_may_be_in_it(house: House, clock: Traveller) -> None:
    house.upstream.change_settings(envelope="A")
    house.upstream.set_fault("refund-never")
    expire(house, rent(house))
    read(house, clock)
    Service.objects.update(price=1000)
    assert rent(house).price == 1000


def test_a_price_that_is_put_right_counts_in_the_refund_search(house: House, clock: Traveller) -> None:
    house.upstream.change_settings(envelope="A")
    read(house, clock)
    Service.objects.update(price=1000)
    rental = rent(house)
    read(house, clock)
    expire(house, rental)
    for _ in range(4):
        read(house, clock)
    assert booked(house) == [("correction", -450), ("refund", 1450)]
    assert difference(house) == 0


def test_a_price_is_put_right_once(house: House) -> None:
    rental = rent(house)
    one, two = Rental.objects.get(pk=rental.pk), Rental.objects.get(pk=rental.pk)
    assert lifecycle.correct_price(one, 2000, by="history")
    assert not lifecycle.correct_price(two, 2000, by="history")
    assert rental.ledger.count() == 2


def test_the_last_run_of_the_history_is_what_counts(house: House, clock: Traveller) -> None:
    read(house, clock)
    house.upstream.top_up(50_000)
    read(house, clock)
    clock.shift(10)
    runs.note_run(JobName.RECONCILE, house.token.pk)
    balances.read_balance(house.token)
    assert booked(house) == []


def test_a_token_that_has_never_been_explained_asks_once_about_what_is_open() -> None:
    token: Token = make_token()
    at: Any = timezone.now()
    for n in range(3):
        BalanceReading.objects.create(token=token, at=at + timedelta(minutes=n), balance=900, expected=1000)
    explaining.explain(token.pk)
    assert asked() == [-100]


def test_in_busy_times_the_replies_to_orders_are_readings(house: House, clock: Traveller) -> None:
    """Each order comes within half a minute of the one before, so that no other reading is steady."""
    read(house, clock)
    for n in range(9):
        if n == 3:
            house.upstream.top_up(50_000)
        rent(house)
        assert not read(house, clock, 20).steady
    assert booked(house) == [("top_up", 50_000)]
    assert (asked(), difference(house)) == ([], 0)


def test_a_reply_whose_balance_lacks_its_own_charge_explains_nothing(house: House, clock: Traveller) -> None:
    read(house, clock)
    rental = rent(house)
    state = balances.expected_balance(house.token)
    lines = house.token.ledger.count()
    balances.keep_reply(house.token, rental, state + 1450, (lines - 1, state + 1450))
    assert not house.token.readings.first().steady  # type: ignore[union-attr]
