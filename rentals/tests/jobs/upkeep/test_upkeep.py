"""What one message of beat has done every 15 s."""

from typing import NoReturn

import pytest

from rentals import sums, tasks
from rentals.jobs import background
from rentals.jobs.upkeep import public_url, retention


def test_a_part_that_fails_is_logged_and_the_others_are_done(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    done: list[str] = []

    def fail() -> NoReturn:
        raise ValueError("broken")

    def due_jobs() -> list[int]:
        done.append("background")
        return []

    monkeypatch.setattr(retention, "fade", fail)
    monkeypatch.setattr(background, "due_jobs", due_jobs)
    monkeypatch.setattr(public_url, "due_checks", list)
    monkeypatch.setattr(sums, "count_older", list)
    monkeypatch.setattr(sums, "fold", lambda: done.append("sums"))

    tasks.upkeep()

    assert done == ["background", "sums"]
    assert [record.getMessage() for record in caplog.records] == ["rentals.fade failed"]
