from datetime import date, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from accounts.models import Role, Team, User
from accounts.policy import access_for
from pages.presenters import spend
from pages.presenters.spend import Period
from pages.tests.markup import parse
from rentals.models import BalanceReading, LedgerEntry, Rental, Status, Token
from rentals.tests.factories import make_person, make_rental, make_service, make_team, make_token

pytestmark = pytest.mark.django_db


@pytest.fixture
def team() -> Team:
    return make_team()


@pytest.fixture
def token(team: Team) -> Token:
    return make_token(team, name="Chính")


@pytest.fixture
def manager(team: Team) -> User:
    return make_person(team, Role.MANAGER)


def rented(team: Team, token: Token, price: int, *, back: bool = False, **over: Any) -> Rental:
    rental = make_rental(Status.EXPIRED, team=team, token=token, price=price, **over)
    LedgerEntry.objects.create(token=token, rental=rental, kind="rent", amount=-price, at=timezone.now())
    if back:
        LedgerEntry.objects.create(token=token, rental=rental, kind="refund", amount=price, at=timezone.now())
    return rental


def this_month() -> Period:
    return Period.from_query({})


def test_what_was_given_back_is_not_spent(team: Team, token: Token, manager: User) -> None:
    rented(team, token, 1000)
    rented(team, token, 500, back=True)
    total = spend.spending(access_for(manager), this_month()).total
    assert (total.rentals, total.charged, total.refunded, total.spent) == (2, 1500, 500, 1000)


def test_each_day_has_its_money_by_vietnams_clock(team: Team, token: Token, manager: User) -> None:
    late = datetime.fromisoformat("2026-10-31T23:30:00+07:00")
    rented(team, token, 1000, placed_at=late)
    rented(team, token, 300, placed_at=late + timedelta(hours=1))
    found = spend.spending(access_for(manager), Period(date(2026, 10, 31), date(2026, 11, 1)))
    assert [(day.label, day.spent) for day in found.days] == [("31/10/2026", 1000), ("01/11/2026", 300)]


def test_it_is_told_by_service_person_purpose_and_token(team: Team, token: Token, manager: User) -> None:
    linh = make_person(team, username="linh")
    zalo = make_service(name="Zalo", upstream_id="97")
    rented(team, token, 1000, person=linh, service=zalo, purpose="QA")
    rented(team, make_token(team, name="Dự phòng"), 400, service=make_service(name="Grab", upstream_id="5"))
    found = spend.spending(access_for(manager), this_month())
    told = {grouping.key: [(line.label, line.spent) for line in grouping.lines] for grouping in found.groupings}
    assert told == {
        "service": [("Zalo · 02.97", 1000), ("Grab · 02.5", 400)],
        "person": [("linh", 1000), ("rented elsewhere (imported)", 400)],
        "purpose": [("QA", 1000), ("no purpose given", 400)],
        "token": [("Chính", 1000), ("Dự phòng", 400)],
    }


def test_what_does_not_fit_is_one_line(team: Team, token: Token, manager: User) -> None:
    for n in range(spend.MAX_LINES + 3):
        rented(team, token, 1000 + n, purpose=f"purpose {n}")
    purposes = spend.spending(access_for(manager), this_month()).groupings[2].lines
    assert len(purposes) == spend.MAX_LINES + 1
    assert (purposes[-1].label, purposes[-1].rentals, purposes[-1].spent) == ("all others", 3, 3003)


def test_another_teams_money_is_not_in_it(team: Team, token: Token, manager: User) -> None:
    rented(make_team(), token, 9999)
    assert spend.spending(access_for(manager), this_month()).total.rentals == 0


def test_differences_are_shown_with_the_time_in_which_they_arose(team: Team, token: Token, manager: User) -> None:
    now = timezone.now()
    for minutes, balance in ((40, 1000), (30, 1000), (20, 700), (10, 700), (5, 900)):
        BalanceReading.objects.create(token=token, at=now - timedelta(minutes=minutes), balance=balance, expected=1000)
    BalanceReading.objects.create(token=token, at=now - timedelta(minutes=25), balance=1, expected=None)
    found = spend.differences(
        access_for(manager), Period(timezone.localdate() - timedelta(days=1), timezone.localdate())
    )
    assert [(d.amount, d.since, d.until) for d in found] == [
        (200, now - timedelta(minutes=10), now - timedelta(minutes=5)),
        (-300, now - timedelta(minutes=30), now - timedelta(minutes=20)),
    ]


def test_differences_of_another_teams_token_are_not_shown(team: Team, manager: User) -> None:
    other = make_token(make_team())
    for minutes, balance in ((40, 1000), (30, 1)):
        at = timezone.now() - timedelta(minutes=minutes)
        BalanceReading.objects.create(token=other, at=at, balance=balance, expected=1000)
    assert spend.differences(access_for(manager), this_month()) == []


@pytest.mark.parametrize(
    ("query", "since", "until"),
    [
        ({"since": "2026-10-01", "until": "2026-10-31"}, date(2026, 10, 1), date(2026, 10, 31)),
        ({"since": "2026-10-31", "until": "2026-10-01"}, date(2026, 10, 1), date(2026, 10, 1)),
        ({"since": "no day", "until": "2026-10-31"}, date(2026, 10, 2), date(2026, 10, 31)),
        ({"since": "2001-01-01", "until": "2026-10-31"}, date(2025, 10, 30), date(2026, 10, 31)),
        ({"since": "0001-01-01", "until": "9999-12-31"}, date(2026, 10, 24), date(2026, 11, 22)),
    ],
)
def test_the_period_stands_in_the_address(query: dict[str, str], since: date, until: date) -> None:
    with time_machine.travel("2026-11-22T12:00:00+07:00"):
        assert Period.from_query(query) == Period(since, until)


def test_the_page_shows_the_money_and_a_chart_that_can_be_read(
    client: Client, team: Team, token: Token, manager: User
) -> None:
    rented(team, token, 1450)
    client.force_login(manager)
    page = parse(client.get("/spend/").content.decode())
    assert page.find(data_testid="spent").text == "1.450 ₫"
    assert page.find_all("svg", role="img")
    assert not any("style" in element for element in page.find_all())


def test_the_page_says_when_nothing_was_rented(client: Client, manager: User) -> None:
    client.force_login(manager)
    assert "Nothing was rented in these days." in client.get("/spend/").content.decode()


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_only_managers_see_it(client: Client, team: Team, role: Role) -> None:
    client.force_login(make_person(team, role))
    assert client.get("/spend/").status_code == 403


def test_the_page_takes_the_same_queries_for_few_rentals_and_for_many(
    client: Client, team: Team, manager: User, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for n in range(10):
        rented(team, make_token(team), 100, person=make_person(team), purpose=str(n))
    client.force_login(manager)
    with django_assert_max_num_queries(13):
        client.get("/spend/")
