"""Budgets under orders that come at once: real transactions, in threads, on the database that the tests run on."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connection

import thuesim
from accounts.models import Membership, Team, User
from rentals import budgets, orders
from rentals.jobs import placing
from rentals.models import Rental, Service, Token
from rentals.tests.factories import make_person, make_service, make_team, make_token

pytestmark = pytest.mark.django_db(transaction=True)

AT_ONCE, ALLOWED, PRICE = 50, 10, 1450


def order_all_at_once(team: Team, people: list[User], service: Service) -> Counter[bool]:
    """Let `AT_ONCE` threads order one number each, in the same instant; count who got through."""
    start = Barrier(AT_ONCE)

    def one(number: int) -> bool:
        start.wait(30)
        try:
            orders.take_order(orders.Order(person=people[number % len(people)], team=team, service=service))
        except orders.OrderRefused:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return Counter(pool.map(one, range(AT_ONCE)))


@pytest.fixture
def team() -> Team:
    team = make_team()
    make_token(team)
    make_token(team)
    return team


@pytest.mark.parametrize("field", ["budget_day", "budget_month"])
def test_a_teams_budget_of_ten_rentals_lets_exactly_ten_of_fifty_through(team: Team, field: str) -> None:
    Team.objects.filter(pk=team.pk).update(**{field: ALLOWED * PRICE + PRICE - 1})
    people = [make_person(team) for _ in range(7)]
    assert order_all_at_once(team, people, make_service(price=PRICE)) == {True: ALLOWED, False: AT_ONCE - ALLOWED}
    assert Rental.objects.count() == ALLOWED


@pytest.mark.parametrize(
    ("field", "most"),
    [("budget_day", ALLOWED * PRICE), ("budget_month", ALLOWED * PRICE), ("rentals_per_day", ALLOWED)],
)
def test_a_persons_budget_of_ten_lets_exactly_ten_of_fifty_through(team: Team, field: str, most: int) -> None:
    person = make_person(team)
    Membership.objects.filter(user=person).update(**{field: most})
    assert order_all_at_once(team, [person], make_service(price=PRICE)) == {True: ALLOWED, False: AT_ONCE - ALLOWED}


def test_the_rate_limit_counts_orders_one_after_the_other(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budgets, "MAX_ORDERS_PER_MINUTE", ALLOWED)
    assert order_all_at_once(team, [make_person(team)], make_service())[True] == ALLOWED


def test_several_tokens_placing_at_once_keep_to_a_budget_that_was_cut(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each worker claims on a token of its own, so that nothing but the team's row keeps them apart."""
    service, person = make_service(price=PRICE), make_person(team)
    tokens = [make_token(team) for _ in range(12)]
    for token in tokens:
        orders.take_order(orders.Order(person=person, team=team, service=service, token=token))
    Team.objects.filter(pk=team.pk).update(budget_day=5 * PRICE)
    start = Barrier(len(tokens))

    asked: list[str] = []

    def rent(client: thuesim.Client, service: str, **options: object) -> thuesim.Rented:
        asked.append(service)
        raise thuesim.TimedOut("")  # a number may have been taken, so its price still counts

    monkeypatch.setattr(thuesim.Client, "rent", rent)

    def place(token: Token) -> None:
        start.wait(30)
        try:
            placing.place_next(token.pk)
        finally:
            connection.close()

    with ThreadPoolExecutor(len(tokens)) as pool:
        list(pool.map(place, tokens))
    assert len(asked) == 5
    assert Counter(Rental.objects.values_list("status", flat=True)) == {"unconfirmed": 5, "refused": 7}
