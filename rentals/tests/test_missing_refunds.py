"""`Rental.refund_missing` tells that a rental expired and was not refunded, whatever changed it."""

import random

import pytest
from django.core.management import CommandError, call_command
from django.db.models import Case, When
from django.utils import timezone

import thuesim
from rentals import lifecycle, missing_refunds
from rentals.models import BalanceReading, LedgerEntry, MessageSource, Rental, Status
from rentals.tests.factories import make_person, make_rental
from rentals.tests.office import Office, assert_missing_refunds_are_known

pytestmark = pytest.mark.django_db


@pytest.fixture
def expired() -> Rental:
    return make_rental(Status.EXPIRED, price=1450, ended_at=timezone.now())


def are_known() -> list[int]:
    return [*Rental.objects.filter(refund_missing=True).values_list("pk", flat=True)]


def test_missing_refunds_follow_whole_lives_of_rentals() -> None:
    office, rng = Office(), random.Random(11)
    for _ in range(40):
        office.live(rng)
    assert are_known()
    assert_missing_refunds_are_known()


def test_a_refund_is_missing_from_the_expiry_on_until_it_is_booked_and_again_once_it_is_taken_back() -> None:
    waiting = make_rental(Status.WAITING, price=1450)
    assert are_known() == []
    lifecycle.expire(waiting)
    assert are_known() == [waiting.pk]
    lifecycle.refund(waiting, BalanceReading.objects.create(token=waiting.token, at=timezone.now(), balance=0))
    assert are_known() == []
    lifecycle.take_back(LedgerEntry.objects.get(rental=waiting, kind="refund"), person=make_person(), note="wrong")
    assert are_known() == [waiting.pk]


def test_a_price_learned_late_is_to_come_back_as_well(expired: Rental) -> None:
    Rental.objects.update(price=None)
    assert are_known() == []
    assert lifecycle.correct_price(Rental.objects.get(), 900, by="history")
    assert are_known() == [expired.pk]


def test_a_message_after_the_expiry_leaves_no_refund_to_come(expired: Rental) -> None:
    message = thuesim.Message("code 123456", "123456", False, "")
    assert lifecycle.message_arrived(expired, message, source=MessageSource.HISTORY)
    assert are_known() == []


def test_a_refund_that_moves_to_another_rental_or_is_deleted_is_missing_where_it_was(expired: Rental) -> None:
    other = make_rental(Status.EXPIRED, token=expired.token, price=1450)
    refund = LedgerEntry.objects.create(
        kind="refund", token=expired.token, rental=expired, amount=1450, at=timezone.now()
    )
    assert are_known() == [other.pk]
    LedgerEntry.objects.update(rental=other)
    assert are_known() == [expired.pk]
    refund.delete()
    assert {*are_known()} == {expired.pk, other.pk}


def test_the_command_finds_those_that_were_written_without_the_triggers(expired: Rental) -> None:
    call_command("rebuild_sums", "--check")
    Rental.objects.update(refund_missing=False)
    with pytest.raises(CommandError):
        call_command("rebuild_sums", "--check")
    call_command("rebuild_sums")
    assert are_known() == [expired.pk]


def test_rentals_from_before_are_corrected_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    for status, price in [(Status.EXPIRED, 1450), (Status.EXPIRED, 900), (Status.EXPIRED, 0), (Status.RECEIVED, 1450)]:
        make_rental(status, price=price)
    missing = are_known()
    assert len(missing) == 2
    Rental.objects.update(refund_missing=Case(When(refund_missing=True, then=False), default=True))
    monkeypatch.setattr(missing_refunds, "BATCH", 1)
    missing_refunds.correct()
    assert are_known() == missing
