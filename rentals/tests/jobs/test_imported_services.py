"""An imported rental belongs to the service that is offered, and can be rented again, however the catalog is spelled."""

import pytest
from pytest_django import DjangoAssertNumQueries

import thuesim
from accounts.policy import access_for
from rentals import budgets, orders
from rentals.jobs import catalog, placing, reconciling, service_twins
from rentals.models import Rental, Service, StarredService, Status
from rentals.queries.filters import BoardFilter, HistoryFilter
from rentals.tests.factories import make_person, make_rental, make_service, make_team
from rentals.tests.fixtures import House, order
from rentals.upstream.client import client_for

pytestmark = pytest.mark.django_db


def read_catalog_without_servers_once(house: House) -> None:
    """The upstream lists its services without SV for a while, then with SV again."""
    listed = client_for(house.token).services()
    without = {
        service.id: thuesim.Service("", service.id, service.name, service.price, 300) for service in reversed(listed)
    }
    catalog.take_services(list(without.values()))
    catalog.take_services(listed)
    assert not Service.objects.get(sv="", upstream_id="97").active
    assert house.service.active


def imported(house: House) -> Rental:
    """A rental that was made elsewhere, as an import wrote it: the history names no server."""
    client_for(house.token).rent("02.97")
    house.upstream.set_fault("id-bare")
    reconciling.reconcile(house.token.pk)
    return Rental.objects.get(imported=True)


def test_an_import_takes_the_offered_service_though_one_without_a_server_has_the_same_id(house: House) -> None:
    read_catalog_without_servers_once(house)
    assert imported(house).service == house.service


def test_a_rental_of_the_twin_that_is_not_offered_is_rented_again_on_the_offered_one(house: House) -> None:
    read_catalog_without_servers_once(house)
    rental = imported(house)
    twin = Service.objects.get(sv="", upstream_id="97")
    Rental.objects.filter(pk=rental.pk).update(service=twin)  # as an import wrote it before
    rental.refresh_from_db()
    again = order(house, service=rental.service, again_of=rental)
    assert again.service == house.service
    placing.place_next(house.token.pk)
    again.refresh_from_db()
    assert (again.status, again.phone) == (Status.WAITING, rental.phone)


def test_a_rental_of_a_server_is_rented_again_though_the_catalog_now_names_none() -> None:
    there = make_service(sv="", upstream_id="97", name="Yahoo")
    before = make_service(sv="02", upstream_id="97", name="Yahoo", active=False)
    assert before.offered() == there


def test_of_several_twins_the_one_on_the_rentals_server_is_meant_and_else_none() -> None:
    on_two, on_three = (make_service(sv=sv, upstream_id="97", name="Yahoo") for sv in ("02", "03"))
    twin = make_service(sv="", upstream_id="97", name="Yahoo", active=False)
    assert [twin.offered(sv=sv) for sv in ("02", "03", "", "04")] == [on_two, on_three, twin, twin]


def test_another_service_of_the_same_id_is_no_twin(house: House) -> None:
    make_service(sv="03", upstream_id="1234", name="Zalo")
    gone = make_service(sv="", upstream_id="1234", name="Yahoo", active=False)
    elsewhere = make_service(sv="02", upstream_id="1234", name="Zalo", active=False)
    assert gone.offered() == gone
    assert elsewhere.offered() == elsewhere
    earlier = make_rental(Status.EXPIRED, team=house.team, token=house.token, service=gone)
    with pytest.raises(orders.OrderRefused):
        order(house, service=gone, again_of=earlier)


def test_an_import_whose_service_never_had_a_name_is_rented_again_by_its_id() -> None:
    there = make_service(sv="02", upstream_id="1234", name="Yahoo")
    nameless = make_service(sv="", upstream_id="1234", name="1234", active=False)
    assert nameless.offered() == there


# What hangs on a service follows the catalog


def twins(*, offered: str = "02", gone: str = "") -> tuple[Service, Service]:
    """The same service twice, on two servers or without one: the one that is offered, and the one that is not."""
    there = make_service(sv=offered, upstream_id="97", name="Yahoo")
    return there, make_service(sv=gone, upstream_id="97", name="Yahoo", active=False)


def test_favourites_and_allowed_services_move_to_the_offered_twin_and_back() -> None:
    there, gone = twins()
    team, mai, both = make_team(), make_person(username="mai"), make_person(username="both")
    for person in (mai, both):
        StarredService.objects.create(person=person, service=gone)
    StarredService.objects.create(person=both, service=there)
    team.services.add(gone)
    for now, before in ((there, gone), (gone, there)):
        Service.objects.filter(pk=now.pk).update(active=True)
        Service.objects.filter(pk=before.pk).update(active=False)
        service_twins.move_to_offered()
        starred = StarredService.objects.values_list("person__username", "service")
        assert sorted(starred) == [("both", now.pk), ("mai", now.pk)]
        assert list(team.services.all()) == list(budgets.services_of(team)) == [now]


def test_rentals_without_a_server_move_to_the_offered_service_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_twins, "BATCH", 2)
    there, gone = twins()
    for _ in range(5):
        make_rental(Status.EXPIRED, service=gone)
    assert service_twins.move_to_offered() == 5
    assert set(Rental.objects.values_list("service", flat=True)) == {there.pk}
    assert service_twins.move_to_offered() == 0


def test_rentals_of_a_server_stay_while_the_catalog_names_none() -> None:
    _there, on_server = twins(offered="", gone="02")
    make_rental(Status.EXPIRED, service=on_server)
    assert service_twins.move_to_offered() == 0
    assert Rental.objects.get().service == on_server


def test_of_several_twins_the_server_in_the_id_decides_and_without_it_a_rental_stays() -> None:
    (on_two, gone), on_three = twins(), make_service(sv="03", upstream_id="97", name="Yahoo")
    rentals = [
        make_rental(Status.EXPIRED, service=gone, upstream_id=f"1{n}{sv}", upstream_key=f"1{n}")
        for n, sv in enumerate([".03", ".02", ""])
    ]
    assert service_twins.move_to_offered() == 2
    for rental in rentals:
        rental.refresh_from_db()
    assert [rental.service for rental in rentals] == [on_three, on_two, gone]


def test_another_name_or_another_id_is_no_twin() -> None:
    make_service(sv="02", upstream_id="97", name="Zalo")
    make_service(sv="02", upstream_id="98", name="Yahoo")
    gone = make_service(sv="", upstream_id="97", name="Yahoo", active=False)
    make_rental(Status.EXPIRED, service=gone)
    assert service_twins.move_to_offered() == 0


def test_a_catalog_in_which_nothing_moves_costs_one_query(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    there, _gone = twins()
    make_rental(Status.EXPIRED, service=there)
    with django_assert_num_queries(1):
        assert service_twins.move_to_offered() == 0


def test_the_next_catalog_moves_what_hung_on_the_twin(house: House) -> None:
    read_catalog_without_servers_once(house)
    twin = Service.objects.get(sv="", upstream_id="97")
    StarredService.objects.create(person=house.person, service=twin)
    catalog.sync_catalog(house.token)
    assert StarredService.objects.get().service == house.service


def test_a_filter_by_id_means_the_offered_service_and_never_the_twin_that_is_not() -> None:
    there, gone = twins()
    team = make_team()
    access = access_for(make_person(team))
    on_offered = make_rental(Status.EXPIRED, team=team, service=there)
    make_rental(Status.EXPIRED, team=team, service=gone)
    for key in ("97", "02.97"):
        board = BoardFilter.from_query({"service": key})
        assert list(board.apply(Rental.objects.all(), access)) == [on_offered]
        assert board.matches(on_offered, access)
        history = HistoryFilter.from_query({"service": key})
        assert list(history.apply(Rental.objects.all(), access)) == [on_offered]


def test_a_rental_that_may_be_of_several_servers_is_refused_in_words_that_are_true(house: House) -> None:
    for sv in ("02", "03"):
        make_service(sv=sv, upstream_id="777", name="Yahoo")
    gone = make_service(sv="", upstream_id="777", name="Yahoo", active=False)
    earlier = make_rental(
        Status.EXPIRED, team=house.team, token=house.token, service=gone, upstream_id="58098", upstream_key="58098"
    )
    with pytest.raises(orders.OrderRefused, match="on several servers now"):
        order(house, service=gone, again_of=earlier)
