"""Beat, which must not stand still whatever the clock does."""

import time
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from celery.beat import SchedulingError
from django.utils import timezone

from thuesim_site.celery import SteadyScheduler, app


class Recorder(SteadyScheduler):
    """Notes what it would send."""

    producer: Any = None

    def __init__(self) -> None:
        self.sent: list[str] = []
        super().__init__(app)

    def apply_entry(self, entry: Any, producer: Any = None) -> None:
        self.sent.append(entry.name)

    def run_due(self) -> list[str]:
        self.sent.clear()
        for _ in range(20):
            if self.tick() > 0:
                break
        return self.sent


def test_everything_comes_at_once_at_a_start() -> None:
    assert set(Recorder().run_due()) == set(app.conf.beat_schedule)


@pytest.mark.parametrize("minutes", [-30, -1, 30])
def test_a_stepped_clock_does_not_stop_beat(minutes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    beat = Recorder()
    begun, steady = timezone.now(), time.monotonic()
    beat.run_due()
    soon = {name for name, entry in app.conf.beat_schedule.items() if entry["schedule"] <= 15}
    passed = 16
    monkeypatch.setattr("thuesim_site.celery.time.monotonic", lambda: steady + passed)
    with time_machine.travel(begun + timedelta(seconds=passed), tick=False):
        assert set(beat.run_due()) == soon
    for passed in (18, 20, 36):
        with time_machine.travel(begun + timedelta(minutes=minutes, seconds=passed), tick=False):
            sent = beat.run_due()
    assert set(sent) >= soon
    passed = 52
    with time_machine.travel(begun + timedelta(minutes=minutes, seconds=passed), tick=False):
        assert set(beat.run_due()) >= soon


def test_beat_never_sleeps_long() -> None:
    beat = Recorder()
    beat.run_due()
    assert beat.tick() <= 5.0


def test_a_broker_that_takes_no_messages_is_said_in_one_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise SchedulingError("not sent") from ConnectionRefusedError("111")

    monkeypatch.setattr(SteadyScheduler, "apply_async", refuse)
    beat = SteadyScheduler(app)
    for entry in beat.schedule.values():
        beat.apply_entry(entry)
    assert [(record.levelname, record.exc_info) for record in caplog.records] == [("WARNING", None)]
    assert "ConnectionRefusedError" in caplog.text
