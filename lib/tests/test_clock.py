import time
from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from lib import clock


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
