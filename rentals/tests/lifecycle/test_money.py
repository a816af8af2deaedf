"""What changes of a rental's price mean for the ledger, and for the balances read before."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from rentals import lifecycle
from rentals.lifecycle import money
from rentals.models import BalanceQuestion, BalanceReading, LedgerEntry, Rental, Status, Token
from rentals.tests.factories import make_person, make_rental, make_token

pytestmark = pytest.mark.django_db
NOW = timezone.now()


def reading(token: Token, minutes: int, **over: Any) -> BalanceReading:
    fields = {"balance": 10_000, "expected": 10_000, **over}
    return BalanceReading.objects.create(token=token, at=NOW + timedelta(minutes=minutes), **fields)


def test_the_readings_after_a_number_expect_its_true_price_and_those_before_do_not() -> None:
    """One that was made while its call was on its way may lack it, so it is compared with nothing any more."""
    token = make_token()
    before, meanwhile, after, of_another = (
        reading(token, -1),
        reading(token, 1),
        reading(token, 2),
        reading(make_token(), 2),
    )
    rental = make_rental(Status.WAITING, token=token, price=1000, attempt_at=NOW, placed_at=after.at)
    assert lifecycle.correct_price(rental, 1450, by="history")
    expected = [BalanceReading.objects.get(pk=each.pk).expected for each in (before, meanwhile, after, of_another)]
    assert expected == [10_000, None, 9_550, 10_000]


def test_a_charge_that_is_booked_late_has_the_readings_since_explained_anew() -> None:
    token = make_token()
    steady, _unsteady, after = reading(token, -2), reading(token, -1, steady=False), reading(token, 1)
    token.explained_reading = after
    token.save()
    answered, open_, reopened = (
        BalanceQuestion.objects.create(token=token, reading=after, since=NOW, until=after.at, amount=5, **fields)
        for fields in ({"answered_at": NOW}, {}, {"reopened": True})
    )
    rental = make_rental(Status.WAITING, token=token, price=1000, attempt_at=NOW, placed_at=NOW)
    lifecycle.correct_price(rental, 1450, by="history")
    token.refresh_from_db()
    assert token.explained_reading == steady
    assert list(BalanceQuestion.objects.order_by("pk")) == [answered, reopened], f"{open_.pk} is dropped"


def test_a_charge_that_is_booked_late_skips_no_reading_that_is_not_explained_yet() -> None:
    token = make_token()
    explained, _not_yet, _after = reading(token, -2), reading(token, -1), reading(token, 1)
    token.explained_reading = explained
    token.save()
    rental = make_rental(Status.WAITING, token=token, price=1000, attempt_at=NOW, placed_at=NOW)
    lifecycle.correct_price(rental, 1450, by="history")
    token.refresh_from_db()
    assert token.explained_reading == explained


def refund(rental: Rental) -> None:
    lifecycle.refund(rental, reading(rental.token, 1))


def take_back(rental: Rental) -> None:
    [line] = rental.ledger.all()
    lifecycle.take_back(line, person=make_person(), note="it was a top-up")


def correct(rental: Rental) -> None:
    lifecycle.correct_price(rental, 1450, by="history")


@pytest.mark.parametrize("book", [refund, take_back, correct])
def test_what_a_rental_cost_is_changed_whole_or_not_at_all(
    monkeypatch: pytest.MonkeyPatch, book: Callable[[Rental], None]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError

    rental = make_rental(Status.EXPIRED, price=1000)
    if book is take_back:
        lifecycle.refund(rental, reading(rental.token, 1))
    before = list(LedgerEntry.objects.values())
    monkeypatch.setattr(money, "_write", fail)
    with pytest.raises(RuntimeError):
        book(rental)
    assert list(LedgerEntry.objects.values()) == before
    assert Rental.objects.get(pk=rental.pk).price == 1000
