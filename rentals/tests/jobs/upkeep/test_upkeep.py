"""What one message of beat has done every 15 s."""

from typing import NoReturn

import pytest

from rentals import enqueue, sums, tasks
from rentals.enqueue import Wakeup
from rentals.jobs import background, runs
from rentals.jobs.upkeep import public_url, retention
from rentals.models import JobName
from rentals.task_names import TaskName, TaskQueue
from rentals.tests.factories import make_token


def test_a_part_that_fails_is_logged_and_the_others_are_done(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    done: list[str] = []

    def fail() -> NoReturn:
        raise ValueError("broken")

    def due_jobs() -> list[int]:
        done.append("background")
        return []

    monkeypatch.setattr(runs, "due", lambda name, *, seconds: [])
    monkeypatch.setattr(retention, "fade", fail)
    monkeypatch.setattr(background, "due_jobs", due_jobs)
    monkeypatch.setattr(public_url, "due_checks", list)
    monkeypatch.setattr(sums, "count_older", list)
    monkeypatch.setattr(sums, "fold", lambda: done.append("sums"))

    tasks.upkeep()

    assert done == ["background", "sums"]
    assert [record.getMessage() for record in caplog.records] == ["fade failed"]


@pytest.mark.django_db
def test_tokens_are_read_by_a_message_where_one_is_due_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Wakeup] = []
    monkeypatch.setattr(enqueue, "put", sent.append)
    tasks.upkeep()
    assert sent == []
    first, second = make_token(), make_token()
    for token in (first, second):
        runs.note_run(JobName.BALANCE, token.pk)
    runs.note_run(JobName.CATALOG, first.pk)
    tasks.upkeep()
    assert sent == [Wakeup(task, None, TaskQueue.SLOW) for task in (TaskName.SYNC_CATALOGS, TaskName.RECONCILE_ALL)]
