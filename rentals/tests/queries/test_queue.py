"""A token's queue: its order, the places in it, and which token serves an order first."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone
from pytest_django import Settings

from rentals.models import Hold, Rental, Status
from rentals.queries import queue
from rentals.tests.factories import make_person, make_rental, make_team, make_token

pytestmark = pytest.mark.django_db


def test_a_place_in_the_queue_comes_with_the_likely_time(settings: Settings) -> None:
    settings.THUESIM_RENT_GAP_SECONDS = 5.0
    team = make_team()
    token, person = make_token(team), make_person(team)
    rentals = [make_rental(team=team, token=token, person=person) for _ in range(3)]
    assert [queue.place_in_queue(rental) for rental in rentals] == [(1, 0), (2, 5), (3, 10)]


def test_the_queue_alternates_between_people_and_goes_on_with_the_one_served_longest_ago() -> None:
    team = make_team()
    token, first, second = make_token(team), make_person(team), make_person(team)
    earlier = timezone.now() - timedelta(minutes=5)
    mine = [make_rental(team=team, token=token, person=first) for _ in range(2)]
    yours = [make_rental(team=team, token=token, person=second) for _ in range(2)]
    assert list(queue.queue_of(token.pk)) == [mine[0], yours[0], mine[1], yours[1]]
    make_rental(Status.WAITING, team=team, token=token, person=first, attempt_at=earlier)
    assert list(queue.queue_of(token.pk)) == [yours[0], mine[0], yours[1], mine[1]]


def test_the_token_that_serves_an_order_first_comes_first() -> None:
    team = make_team()
    poor = make_token(team, balance=100)
    full = make_token(team, balance=10_000, waiting_limit=1)
    busy = make_token(team, balance=10_000)
    free = make_token(team, balance=10_000)
    held = make_token(team, balance=10_000, hold=Hold.DOWN, hold_until=timezone.now() + timedelta(seconds=10))
    paused = make_token(team, balance=10_000, paused=True)
    make_rental(Status.WAITING, team=team, token=full)
    make_rental(team=team, token=busy)
    assert queue.best_tokens(team, price=1450) == [free, busy, full, poor, held]
    assert queue.best_tokens(team, price=1450, without=[free.pk]) == [busy, full, poor, held]
    assert paused not in queue.best_tokens(team, price=0)


def test_an_order_that_is_not_queued_has_no_place() -> None:
    assert queue.place_in_queue(make_rental(Status.WAITING)) == (0, 0)


def test_an_order_in_doubt_holds_a_waiting_place_for_a_short_while() -> None:
    doubtful = make_rental(Status.UNCONFIRMED)
    waiting = make_rental(Status.WAITING, token=doubtful.token, team=doubtful.team)
    assert set(Rental.objects.filter(queue.holding_a_place())) == {doubtful, waiting}
    with time_machine.travel(timezone.now() + timedelta(seconds=queue.DOUBTFUL_SECONDS + 1)):
        assert set(Rental.objects.filter(queue.holding_a_place())) == {waiting}
