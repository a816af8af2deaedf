"""While the history is away, a callback settles the one order that it can only belong to, and no other."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone

import thuesim
from rentals.jobs import callbacks, placing, reconciling
from rentals.models import Callback, Rental, Status, Token
from rentals.tests.factories import make_person, make_rental
from rentals.tests.fixtures import House, order
from rentals.upstream.client import client_for

pytestmark = pytest.mark.django_db


def lost(house: House, **over: object) -> Rental:
    """An order whose reply was lost."""
    house.upstream.set_fault("lost-reset", count=1)
    rental = order(house, **over)
    placing.place_next(house.token.pk)
    rental.refresh_from_db()
    assert rental.status == Status.UNCONFIRMED
    return rental


def number(house: House) -> int:
    return int(house.upstream.books()["rentals"][-1]["number"])


def deliver(house: House, upstream_id: object, code: str = "529310") -> Callback:
    """The message arrives at the upstream, which posts it to us."""
    house.upstream.deliver(str(upstream_id), f"ma {code}", code)
    return post(house, upstream_id, code)


def post(house: House, upstream_id: object, code: str = "529310") -> Callback:
    fields = {"status": 1, "requestId": upstream_id, "code": code, "smsContent": f"ma {code}"}
    body = json.dumps(fields).encode()
    kept = callbacks.receive_callback(house.token, body, content_type="application/json", address=None)
    callbacks.apply_callback(kept)
    return kept


def reconcile_without_history(house: House) -> None:
    house.upstream.set_fault("http-500", endpoint="history")
    with pytest.raises(thuesim.ServerError):
        reconciling.reconcile(house.token.pk)


def test_the_code_is_there_before_the_history_and_the_phone_with_it(
    house: House, enqueued: list[tuple[str, int]], django_capture_on_commit_callbacks: object
) -> None:
    rental = lost(house)
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]
        kept = deliver(house, number(house))
    assert ("rentals.settle", house.token.pk) in enqueued
    reconcile_without_history(house)
    rental.refresh_from_db()
    assert (rental.status, rental.upstream_key) == (Status.RECEIVED, str(number(house)))
    assert [message.code for message in rental.messages.all()] == ["529310"]
    assert rental.ledger.get().amount == -(rental.service.price or 0)
    kept.refresh_from_db()
    assert (kept.state, kept.rental) == (Callback.State.APPLIED, rental)
    house.upstream.clear_faults("http-500")
    reconciling.reconcile(house.token.pk)
    rental.refresh_from_db()
    assert rental.phone.removeprefix("+84") == house.upstream.books()["rentals"][-1]["phone"].removeprefix("0")
    assert Rental.objects.count() == 1


def test_of_two_orders_in_doubt_a_callback_settles_none(house: House) -> None:
    rentals = [lost(house), lost(house, person=make_person(house.team))]
    deliver(house, number(house))
    reconcile_without_history(house)
    assert {Rental.objects.get(pk=rental.pk).status for rental in rentals} == {Status.UNCONFIRMED}


def test_an_id_that_thuesim_does_not_know_as_the_tokens_settles_nothing(house: House) -> None:
    rental = lost(house)
    post(house, 999_999_999)
    reconcile_without_history(house)
    rental.refresh_from_db()
    assert rental.status == Status.UNCONFIRMED


def test_two_unknown_ids_settle_nothing(house: House) -> None:
    rental = lost(house)
    client_for(house.token).rent("02.97")  # elsewhere
    for row in house.upstream.books()["rentals"]:
        deliver(house, row["number"])
    reconcile_without_history(house)
    rental.refresh_from_db()
    assert rental.status == Status.UNCONFIRMED


def test_an_id_before_known_ones_settles_nothing(house: House) -> None:
    elsewhere = client_for(house.token).rent("02.97")
    make_rental(Status.EXPIRED, token=house.token, upstream_key=str(int(thuesim.rental_key(elsewhere.id)) + 1))
    rental = lost(house)
    deliver(house, thuesim.rental_key(elsewhere.id))
    reconcile_without_history(house)
    rental.refresh_from_db()
    assert rental.status == Status.UNCONFIRMED


def test_a_callback_from_before_the_order_settles_nothing(house: House) -> None:
    rental = lost(house)
    kept = deliver(house, number(house))
    Callback.objects.filter(pk=kept.pk).update(at=timezone.now() - timedelta(minutes=1))
    reconcile_without_history(house)
    rental.refresh_from_db()
    assert rental.status == Status.UNCONFIRMED


def test_for_a_token_that_is_used_elsewhere_a_callback_is_no_evidence(house: House) -> None:
    client_for(house.token).rent("02.97")
    reconciling.reconcile(house.token.pk)
    assert Token.objects.get().rentals.get().imported
    rental = lost(house)
    deliver(house, number(house))
    reconcile_without_history(house)
    rental.refresh_from_db()
    assert rental.status == Status.UNCONFIRMED
