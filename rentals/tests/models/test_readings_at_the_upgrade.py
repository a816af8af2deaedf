"""What an older desk read is taken as explained; what is open at the upgrade is one question."""

from datetime import timedelta
from importlib import import_module

import pytest
from django.apps import apps
from django.utils import timezone

from rentals.jobs import explaining
from rentals.models import BalanceQuestion, BalanceReading, LedgerEntry, Token
from rentals.tests.factories import make_token

pytestmark = pytest.mark.django_db
migration = import_module("rentals.migrations.0011_readings_so_far_are_explained")


def read_before(*readings: tuple[int, int | None]) -> Token:
    """A token with balances and what was expected of them, a minute apart."""
    token, now = make_token(), timezone.now()
    for n, (balance, expected) in enumerate(readings):
        at = now - timedelta(minutes=len(readings) - n)
        BalanceReading.objects.create(token=token, at=at, balance=balance, expected=expected)
    return token


def test_the_open_difference_becomes_one_question() -> None:
    token = read_before((1000, 1000), (900, 1000), (5900, 1000), (5900, 1000), (5900, None))
    migration.explain_readings(apps, None)
    migration.explain_readings(apps, None)
    [question] = BalanceQuestion.objects.all()
    readings = list(token.readings.order_by("pk"))
    assert (question.amount, question.since, question.until) == (4900, readings[1].at, readings[3].at)
    token.refresh_from_db()
    assert token.explained_reading == readings[3]
    explaining.explain(token.pk)
    assert BalanceQuestion.objects.count() == 1
    assert not LedgerEntry.objects.exists()


def test_a_token_whose_balance_agrees_has_no_question() -> None:
    token = read_before((900, 1000), (1000, 1000))
    read_before((900, None))
    make_token()
    migration.explain_readings(apps, None)
    assert not BalanceQuestion.objects.exists()
    token.refresh_from_db()
    assert token.explained_reading is not None


def test_the_upgrade_can_be_taken_back() -> None:
    token = read_before((1000, 900))
    migration.explain_readings(apps, None)
    migration.forget(apps, None)
    token.refresh_from_db()
    assert token.explained_reading is None
    assert not BalanceQuestion.objects.exists()
