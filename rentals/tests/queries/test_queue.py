"""A token's queue: its order, the places in it, and which token serves an order first."""

import json
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from rentals.models import Hold, Rental, Status
from rentals.queries import queue
from rentals.tests.factories import make_person, make_rental, make_service, make_team, make_token

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


def test_the_places_of_many_tokens_take_two_queries(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    team = make_team()
    person, tokens = make_person(team), [make_token(team, waiting_limit=limit) for limit in (None, 1, 2)]
    rentals = [make_rental(team=team, token=token, person=person) for token in tokens for _ in range(2)]
    make_rental(Status.WAITING, team=team, token=tokens[1])
    with django_assert_num_queries(2):
        places = queue.places_in_queue(tokens)
    assert [places[rental.pk] for rental in rentals] == [(1, 0), (2, 5), (1, None), (2, None), (1, 0), (2, 5)]


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite's plan does not say how many rows it read")
def test_the_queue_reads_one_earlier_rental_of_each_order_however_many_its_person_has() -> None:
    team = make_team()
    token, person = make_token(team), make_person(team)
    own: dict[str, Any] = {"team": team, "token": token, "person": person, "service": make_service()}
    for n in range(200):
        make_rental(Status.EXPIRED, **own, upstream_key=f"x{n}")
    for _ in range(3):
        make_rental(**own)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE rentals_rental")
        cursor.execute("SET LOCAL enable_seqscan = off")
    plan = json.loads(queue.queue_of(token.pk).explain(format="json", analyze=True))
    assert _rows_read(plan[0]["Plan"]) < 20


def _rows_read(plan: dict[str, Any]) -> int:
    """Return how many rows are read from tables and indexes, those that a filter then leaves out included."""
    own = (plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)) * plan["Actual Loops"]
    return (own if "Relation Name" in plan else 0) + sum(map(_rows_read, plan.get("Plans", ())))


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
