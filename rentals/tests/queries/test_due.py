"""A tick's first question misses none of the work that its others find."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from rentals.jobs import callbacks, delivering, placing, polling, reconciling, recordings
from rentals.models import Callback, Delivery, Message, Status
from rentals.queries.due import is_anything_due
from rentals.tests.factories import make_destination, make_rental

pytestmark = pytest.mark.django_db


def _settled(status: Status = Status.RECEIVED) -> Any:
    return make_rental(status, due_at=None)


def _callback(**fields: Any) -> None:
    Callback.objects.create(**{"token": _settled().token, "at": timezone.now(), "body": b"{}", **fields})


def _callback_of_a_number_known_since() -> None:
    rental = _settled()
    at = timezone.now() - timedelta(hours=23, minutes=59)
    key = rental.upstream_key
    _callback(token=rental.token, state=Callback.State.UNKNOWN, upstream_key=key, at=at)


def _recording() -> None:
    at = timezone.now() - timedelta(hours=1, minutes=59)
    Message.objects.create(
        rental=_settled(), at=at, is_call=True, audio_url="https://example.com/1.wav", fingerprint="x"
    )


def _delivery() -> None:
    now = timezone.now()
    Delivery.objects.create(destination=make_destination(), event="rental.code", data={}, at=now, next_try=now)


@pytest.mark.parametrize(
    ("make", "finds"),
    [
        (lambda: make_rental(Status.QUEUED), placing.due_tokens),
        (lambda: make_rental(Status.QUEUED, due_at=None), placing.due_tokens),
        (lambda: make_rental(Status.WAITING), polling.due_tokens),
        (lambda: make_rental(Status.RECEIVED), polling.due_tokens),
        (lambda: make_rental(Status.EXPIRED), polling.due_tokens),
        (lambda: make_rental(Status.UNCONFIRMED), reconciling.due_tokens),
        (_callback, callbacks.due_callbacks),
        (_callback_of_a_number_known_since, callbacks.due_callbacks),
        (_recording, recordings.due_recordings),
        (_delivery, delivering.due_destinations),
    ],
)
def test_what_a_job_finds_is_due(make: Callable[[], None], finds: Callable[[], list[int]]) -> None:
    make()
    assert finds()
    assert is_anything_due()


def test_an_attempt_whose_worker_may_have_died_is_due() -> None:
    make_rental(Status.PLACING, due_at=None)
    assert is_anything_due()


def test_nothing_is_due_when_all_has_ended(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    for status in (Status.RECEIVED, Status.EXPIRED, Status.REFUSED, Status.CANCELLED):
        rental = _settled(status)
    Callback.objects.create(token=rental.token, at=timezone.now(), body=b"{}", state=Callback.State.APPLIED)
    with django_assert_num_queries(1):
        assert not is_anything_due()
