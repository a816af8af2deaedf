import time
from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from lib import clock
from rentals.models import Token
from rentals.tests.factories import make_token


@pytest.fixture
def monotonic(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The machine's monotonic clock, to be moved by hand."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_the_age_of_a_stamp_is_not_moved_by_a_clock_step(monotonic: list[float]) -> None:
    stamp, at = clock.stamp(), timezone.now()
    monotonic[0] += 7
    with time_machine.travel(at - timedelta(minutes=10), tick=False):
        assert clock.seconds_since(stamp, at) == 7


@pytest.mark.parametrize("stamp", [{}, {"boot": "", "clock": 5.0}, {"boot": "another machine", "clock": 5.0}])
def test_where_a_stamp_cannot_be_read_the_wall_clock_counts(stamp: dict[str, object]) -> None:
    at = timezone.now()
    with time_machine.travel(at + timedelta(seconds=3), tick=False):
        assert clock.seconds_since(stamp, at) == 3


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("ahead", "due"),
    [(-3600, True), (0, True), (1, False), (10, False), (11, True), (3600, True)],
)
def test_a_time_is_due_when_it_has_come_or_lies_further_ahead_than_it_is_ever_set_to(ahead: int, due: bool) -> None:
    with time_machine.travel(timezone.now(), tick=False):
        make_token(next_watch_at=timezone.now() + timedelta(seconds=ahead))
        assert Token.objects.filter(clock.is_due("next_watch_at", within=10)).exists() is due


@pytest.mark.django_db
def test_a_row_without_a_time_is_never_due() -> None:
    make_token(next_watch_at=None)
    assert not Token.objects.filter(clock.is_due("next_watch_at", within=10)).exists()


@pytest.mark.parametrize(("ahead", "still_to_come"), [(-1, False), (0, False), (1, True), (10, True), (11, False)])
def test_a_time_is_ahead_only_as_far_as_it_is_ever_set_to(ahead: int, still_to_come: bool) -> None:
    with time_machine.travel(timezone.now(), tick=False):
        assert clock.is_ahead(timezone.now() + timedelta(seconds=ahead), within=10) is still_to_come


def test_no_time_is_not_ahead() -> None:
    assert not clock.is_ahead(None, within=10)
