"""The machine's clock is set forward or back while numbers wait: no wait ends by it, and no money is booked by it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
import time_machine
from django.conf import settings
from django.db.models import Value
from django.utils import timezone

from lib import clock
from rentals import lifecycle, tasks
from rentals.jobs import placing, polling, reconciling
from rentals.jobs.upkeep import clock_steps
from rentals.models import BalanceQuestion, BalanceReading, LedgerEntry, Rental, Service, Status, Token
from rentals.tests.factories import make_person
from rentals.tests.fixtures import House, later, order
from rentals.tests.money import Traveller, expire, read, rent

pytestmark = pytest.mark.django_db
STEPS = [10, 60, -10, -60]


@contextmanager
def clock_set(house: House, minutes: float) -> Iterator[None]:
    """Set this machine's wall clock. The monotonic one goes on, and so does the upstream's."""
    if minutes > 0:
        house.upstream.advance(-60 * minutes)
    with time_machine.travel(timezone.now() + timedelta(minutes=minutes), tick=True):
        if minutes < 0:
            house.upstream.advance(-60 * minutes)
        yield


@pytest.fixture(autouse=True)
def _fresh_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first tick of a test notes how the clock goes, also where another test's has just looked at it."""
    monkeypatch.setattr(clock_steps, "_looked_at", float("-inf"))


@pytest.fixture
def waiting(house: House) -> Rental:
    """A number that waits, with more of its kind: so the history is asked."""
    tasks.tick()
    for _ in range(4):
        order(house)
        placing.place_next(house.token.pk)
    return Rental.objects.filter(status=Status.WAITING).earliest("pk")


def poll(house: House) -> None:
    """Poll every number now, as the tick and its workers do."""
    tasks.tick()
    Rental.objects.filter(status__in=polling.POLLED).update(due_at=timezone.now())
    Token.objects.update(next_watch_at=None)
    polling.poll_token(house.token.pk)


@pytest.mark.parametrize("minutes", STEPS)
def test_a_number_that_waits_goes_on_waiting(house: House, waiting: Rental, minutes: int) -> None:
    with clock_set(house, minutes):
        polling.poll_token(house.token.pk)  # before the tick has noticed
        poll(house)
        waiting.refresh_from_db()
        assert waiting.status == Status.WAITING
        assert waiting.expires_at is not None
        left = (waiting.expires_at - timezone.now()).total_seconds()
        assert left == pytest.approx(waiting.service.seconds, abs=5)


@pytest.mark.parametrize("minutes", STEPS)
def test_a_code_that_comes_after_it_is_seen_at_the_next_poll(house: House, waiting: Rental, minutes: int) -> None:
    with clock_set(house, minutes):
        poll(house)
        waiting.refresh_from_db()
        assert waiting.due_at is not None
        assert (waiting.due_at - timezone.now()).total_seconds() <= 3
        house.upstream.deliver(waiting.upstream_key, "Ma: 482913", "482913")
        poll(house)
        waiting.refresh_from_db()
        assert waiting.status == Status.RECEIVED


@pytest.mark.parametrize("minutes", STEPS)
def test_a_wait_ends_after_its_time_all_the_same(house: House, waiting: Rental, minutes: int) -> None:
    with clock_set(house, minutes):
        poll(house)
        with later(timedelta(seconds=waiting.service.seconds + 150)):
            poll(house)
            waiting.refresh_from_db()
            assert waiting.status == Status.EXPIRED


@pytest.mark.parametrize("minutes", STEPS)
def test_an_order_keeps_trying_as_long_as_the_person_said(house: House, minutes: int) -> None:
    tasks.tick()
    house.upstream.set_stock(0)
    rental = order(house, keep_trying_minutes=5)
    placing.place_next(house.token.pk)
    with clock_set(house, minutes):
        placing.place_next(house.token.pk)
        tasks.tick()
        placing.place_next(house.token.pk)
        rental.refresh_from_db()
        assert rental.status == Status.QUEUED
        with later(timedelta(minutes=6)):
            tasks.tick()
            placing.place_next(house.token.pk)
            rental.refresh_from_db()
            assert rental.status == Status.REFUSED


@pytest.mark.parametrize("minutes", STEPS)
def test_the_worker_of_an_order_under_way_is_not_taken_for_dead(house: House, minutes: int) -> None:
    tasks.tick()
    rental = order(house)
    lifecycle.start_attempt(rental)
    with clock_set(house, minutes):
        assert placing.sweep() == []
        tasks.tick()
        assert placing.sweep() == []
        with later(timedelta(seconds=settings.THUESIM_TIMEOUT_SECONDS + 6)):
            assert placing.sweep() == [house.token.pk]


@pytest.mark.parametrize("minutes", STEPS)
def test_the_worker_of_an_order_on_another_machine_is_not_taken_for_dead(
    house: House, monkeypatch: pytest.MonkeyPatch, minutes: int
) -> None:
    lifecycle.start_attempt(order(house))
    monkeypatch.setattr(clock, "boot", lambda: "another machine, with its own clock")
    actual = [timezone.now()]
    monkeypatch.setattr(clock, "database_now", lambda plus=timedelta(0): Value(actual[0] + plus))
    with clock_set(house, minutes):
        assert placing.sweep() == []
        actual[0] += timedelta(seconds=settings.THUESIM_TIMEOUT_SECONDS + 6)
        assert placing.sweep() == [house.token.pk]


def test_a_number_that_was_rented_elsewhere_goes_on_waiting(house: House) -> None:
    tasks.tick()
    house.upstream.seed_rentals(1)
    reconciling.reconcile(house.token.pk)
    [rental] = Rental.objects.filter(imported=True)
    with clock_set(house, 60):
        poll(house)
        rental.refresh_from_db()
        assert rental.status == Status.WAITING


def test_a_number_of_another_machine_waits_until_the_database_s_clock_says_so_too(
    house: House, waiting: Rental, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "boot", lambda: "another machine, an hour ahead")
    actual = timezone.now()
    monkeypatch.setattr(clock, "database_now", lambda plus=timedelta(0): Value(actual + plus))
    with clock_set(house, 60):
        poll(house)
        waiting.refresh_from_db()
        assert waiting.status == Status.WAITING


class Clocks:
    """The wall clock and the monotonic one: both go on, or one is set."""

    def __init__(self, house: House, wall: Traveller, monkeypatch: pytest.MonkeyPatch) -> None:
        self._house, self._wall, self._passed = house, wall, 0.0
        steady = time.monotonic
        monkeypatch.setattr("time.monotonic", lambda: steady() + self._passed)

    def go_on(self, seconds: float) -> None:
        """Let time pass, with what the desk does meanwhile."""
        while seconds > 0:
            self._wall.shift(min(seconds, 60))
            self._passed += min(seconds, 60)
            seconds -= 60
            clock_steps.bring_back()
            read(self._house, self._wall, 0)

    def be_set(self, minutes: float) -> None:
        """Set the wall clock by so many minutes."""
        self._house.upstream.advance(-60 * minutes)
        self._wall.shift(60 * minutes)


@pytest.fixture
def clocks(house: House, clock: Traveller, monkeypatch: pytest.MonkeyPatch) -> Clocks:
    house.upstream.change_settings(refund_after=1e9)
    return Clocks(house, clock, monkeypatch)


def test_a_refund_after_it_is_not_booked_on_another_rental(house: House, clocks: Clocks) -> None:
    """By the clock that was set back, only the rental that ran out an hour ago may be refunded now."""
    clocks.go_on(60)
    long_ago = rent(house)
    expire(house, long_ago)
    clocks.go_on(3600)
    just_now = rent(house, person=make_person(house.team))
    expire(house, just_now)
    clocks.go_on(60)
    clocks.be_set(-50)
    clocks.go_on(60)
    house.upstream.set_balance(house.upstream.books()["balance"] + (just_now.price or 0))
    clocks.go_on(300)
    refunds = LedgerEntry.objects.filter(kind=LedgerEntry.Kind.REFUND)
    assert not refunds.filter(rental=long_ago).exists()
    assert [question.amount for question in BalanceQuestion.objects.all()] == [just_now.price]


def test_a_refund_after_it_is_not_taken_for_a_top_up(house: House, clocks: Clocks) -> None:
    """By the clock that was set forward, the time for the refund is over."""
    house.upstream.change_service("02.97", price=20_000)
    Service.objects.filter(sv="02", upstream_id="97").update(price=20_000)
    clocks.go_on(60)
    rental = rent(house)
    expire(house, rental)
    clocks.go_on(60)
    clocks.be_set(60)
    clocks.go_on(60)
    house.upstream.set_balance(house.upstream.books()["balance"] + 20_000)
    clocks.go_on(300)
    assert not LedgerEntry.objects.filter(kind=LedgerEntry.Kind.TOP_UP).exists()
    assert [question.amount for question in BalanceQuestion.objects.all()] == [20_000]


def test_money_is_booked_again_some_time_after_it(house: House, clocks: Clocks) -> None:
    clocks.go_on(60)
    clocks.be_set(10)
    clocks.go_on(36 * 60)
    house.upstream.top_up(50_000)
    clocks.go_on(300)
    assert list(LedgerEntry.objects.filter(kind="top_up").values_list("amount", flat=True)) == [50_000]
    assert not BalanceQuestion.objects.exists()


@pytest.mark.parametrize("minutes", STEPS)
def test_readings_that_are_explained_stay_as_they_were(house: House, minutes: int) -> None:
    tasks.tick()
    at = timezone.now() - timedelta(hours=1)
    explained, later_one = (
        BalanceReading.objects.create(token=house.token, at=at, balance=5000, expected=5000) for _ in range(2)
    )
    Token.objects.update(explained_reading=later_one)
    with clock_set(house, minutes):
        tasks.tick()
        expected = BalanceReading.objects.order_by("pk").values_list("pk", "expected")
        assert [*expected] == [(explained.pk, 5000), (later_one.pk, None)]
