from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from accounts.models import Role, Team, User
from accounts.policy import access_for
from pages.tests.markup import parse
from rentals.jobs import statistics
from rentals.models import (
    CountedDay,
    JobRun,
    LedgerEntry,
    Network,
    Rental,
    Service,
    ServiceFigure,
    ServicePrice,
    StarredService,
    Status,
)
from rentals.tests.factories import make_person, make_rental, make_service, make_team, make_token

pytestmark = pytest.mark.django_db


@pytest.fixture
def team() -> Team:
    return make_team()


@pytest.fixture
def person(team: Team, client: Client) -> User:
    person = make_person(team)
    client.force_login(person)
    return person


def ended(team: Team, service: Service, *, seconds: float | None, **over: Any) -> Rental:
    """A rental that ended: with a code after so many seconds, or without one."""
    at = timezone.now() - timedelta(hours=1)
    token = team.tokens.first() or make_token(team)
    fields: dict[str, Any] = {"team": team, "token": token, "service": service, "placed_at": at, **over}
    if seconds is None:
        return make_rental(Status.EXPIRED, **fields)
    return make_rental(Status.RECEIVED, received_at=at + timedelta(seconds=seconds), **fields)


def test_success_is_counted_by_service_network_and_prefix(team: Team) -> None:
    service = make_service()
    for seconds in (10, 20, 60, None, None):
        ended(team, service, seconds=seconds, network="VIETTEL", phone=f"+8496{seconds or 0:07d}")
    ended(team, service, seconds=100, network="MOBIFONE", phone="+84901234567")

    statistics.refresh(team.pk)

    person = make_person(team)
    networks, prefixes, both = statistics.by_network_and_prefix(access_for(person), service)
    assert [(f.name, f.rented, f.received, f.median_seconds, f.success) for f in networks] == [
        ("VIETTEL", 5, 3, 20.0, 60),
        ("MOBIFONE", 1, 1, 100.0, None),  # one alone tells nothing
    ]
    assert [(f.name, f.ended, f.received) for f in prefixes] == [("096", 5, 3), ("090", 1, 1)]
    assert [(f.name, f.ended, f.received, f.median_seconds) for f in both] == [
        ("VIETTEL 096", 5, 3, 20.0),
        ("MOBIFONE 090", 1, 1, 100.0),
    ]
    assert statistics.figure_of(access_for(person), service).median_seconds == 40.0  # between 20 and 60


def test_numbers_of_an_unknown_network_have_their_part_in_the_medians_of_the_whole(team: Team) -> None:
    service = make_service()
    for seconds in (10, 20, 30):
        ended(team, service, seconds=seconds, network="VIETTEL", phone="+84961234567")
    for seconds in (90, 100):
        ended(team, service, seconds=seconds, network="", phone="+84961234568")
    statistics.refresh(team.pk)
    medians = ServiceFigure.objects.values_list("network", "prefix", "median_seconds")
    assert sorted(medians) == [("", "", 30), ("", "96", 30), ("VIETTEL", "", 20), ("VIETTEL", "96", 20)]


def test_a_rental_made_elsewhere_counts_as_a_success_and_tells_no_seconds(team: Team) -> None:
    service = make_service()
    ended(team, service, seconds=5000, imported=True)
    statistics.refresh(team.pk)
    figure = ServiceFigure.objects.get(service=service, network="", prefix="")
    assert (figure.received, figure.median_seconds) == (1, None)


def test_a_second_count_replaces_the_first(team: Team) -> None:
    old, new = make_service(), make_service()
    gone = ended(team, old, seconds=10)
    statistics.refresh(team.pk)
    Rental.objects.filter(pk=gone.pk).update(service=new)
    statistics.refresh(team.pk)
    statistics.refresh(team.pk)
    assert set(ServiceFigure.objects.values_list("service", flat=True)) == {new.pk}


def test_rentals_of_another_team_and_old_ones_are_not_counted(team: Team) -> None:
    service = make_service()
    ended(make_team(), service, seconds=10)
    ended(team, service, seconds=10, placed_at=timezone.now() - timedelta(days=statistics.DAYS, minutes=1))
    statistics.refresh(team.pk)
    assert not ServiceFigure.objects.filter(team=team).exists()


def test_counting_is_due_after_a_while_and_not_before(team: Team) -> None:
    assert statistics.refresh_if_due()
    assert not statistics.refresh_if_due()
    JobRun.objects.update(at=timezone.now() - timedelta(seconds=statistics.REFRESH_SECONDS + 1))
    assert statistics.refresh_if_due()


def test_starred_services_go_first_then_the_most_used(team: Team, person: User) -> None:
    rare, often, starred = make_service(name="Rare"), make_service(name="Often"), make_service(name="Starred")
    ended(team, rare, seconds=10)
    for _ in range(2):
        ended(team, often, seconds=10)
    statistics.refresh(team.pk)
    StarredService.objects.create(person=person, service=starred)
    lines = statistics.service_lines(access_for(person))
    assert [line.service.name for line in lines] == ["Starred", "Often", "Rare"]


def test_services_that_the_team_may_not_order_are_left_out_and_shown_on_request(team: Team, person: User) -> None:
    allowed, other = make_service(name="Zalo"), make_service(name="Shopee")
    team.services.add(allowed)
    access = access_for(person)
    assert [line.service for line in statistics.service_lines(access)] == [allowed]
    assert {(line.service, line.allowed) for line in statistics.service_lines(access, all_services=True)} == {
        (allowed, True),
        (other, False),
    }


def test_the_page_shows_prices_and_what_the_team_may_rent(client: Client, team: Team, person: User) -> None:
    zalo, shopee = make_service(name="Zalo", price=1450), make_service(name="Shopee")
    team.services.add(zalo)
    for days, price in ((9, 1400), (1, 1450)):
        ServicePrice.objects.create(service=zalo, price=price, since=timezone.now() - timedelta(days=days))
    page = client.get("/services/").content.decode()
    assert "1.450 ₫" in page
    assert "+50 ₫" in page
    assert "Shopee" not in page
    assert "not for your team" in client.get("/services/?show=all").content.decode()
    assert reverse("service", args=[shopee.pk]) not in page


def test_the_search_ignores_accents(client: Client, person: User) -> None:
    make_service(name="Dịch vụ khác")
    make_service(name="Zalo")
    page = client.get("/services/?q=dich vu").content.decode()
    assert "Dịch vụ khác" in page
    assert "Zalo" not in page


def test_a_services_page_says_how_it_did_by_network(client: Client, team: Team, person: User) -> None:
    service = make_service(name="Zalo")
    for _ in range(5):
        ended(team, service, seconds=30, network="VIETTEL")
    statistics.refresh(team.pk)
    page = parse(client.get(reverse("service", args=[service.pk])).content.decode())
    [row] = [row for row in page.find_all("tr") if [th.text for th in row.find_all("th")] == ["VIETTEL"]]
    cells = [cell.text for cell in row.find_all("td")]
    assert "30 s" in cells
    assert any("100 %" in cell for cell in cells)


def test_the_page_takes_the_same_queries_for_one_service_and_for_many(
    client: Client, person: User, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(30):
        ServicePrice.objects.create(service=make_service(), price=1, since=timezone.now())
    with django_assert_max_num_queries(11):
        client.get("/services/")


def test_an_operator_stars_a_service_and_takes_the_star_away(client: Client, person: User) -> None:
    service = make_service()
    star = reverse("service_star", args=[service.pk])
    client.post(star, {"starred": "1"})
    client.post(star, {"starred": "1"})
    assert StarredService.objects.filter(person=person, service=service).count() == 1
    answer = client.post(star, {"starred": ""}, headers={"HX-Request": "true"})
    assert [button["aria-pressed"] for button in parse(answer.content.decode()).find_all("button")] == ["false"]
    assert not StarredService.objects.exists()


def test_a_viewer_has_no_stars(client: Client, team: Team) -> None:
    client.force_login(make_person(team, Role.VIEWER))
    service = make_service()
    assert client.post(reverse("service_star", args=[service.pk]), {"starred": "1"}).status_code == 403
    assert "service_star" not in client.get("/services/").content.decode()


def test_stars_are_not_taken_by_a_link(client: Client, person: User) -> None:
    assert client.get(reverse("service_star", args=[make_service().pk])).status_code == 405


def test_strangers_sign_in_first(client: Client) -> None:
    assert client.get("/services/").headers["Location"].startswith("/accounts/login/")


# What a code costs


def of(team: Team, service: Service, codes: int, without: int, **over: Any) -> list[Rental]:
    """So many rentals with a code, and so many without one."""
    return [ended(team, service, seconds=10 if n < codes else None, **over) for n in range(codes + without)]


def refund(rental: Rental, *, taken_back: bool = False) -> None:
    LedgerEntry.objects.create(
        token=rental.token,
        rental=rental,
        kind="refund",
        amount=rental.price or 0,
        at=timezone.now(),
        taken_back=taken_back,
    )


VIETTEL = {"network": "VIETTEL", "phone": "+84961234567"}
MOBIFONE = {"network": "MOBIFONE", "phone": "+84901234567"}


def test_a_code_costs_what_the_rentals_without_one_cost_too_less_their_refunds(team: Team) -> None:
    service = make_service(price=1000)
    rentals = of(team, service, codes=4, without=4, price=1000, **VIETTEL)
    refund(rentals[-1])
    refund(rentals[-2], taken_back=True)  # booked by mistake
    make_rental(Status.WAITING, team=team, token=rentals[0].token, service=service, price=1000, **VIETTEL)
    statistics.refresh(team.pk)
    access = access_for(make_person(team))
    networks, prefixes, both = statistics.by_network_and_prefix(access, service)
    for figure in (statistics.figure_of(access, service), *networks, *prefixes, *both):
        assert (figure.spent, figure.cost_per_code) == (7000, 1750)
    assert both[0].name == "VIETTEL 096"


def test_too_few_rentals_none_with_a_code_and_old_counts_have_no_cost(team: Team) -> None:
    few, no_code = make_service(), make_service()
    of(team, few, codes=4, without=0)
    of(team, no_code, codes=0, without=5)
    statistics.refresh(team.pk)
    access = access_for(make_person(team))
    assert [statistics.figure_of(access, service).cost_per_code for service in (few, no_code)] == [None, None]
    of(team, few, codes=4, without=0)
    statistics.refresh(team.pk)
    assert statistics.figure_of(access, few).cost_per_code == 1450
    ServiceFigure.objects.update(spent=None)  # as counted by an earlier version
    assert statistics.figure_of(access, few).cost_per_code is None


def queries_of_rentals(team: Team) -> int:
    """How many queries of rentals the count takes: three for each day that it counts."""
    with CaptureQueriesContext(connection) as queries:
        statistics.refresh(team.pk)
    return sum('FROM "rentals_rental"' in query["sql"] for query in queries)


def test_a_count_reads_the_days_alone_whose_rentals_changed(team: Team) -> None:
    services = [make_service() for _ in range(3)]
    for service in services:
        of(team, service, codes=2, without=1, **VIETTEL)
    assert queries_of_rentals(team) == 3 * statistics.DAYS
    assert queries_of_rentals(team) == 0
    of(team, services[0], codes=1, without=0, **VIETTEL)
    of(team, services[1], codes=1, without=0, placed_at=timezone.now() - timedelta(days=9), **VIETTEL)
    assert queries_of_rentals(team) == 3 * 2
    assert ServiceFigure.objects.get(service=services[1], network="", prefix="").rented == 4


def test_a_change_of_an_old_day_and_a_number_that_runs_out_are_counted(team: Team) -> None:
    service = make_service()
    old = timezone.now() - timedelta(days=20)
    late = ended(team, service, seconds=None, placed_at=old, price=1000)
    waits = make_rental(Status.WAITING, team=team, token=late.token, service=service, placed_at=old, price=1000)
    statistics.refresh(team.pk)
    statistics.refresh(team.pk)
    refund(late)
    Rental.objects.filter(pk=waits.pk).update(status=Status.EXPIRED)
    statistics.refresh(team.pk)
    figure = ServiceFigure.objects.get(team=team, service=service, network="", prefix="")
    assert (figure.rented, figure.ended, figure.received, figure.spent) == (2, 2, 0, 1000)


def test_a_day_older_than_the_statistics_is_forgotten(team: Team) -> None:
    service = make_service()
    ended(team, service, seconds=10)
    statistics.refresh(team.pk)
    CountedDay.objects.filter(team=team, day=timezone.localdate()).delete()
    gone = CountedDay.objects.create(team=team, day=timezone.localdate() - timedelta(days=statistics.DAYS), counted=0)
    statistics.refresh(team.pk)
    assert not CountedDay.objects.filter(pk=gone.pk).exists()
    assert ServiceFigure.objects.get(team=team, network="", prefix="").median_seconds == 10


def test_the_services_page_shows_the_cost_by_network_and_prefix(client: Client, person: User, team: Team) -> None:
    service = make_service()
    of(team, service, codes=5, without=5, price=1000, **VIETTEL)
    statistics.refresh(team.pk)
    page = parse(client.get(reverse("service", args=[service.pk])).content.decode())
    assert page.find(data_testid="cost-per-code").text == "2.000 ₫"
    assert [cell.text for cell in page.find_all("td", data_label="Cost per code")] == ["2.000 ₫"] * 3
    assert "VIETTEL 096" in [cell.text for cell in page.find_all("th")]


# The best choice now


def best(person: User, service: Service) -> tuple[str, str] | None:
    lines = {line.service: line for line in statistics.service_lines(access_for(person))}
    choice = lines[service].best
    return (choice.network, choice.prefix) if choice else None


def test_the_best_choice_is_where_codes_cost_least(team: Team, person: User) -> None:
    service = make_service()
    of(team, service, codes=6, without=6, **VIETTEL)
    of(team, service, codes=9, without=3, **MOBIFONE)
    of(team, service, codes=1, without=11, network="MOBIFONE", phone="+84931234567")
    statistics.refresh(team.pk)
    assert best(person, service) == ("MOBIFONE", "90")


def test_a_choice_needs_samples_and_an_alternative(team: Team, person: User) -> None:
    few, alone = make_service(), make_service()
    of(team, few, codes=2, without=20, **VIETTEL)
    of(team, few, codes=statistics.MIN_SAMPLES - 1, without=0, **MOBIFONE)
    of(team, alone, codes=9, without=9, **VIETTEL)
    statistics.refresh(team.pk)
    assert best(person, few) is None
    assert best(person, alone) is None
    of(team, few, codes=1, without=0, **MOBIFONE)
    statistics.refresh(team.pk)
    assert best(person, few) == ("MOBIFONE", "")


def test_the_best_choice_is_the_teams_own_and_costs_no_query_more(
    team: Team, person: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    service, other = make_service(), make_team()
    of(other, service, codes=2, without=20, **VIETTEL)
    of(other, service, codes=20, without=0, **MOBIFONE)
    statistics.refresh(other.pk)
    access = access_for(person)
    with django_assert_num_queries(2):
        assert all(line.best is None for line in statistics.service_lines(access))


def advice(client: Client) -> list[tuple[str, str, str]]:
    """The services of the rent form that have a best choice: network, prefix, and what is said."""
    options = parse(client.get("/").content.decode()).find("select", id="service").find_all("option")
    return [(o["data-network"], o["data-prefix"], o["data-advice"]) for o in options if "data-advice" in o]


def test_the_rent_form_names_the_best_choice_with_its_basis_while_the_network_is_offered(
    client: Client, team: Team, person: User
) -> None:
    service = make_service(name="Zalo", price=1450)
    of(team, service, codes=6, without=6, price=1000, **VIETTEL)
    of(team, service, codes=9, without=3, price=1000, **MOBIFONE)
    statistics.refresh(team.pk)
    Network.objects.update_or_create(name="MOBIFONE", defaults={"active": True})
    said = "Best choice now: MOBIFONE, 1.333 ₫ a code instead of 1.600 ₫ (9 of 12 gave one, your team's 30 days)."
    assert advice(client) == [("MOBIFONE", "", said)]
    Team.objects.update(max_price=1449)  # nothing above it is ordered, so nothing is advised
    assert advice(client) == []
    Team.objects.update(max_price=service.price)
    assert advice(client) == [("MOBIFONE", "", said)]
    Network.objects.update(active=False)
    assert advice(client) == []
