"""The statistics of API calls: counted in memory, written by minute, summed up by endpoint."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

import pytest
import time_machine
from django.db import OperationalError
from django.utils import timezone

import thuesim
from rentals.models import Token, UpstreamMinute
from rentals.queries.call_statistics import calls_by_endpoint
from rentals.tests.factories import make_token
from rentals.tests.fixtures import House
from rentals.upstream import call_statistics
from rentals.upstream.client import client_for

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _nothing_counted() -> Iterator[None]:
    """Within one minute, so that its calls have one row."""
    call_statistics.forget()
    with time_machine.travel(datetime(2026, 11, 27, 9, 30, tzinfo=UTC)):
        yield


@pytest.fixture
def token() -> Token:
    return make_token()


def test_calls_are_counted_with_their_errors_and_durations(house: House) -> None:
    client = client_for(house.token)
    client.balance()
    with pytest.raises(thuesim.UnknownSession):
        client.code("12345.02")
    house.upstream.stop()
    with pytest.raises(thuesim.CannotConnect):
        client.balance()
    call_statistics.write()
    rows = UpstreamMinute.objects.values_list("endpoint", "token")
    assert set(rows) >= {("balance", house.token.pk), ("code", house.token.pk)}
    endpoints = calls_by_endpoint([house.token], within=timedelta(hours=1))[house.token.pk]
    counts = {endpoint.name: (endpoint.calls, endpoint.errors) for endpoint in endpoints}
    assert counts["balance"] == (2, 1)
    assert counts["code"] == (1, 0)  # an answer, if not the wanted one


def test_two_processes_add_to_the_same_minute(token: Token) -> None:
    for seconds in (0.1, 0.3):
        call_statistics.count(token.pk, thuesim.Call("code", seconds, None))
        call_statistics.write()
    row = UpstreamMinute.objects.get()
    assert (row.calls, row.milliseconds, row.slowest) == (2, 400, 300)


def test_what_cannot_be_written_is_kept_for_the_next_time(token: Token) -> None:
    call_statistics.count(token.pk, thuesim.Call("code", 0.1, None))
    with (
        patch.object(UpstreamMinute.objects, "bulk_create", side_effect=OperationalError),
        pytest.raises(OperationalError),
    ):
        call_statistics.write()
    call_statistics.write()
    assert UpstreamMinute.objects.get().calls == 1


def test_a_token_that_is_gone_keeps_nobody_from_counting(token: Token) -> None:
    for pk in (token.pk, 999_999):
        call_statistics.count(pk, thuesim.Call("code", 0.1, None))
    call_statistics.write()
    assert UpstreamMinute.objects.get().token == token


def test_counting_holds_no_more_than_it_must(token: Token) -> None:
    with patch.object(call_statistics, "MAX_UNWRITTEN", 2):
        for name in ("a", "b", "c"):
            call_statistics.count(token.pk, thuesim.Call(name, 0.1, None))
    call_statistics.write()
    assert UpstreamMinute.objects.count() == 2


def test_old_counts_are_deleted(token: Token) -> None:
    old = timezone.now() - timedelta(days=2)
    UpstreamMinute.objects.create(token=token, endpoint="code", minute=old)
    call_statistics.delete_old()
    assert not UpstreamMinute.objects.exists()
