"""An imported rental belongs to the service that is offered, and can be rented again, however the catalogue is spelled."""

import pytest

import thuesim
from rentals import orders
from rentals.jobs import catalog, placing, reconciling
from rentals.models import Rental, Service, Status
from rentals.tests.factories import make_rental, make_service
from rentals.tests.fixtures import House, order
from rentals.upstream.client import client_for

pytestmark = pytest.mark.django_db


def read_catalogue_without_servers_once(house: House) -> None:
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
    reconciling.settle(house.token.pk)
    return Rental.objects.get(imported=True)


def test_an_import_takes_the_offered_service_though_one_without_a_server_has_the_same_id(house: House) -> None:
    read_catalogue_without_servers_once(house)
    assert imported(house).service == house.service


def test_a_rental_of_the_twin_that_is_not_offered_is_rented_again_on_the_offered_one(house: House) -> None:
    read_catalogue_without_servers_once(house)
    rental = imported(house)
    twin = Service.objects.get(sv="", upstream_id="97")
    Rental.objects.filter(pk=rental.pk).update(service=twin)  # as an import wrote it before
    rental.refresh_from_db()
    again = order(house, service=rental.service, again_of=rental)
    assert again.service == house.service
    placing.place_next(house.token.pk)
    again.refresh_from_db()
    assert (again.status, again.phone) == (Status.WAITING, rental.phone)


def test_a_rental_of_a_server_is_rented_again_though_the_catalogue_now_names_none() -> None:
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
