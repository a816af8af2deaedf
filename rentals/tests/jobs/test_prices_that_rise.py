"""Prices that rise: what is not ordered then, and what a reply at a higher price changes."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks

from accounts.models import Team
from rentals import lifecycle
from rentals.jobs import catalog, placing, runs
from rentals.lifecycle import reasons
from rentals.models import EventKind, Hold, JobName, LedgerEntry, Rental, Service, Status, Token
from rentals.tests.fixtures import House, order, place
from rentals.upstream import breaker, pacing

pytestmark = pytest.mark.django_db


def test_an_order_whose_price_rose_before_its_turn_is_not_sent(house: House) -> None:
    rental = order(house)
    house.upstream.change_service("02.97", price=45_000)
    catalog.sync_catalog(house.token)
    assert place(rental).status == Status.REFUSED
    assert rental.reason == reasons.PRICE_ROSE
    assert house.upstream.books()["attempts"] == []


def test_an_order_that_keeps_trying_does_not_go_on_at_a_price_that_rose(house: House) -> None:
    rental = order(house, keep_trying_minutes=10)
    house.upstream.set_stock(0)
    assert place(rental).status == Status.QUEUED
    Service.objects.update(price=45_000)
    Rental.objects.update(due_at=None)
    assert (place(rental).status, rental.reason) == (Status.REFUSED, reasons.PRICE_ROSE)


def test_an_order_goes_on_up_to_the_price_that_its_person_would_pay(house: House) -> None:
    rental = order(house, max_price=50_000)
    Service.objects.update(price=45_000)
    assert place(rental).status == Status.WAITING
    over = order(house, max_price=50_000)
    Service.objects.update(price=51_000)
    assert (place(over).status, over.reason) == (Status.REFUSED, reasons.PRICE_ROSE)


def test_an_order_is_not_sent_at_a_price_that_its_team_does_not_allow(house: House) -> None:
    rental = order(house)
    Team.objects.update(max_price=1000)
    assert (place(rental).status, rental.reason) == (Status.REFUSED, reasons.TEAM_PRICE)


def limits_of(rental: Rental) -> list[tuple[str, int | None]]:
    return [(limit.of, limit.amount) for limit in rental.price_limits]


def test_an_order_keeps_the_limit_of_its_team_when_it_was_taken_and_then_when_it_was_sent(house: House) -> None:
    Team.objects.update(max_price=6000)
    house.team.refresh_from_db()
    rental = order(house, max_price=9000)
    assert limits_of(rental) == [("team", 6000), ("order", 9000)]
    Team.objects.update(max_price=20_000)
    assert place(rental).status == Status.WAITING
    Team.objects.update(max_price=1)
    rental.refresh_from_db()
    assert limits_of(rental) == [("order", 9000), ("team", 20_000)]


@pytest.mark.parametrize(
    ("own", "of_team", "detail"),
    [
        (None, 1000, {"limit": 1450, "of": "shown"}),
        (2000, 1000, {"limit": 2000, "of": "order"}),
        (9000, 1000, {"limit": 1000, "of": "team"}),
    ],
)
def test_an_order_refused_for_its_price_keeps_the_price_and_the_limit_that_held(
    house: House, own: int | None, of_team: int, detail: dict[str, Any]
) -> None:
    rental = order(house, max_price=own)
    Team.objects.update(max_price=of_team)
    Service.objects.update(price=5000)
    house.upstream.change_service("02.97", price=5000)
    assert place(rental).status == Status.REFUSED
    event = rental.events.get(kind=EventKind.REFUSED)
    assert event.detail == {"reason": rental.reason, "price": 5000, **detail}
    assert rental.team_max_price == of_team


def asked(house: House) -> list[Any]:
    return list(house.upstream.books()["attempts"])


@pytest.mark.parametrize(
    ("own", "of_team", "reason"),
    [(1500, None, reasons.PRICE_ROSE), (None, 1500, reasons.PRICE_ROSE), (9000, 1500, reasons.TEAM_PRICE)],
)
def test_what_costs_more_than_a_limit_is_not_ordered_though_the_catalog_did_not_know(
    house: House, own: int | None, of_team: int | None, reason: str
) -> None:
    Team.objects.update(max_price=of_team)
    rental = order(house, max_price=own)
    house.upstream.change_service("02.97", price=1600)
    assert place(rental).status == Status.REFUSED
    assert (rental.reason, rental.attempts) == (reason, 0)
    assert asked(house) == []
    assert [price.price for price in house.service.prices.order_by("pk")] == [1450, 1600]


def test_an_order_within_its_limit_is_sent_after_the_prices_were_read(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Token] = []
    sync_services = catalog.sync_services

    def counted(token: Token) -> tuple[int, int]:
        read.append(token)
        return sync_services(token)

    monkeypatch.setattr(catalog, "sync_services", counted)
    assert place(order(house)).status == Status.WAITING
    assert read == []  # no limit, no call
    house.upstream.change_service("02.97", price=1500)
    rental = place(order(house, max_price=1500))
    assert (rental.status, rental.price, rental.is_dearer) == (Status.WAITING, 1500, True)
    assert read == [house.token]
    with runs.noted_at_end(JobName.CATALOG, house.token.pk):
        catalog.sync_catalog(house.token)
    house.upstream.change_service("02.97", price=9000)  # the moment after they were read
    read.clear()
    refused = place(order(house, max_price=1500))
    assert (refused.status, refused.reason, read) == (Status.REFUSED, reasons.PRICE_ROSE, [house.token])


def test_prices_are_not_read_while_the_token_has_no_turn_or_no_waiting_place(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog, "sync_services", lambda token: pytest.fail("was read"))
    rental = order(house, max_price=1500)
    Token.objects.update(waiting_limit=0)
    assert place(rental).status == Status.QUEUED
    Token.objects.update(waiting_limit=None)
    monkeypatch.setattr(pacing, "claim_turn", lambda token: None)
    assert place(rental).status == Status.QUEUED


@pytest.mark.parametrize("fault", ["maintenance", "http-500", "lost-cut", "reset-before"])
def test_an_order_with_a_limit_waits_while_the_prices_cannot_be_read_and_lets_others_pass(
    house: House, fault: str
) -> None:
    limited_order, other = order(house, max_price=1500), order(house)
    house.upstream.set_fault(fault, endpoint="services")
    assert place(limited_order).status == Status.QUEUED
    assert (limited_order.attempts, asked(house)) == (0, [])
    assert place(other).status == Status.WAITING
    assert place(limited_order).status == Status.QUEUED
    house.upstream.clear_faults()
    with time_machine.travel(timezone.now() + timedelta(seconds=placing.UNREAD_PAUSE + 1), tick=True):
        assert place(limited_order).status == Status.WAITING
    assert limited_order.price == 1450


def test_prices_that_cannot_be_read_count_as_failures_of_the_upstream(house: House) -> None:
    rental = order(house, max_price=1500)
    house.upstream.set_fault("http-500", endpoint="services")
    for _ in range(breaker.FAILURES_TO_OPEN):
        Rental.objects.update(due_at=None)
        place(rental)
    house.token.refresh_from_db()
    assert breaker.hold_of(house.token) == Hold.DOWN
    assert rental.status == Status.QUEUED


def test_an_order_that_is_cancelled_while_its_price_is_read_is_not_sent(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    rental = order(house, max_price=1500)
    monkeypatch.setattr(catalog, "sync_services", lambda token: lifecycle.cancel(Rental.objects.get(), person=None))
    assert place(rental).status == Status.CANCELLED
    assert asked(house) == []


def test_a_reply_dearer_than_the_catalog_is_booked_at_its_price_and_marked(house: House) -> None:
    rental = order(house)
    house.upstream.change_service("02.97", price=45_000)  # the catalog here does not know yet
    assert place(rental).status == Status.WAITING
    assert (rental.agreed_price, rental.price, rental.is_dearer) == (1450, 45_000, True)
    assert LedgerEntry.objects.get(rental=rental, kind="rent").amount == -45_000


def test_a_dearer_reply_is_the_price_from_then_on_and_has_the_catalog_read(
    house: House,
    enqueued: list[tuple[str, int]],
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    rental, later = order(house), order(house)
    house.upstream.change_service("02.97", price=45_000)
    with django_capture_on_commit_callbacks(execute=True):
        place(rental)
    assert [price.price for price in house.service.prices.order_by("pk")] == [1450, 45_000]
    assert house.service.price == 45_000
    assert ("rentals.sync_catalog", house.token.pk) in enqueued
    # What was agreed to at the former price is not ordered at the new one.
    assert place(later).reason == reasons.PRICE_ROSE


@pytest.mark.parametrize("price", [1450, 1000])
def test_a_reply_that_costs_no_more_leaves_the_catalog_alone(
    house: House,
    enqueued: list[tuple[str, int]],
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
    price: int,
) -> None:
    rental = order(house)
    house.upstream.change_service("02.97", price=price)
    with django_capture_on_commit_callbacks(execute=True):
        assert place(rental).price == price
    assert (house.service.price, house.service.prices.count()) == (1450, 1)
    assert "rentals.sync_catalog" not in dict(enqueued)
