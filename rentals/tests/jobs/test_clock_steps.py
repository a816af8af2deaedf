"""Work goes on within seconds when the machine's clock is set back by minutes."""

from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from rentals.jobs import placing, polling, reconciling, runs
from rentals.models import Hold, JobName, Status, Token
from rentals.tests.factories import make_rental, make_token
from rentals.upstream import breaker

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("minutes", [1, 4, 60])
@pytest.mark.parametrize(
    ("status", "due_tokens"),
    [
        (Status.QUEUED, placing.due_tokens),
        (Status.WAITING, polling.due_tokens),
        (Status.UNCONFIRMED, reconciling.due_tokens),
    ],
)
def test_what_was_due_soon_is_due_now(status: Status, due_tokens: Callable[[], list[int]], minutes: int) -> None:
    with time_machine.travel(timezone.now() + timedelta(minutes=minutes)):
        rental = make_rental(status)
        Token.objects.update(next_watch_at=timezone.now() + timedelta(seconds=2))
    assert due_tokens() == [rental.token_id]


def test_a_hold_set_before_is_over() -> None:
    token = make_token()
    with time_machine.travel(timezone.now() + timedelta(minutes=2)):
        breaker.put_on_hold(token, Hold.DOWN, seconds=10)
        assert breaker.hold_of(token) == Hold.DOWN
    assert breaker.hold_of(token) == Hold.NONE


def test_a_job_that_ran_before_is_due() -> None:
    token = make_token()
    with time_machine.travel(timezone.now() + timedelta(minutes=2)):
        runs.ran(JobName.BALANCE, token.pk)
        assert runs.due(JobName.BALANCE, seconds=30) == []
    assert runs.due(JobName.BALANCE, seconds=30) == [token.pk]
