"""Number memory: what the team knows of a number, on the rental's page and before it is rented again."""

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from accounts.models import Team, User
from accounts.policy import access_for
from rentals.models import Rental, Service, Status
from rentals.queries.number_memory import ServiceMemory, memory_of
from rentals.tests.factories import make_person, make_rental, make_service, make_team, make_token

pytestmark = pytest.mark.django_db

PHONE = "+84912345678"


def had(team: Team, service: Service, status: Status, *, days: int, person: User | None = None) -> Rental:
    token = team.tokens.first() or make_token(team)
    at = timezone.now() - timedelta(days=days)
    return make_rental(
        status,
        team=team,
        token=token,
        service=service,
        phone=PHONE,
        queued_at=at,
        person=person,
        imported=person is None,
    )


def text_of(client: Client, rental: Rental) -> str:
    return " ".join(client.get(reverse("number_memory", args=[rental.pk])).content.decode().split())


def test_it_says_how_often_for_what_whether_codes_came_and_who_was_last(team: Team, linh: User) -> None:
    zalo, grab = make_service(name="Zalo"), make_service(name="Grab")
    mai = make_person(team, username="mai")
    first = had(team, zalo, Status.RECEIVED, days=9)
    had(team, zalo, Status.EXPIRED, days=5, person=linh)
    last = had(team, grab, Status.EXPIRED, days=2, person=mai)
    memory = memory_of(access_for(linh), PHONE)
    assert memory is not None
    assert (memory.times, memory.codes, memory.last_at, memory.last_person) == (3, 1, last.queued_at, mai)
    zalo_last = first.queued_at + timedelta(days=4)
    assert [(s.name, s.times, s.codes) for s in memory.services] == [("Grab", 1, 0), ("Zalo", 2, 1)]
    assert abs(memory.services[1].last_at - zalo_last) < timedelta(minutes=1)


def test_a_service_listed_with_and_without_its_server_is_one(team: Team, linh: User) -> None:
    for sv in ("02", ""):
        had(team, make_service(sv=sv, upstream_id="97", name="Zalo"), Status.RECEIVED, days=1, person=linh)
    memory = memory_of(access_for(linh), PHONE)
    assert memory is not None
    assert memory.services == (ServiceMemory("Zalo", 2, 2, memory.last_at),)


@pytest.mark.parametrize("status", [Status.QUEUED, Status.REFUSED, Status.CANCELLED, Status.UNCONFIRMED])
def test_an_order_that_got_no_number_does_not_count(team: Team, linh: User, status: Status) -> None:
    had(team, make_service(), status, days=1, person=linh)
    assert memory_of(access_for(linh), PHONE) is None


def test_another_teams_rentals_of_the_number_are_not_known(team: Team, linh: User) -> None:
    had(make_team(), make_service(), Status.RECEIVED, days=1)
    assert memory_of(access_for(linh), PHONE) is None


def test_it_costs_two_queries_and_none_without_a_number(
    team: Team, linh: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for days in range(5):
        had(team, make_service(), Status.RECEIVED, days=days, person=linh)
    access = access_for(linh)
    with django_assert_num_queries(2):
        memory_of(access, PHONE)
    with django_assert_num_queries(0):
        assert memory_of(access, "") is None


def test_the_rentals_page_and_the_part_of_it_show_it(team: Team, linh: User) -> None:
    rental = had(team, make_service(name="Zalo"), Status.RECEIVED, days=0, person=linh)
    client = Client()
    client.force_login(linh)
    page = client.get(reverse("rental", args=[rental.pk])).content.decode()
    assert 'data-testid="number-memory"' not in page  # this one alone
    assert "Your team rented this number once; codes came: 1." in text_of(client, rental)
    had(team, make_service(name="Grab"), Status.EXPIRED, days=3)
    page = " ".join(client.get(reverse("rental", args=[rental.pk])).content.decode().split())
    assert "Your team rented this number 2 times; codes came: 1." in page
    assert "Grab" in page
    order = make_rental(Status.QUEUED, team=team, person=linh)
    assert "Your team never had this number." in text_of(client, order)
