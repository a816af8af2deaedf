"""What a charge that is booked late means for the balances read before."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from rentals import lifecycle
from rentals.models import BalanceQuestion, BalanceReading, Status, Token
from rentals.tests.factories import make_rental, make_token

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
