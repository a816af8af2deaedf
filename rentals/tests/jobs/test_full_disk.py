"""While the disk is full no order is taken, and what comes meanwhile is there once there is room."""

from datetime import timedelta

import pytest
from django.conf import settings
from django.db import OperationalError
from django.utils import timezone, translation

from rentals import orders
from rentals.jobs import placing, polling, reconciling
from rentals.models import Rental, Status, Token
from rentals.tests.fixtures import House, later, order
from rentals.tests.full_disk import full_disk

pytestmark = pytest.mark.django_db(transaction=True)


def test_an_order_is_refused_in_words_and_nothing_is_asked(house: House, enqueued: list[tuple[str, int]]) -> None:
    with full_disk(), translation.override("en"), pytest.raises(orders.OrderRefused, match="disk of the desk is full"):
        order(house)
    assert not Rental.objects.exists()
    assert enqueued == []
    assert house.upstream.books()["rentals"] == []


def test_an_order_in_the_queue_is_not_placed_where_that_cannot_be_written(house: House) -> None:
    order(house)
    with full_disk(), pytest.raises(OperationalError):
        placing.place_next(house.token.pk)
    assert house.upstream.books()["rentals"] == []
    placing.place_next(house.token.pk)
    assert Rental.objects.get().status == Status.WAITING


def test_a_number_whose_reply_could_not_be_written_is_found_once_there_is_room(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    rental = order(house)
    request = placing._request

    def reply_comes_too_late(*args: object) -> object:
        rented = request(*args)  # type: ignore[arg-type]
        full.__enter__()
        return rented

    full = full_disk()
    monkeypatch.setattr(placing, "_request", reply_comes_too_late)
    with pytest.raises(OperationalError):
        placing.place_next(house.token.pk)
    full.__exit__(None, None, None)
    assert len(house.upstream.books()["rentals"]) == 1
    with later(timedelta(seconds=settings.THUESIM_TIMEOUT_SECONDS + 6)):
        placing.sweep()
        reconciling.reconcile(house.token.pk)
    rental.refresh_from_db()
    assert rental.status == Status.WAITING
    assert rental.upstream_key == house.upstream.books()["rentals"][0]["id"].partition(".")[0]


def test_a_code_that_could_not_be_written_is_fetched_again(house: House) -> None:
    rental = order(house)
    placing.place_next(house.token.pk)
    rental.refresh_from_db()
    house.upstream.deliver(rental.upstream_key, "Ma: 482913", "482913")
    with full_disk(), pytest.raises(OperationalError):
        polling.poll_rental(rental.pk)
    Rental.objects.update(due_at=timezone.now())
    Token.objects.update(next_watch_at=None)
    polling.poll_token(house.token.pk)
    rental.refresh_from_db()
    assert rental.status == Status.RECEIVED
