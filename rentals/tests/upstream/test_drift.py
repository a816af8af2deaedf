"""What differs from the upstream's page is kept, counted and bounded, and stops nothing."""

from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from django.db import DatabaseError, transaction
from django.db.models import QuerySet

from rentals.models import ContractDrift
from rentals.upstream import drift
from thuesim import Drift

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def nothing_counted() -> Iterator[None]:
    drift.forget()
    yield
    drift.forget()


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr("lib.tally.time.monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def seen(form: str = "unknown field: data.foo", endpoint: str = "balance", sample: str = '{"a":"x"}') -> None:
    drift.record(Drift(endpoint, form, sample))


def test_the_first_difference_of_a_kind_is_there_at_once() -> None:
    seen()
    row = ContractDrift.objects.get()
    assert (row.endpoint, row.form, row.sample, row.count) == ("balance", "unknown field: data.foo", '{"a":"x"}', 1)


def test_a_thousand_of_a_kind_are_counted_in_two_writings(clock: Clock, django_assert_max_num_queries: Any) -> None:
    with django_assert_max_num_queries(8):
        for _ in range(1000):
            seen()
        clock.now += drift.WRITE_EVERY_SECONDS
        seen()
    assert ContractDrift.objects.get().count == 1001


def test_what_waits_to_be_counted_is_written_with_any_later_difference(clock: Clock) -> None:
    seen()
    seen()
    clock.now += drift.WRITE_EVERY_SECONDS
    seen(form="unknown status: 9")
    assert ContractDrift.objects.get(form="unknown field: data.foo").count == 2


def test_the_last_time_moves_and_the_first_stays(clock: Clock) -> None:
    with time_machine.travel("2026-11-01T10:00:00Z", tick=False):
        seen()
    clock.now += drift.WRITE_EVERY_SECONDS
    with time_machine.travel("2026-11-01T11:00:00Z", tick=False):
        seen()
    row = ContractDrift.objects.get()
    assert (row.last_at - row.first_at).total_seconds() == 3600


def test_the_kinds_of_an_endpoint_are_bounded_and_the_rest_is_counted_as_other() -> None:
    for n in range(drift.FORMS_PER_ENDPOINT + 50):
        seen(form=f"unknown field: f{n}")
    rows = ContractDrift.objects.filter(endpoint="balance")
    assert rows.count() == drift.FORMS_PER_ENDPOINT
    drift.forget()  # another process, which has seen nothing yet
    for n in range(50):
        seen(form=f"unknown code: c{n}")
    assert rows.count() == drift.FORMS_PER_ENDPOINT
    assert rows.get(form=drift.OTHER).count > 1


def test_endpoints_are_bounded_too() -> None:
    for n in range(drift.ENDPOINTS + 30):
        seen(endpoint=f"made up {n}")
    assert ContractDrift.objects.values("endpoint").distinct().count() <= drift.ENDPOINTS + 1


def test_long_and_unstorable_text_is_cut_and_cleaned() -> None:
    drift.record(Drift("e" * 90, "f\0\ud800" + "f" * 900, "s\0" * 9000))
    row = ContractDrift.objects.get()
    assert len(row.endpoint) == 30
    assert len(row.form) == 200
    assert len(row.sample) <= drift.SAMPLE_LENGTH
    assert "\0" not in row.form + row.sample


def test_inside_a_transaction_it_is_written_after_the_commit() -> None:
    with transaction.atomic():
        seen()
        assert not ContractDrift.objects.exists()
    assert ContractDrift.objects.get().count == 1


def test_a_rolled_back_transaction_is_left_alone_and_the_count_goes_with_the_next_difference() -> None:
    with transaction.atomic():
        seen()
        transaction.set_rollback(True)
    assert not ContractDrift.objects.exists()
    seen()
    assert ContractDrift.objects.get().count == 2


def test_a_broken_database_raises_nothing_and_loses_no_count(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **values: object) -> None:
        raise DatabaseError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(QuerySet, "update", fail)
        seen()
    clock.now += drift.WRITE_EVERY_SECONDS
    seen()
    assert ContractDrift.objects.get().count == 2
