"""A number whose reply was lost goes to the order that asked for it, and to no other."""

from dataclasses import replace
from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

import thuesim
from lib import clock
from rentals import lifecycle, orders
from rentals.jobs import placing, reconciling
from rentals.jobs.matching import UpstreamClock, match
from rentals.lifecycle import reasons
from rentals.models import Rental, RentalEvent, Service, Status, Token
from rentals.tests.factories import make_rental, make_service, make_team, make_token
from rentals.tests.fixtures import House

pytestmark = pytest.mark.django_db


def asked(token: Token, service: Service, ago: float, status: Status = Status.UNCONFIRMED, **over: object) -> Rental:
    """An order that asked for a number so many seconds ago."""
    at = timezone.now() - timedelta(seconds=ago)
    rental = make_rental(status, token=token, service=service, attempt_at=at, **over)
    detail = clock.stamp()
    RentalEvent.objects.create(
        rental=rental, at=at, kind="asked", after="placing", detail={**detail, "clock": detail["clock"] - ago}
    )
    return rental


def row(number: int, service: Service, ago: float, skew: float = 0.0) -> thuesim.HistoryEntry:
    made = timezone.now() + timedelta(seconds=skew - ago)
    return thuesim.HistoryEntry(
        id=str(number),
        service_id=service.upstream_id,
        service_name=service.name,
        state=thuesim.State.WAITING,
        price=1450,
        phone=f"+8496{number:07d}",
        created_at=made.replace(microsecond=0),
        message=None,
    )


def paired(token: Token, rows: list[thuesim.HistoryEntry]) -> dict[int, str]:
    orders = Rental.objects.filter(token=token, upstream_key="").select_related("service", "again_of")
    known = Rental.objects.filter(token=token).exclude(upstream_key="")
    told = {thuesim.rental_key(entry.id): entry.created_at for entry in rows}
    strange = [entry for entry in rows if not known.filter(upstream_key=thuesim.rental_key(entry.id)).exists()]
    pairs = match(list(orders), strange, UpstreamClock(token, orders, known, told))
    return {rental.pk: entry.id for rental, entry in pairs}


@pytest.fixture
def token() -> Token:
    return make_token(make_team(), clock_skew=0.0)


@pytest.fixture
def service() -> Service:
    return make_service()


def test_a_row_goes_to_the_order_that_asked_just_before_it(token: Token, service: Service) -> None:
    asked(token, service, ago=12)
    right = asked(token, service, ago=6)
    asked(token, service, ago=1)
    assert paired(token, [row(1, service, ago=5.6)]) == {right.pk: "1"}


def test_orders_and_rows_keep_their_sequence_where_every_reply_was_slow(token: Token, service: Service) -> None:
    first, second = asked(token, service, ago=20), asked(token, service, ago=15)
    assert paired(token, [row(2, service, ago=10), row(1, service, ago=15)]) == {first.pk: "1", second.pk: "2"}


def test_every_row_finds_an_order_even_if_another_one_would_be_nearer(token: Token, service: Service) -> None:
    first, second = asked(token, service, ago=30), asked(token, service, ago=25)
    assert paired(token, [row(1, service, ago=26), row(2, service, ago=24)]) == {first.pk: "1", second.pk: "2"}


def test_the_upstreams_clock_is_learned_from_what_both_sides_know(token: Token, service: Service) -> None:
    token.clock_skew = None
    known = asked(token, service, ago=60, status=Status.WAITING, upstream_id="7.02", upstream_key="7")
    order = asked(token, service, ago=20)
    rows = [row(7, service, ago=59, skew=900), row(8, service, ago=19.5, skew=900)]
    assert known.upstream_key == "7"
    assert paired(token, rows) == {order.pk: "8"}


@pytest.mark.parametrize("step", [-600, 600])
def test_a_stepped_clock_of_ours_mixes_nothing_up(token: Token, service: Service, step: int) -> None:
    asked(token, service, ago=60, status=Status.WAITING, upstream_id="7.02", upstream_key="7")
    order = asked(token, service, ago=20)
    asked(token, service, ago=9)
    rows = [row(7, service, ago=60), row(8, service, ago=19.5)]
    Rental.objects.update(attempt_at=timezone.now() + timedelta(seconds=step))
    assert paired(token, rows) == {order.pk: "8"}


@pytest.mark.parametrize("step", [-600, 600])
def test_so_does_a_clock_set_right_where_nothing_is_known_of_the_upstreams(
    token: Token, service: Service, step: int
) -> None:
    token.clock_skew = None
    order = asked(token, service, ago=20)
    asked(token, service, ago=9)
    Rental.objects.update(attempt_at=timezone.now() + timedelta(seconds=step))
    assert paired(token, [row(8, service, ago=19.5)]) == {order.pk: "8"}


def test_a_row_without_a_phone_may_be_a_number_rented_again(token: Token, service: Service) -> None:
    earlier = make_rental(Status.EXPIRED, token=token, service=service)
    again = asked(token, service, ago=5, again_of=earlier)
    assert paired(token, [replace(row(1, service, ago=5), phone="")]) == {again.pk: "1"}
    assert paired(token, [row(1, service, ago=5)]) == {}


def test_the_number_of_an_order_still_under_way_is_not_given_to_another(house: House) -> None:
    asked(house.token, house.service, ago=15, team=house.team)
    under_way = asked(house.token, house.service, ago=0.2, status=Status.PLACING, team=house.team)
    house.upstream.seed_rentals(1)
    assert reconciling.reconcile(house.token.pk) == 0
    assert not Rental.objects.exclude(upstream_key="").exists()
    Rental.objects.filter(pk=under_way.pk).update(status=Status.REFUSED, reason=reasons.OUT_OF_STOCK)
    assert reconciling.reconcile(house.token.pk) == 1


def test_a_clock_set_forward_gives_no_order_up(house: House) -> None:
    house.upstream.set_fault("http-500", count=1)
    rental = orders.take_order(orders.Order(person=house.person, team=house.team, service=house.service))
    placing.place_next(house.token.pk)
    with time_machine.travel(timezone.now() + timedelta(minutes=10), tick=True):
        reconciling.reconcile(house.token.pk)
    rental.refresh_from_db()
    assert rental.status == Status.UNCONFIRMED


def test_the_reply_still_counts_where_the_sweep_was_quicker(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    rental = orders.take_order(orders.Order(person=house.person, team=house.team, service=house.service))
    rent = thuesim.Client.rent

    def slowly(client: thuesim.Client, *args: object, **kwargs: object) -> thuesim.Rented:
        rented = rent(client, *args, **kwargs)  # type: ignore[arg-type]
        assert lifecycle.unconfirm(Rental.objects.get(pk=rental.pk), reason=reasons.WORKER_DIED)
        return rented

    monkeypatch.setattr(thuesim.Client, "rent", slowly)
    placing.place_next(house.token.pk)
    rental.refresh_from_db()
    assert rental.status == Status.WAITING
