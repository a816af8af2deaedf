"""How a worker does long work: beside others who write, alive while it does, and until another one has its job."""

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from accounts.models import Role, Team
from lib.files import shared_files
from rentals.jobs import background, exports
from rentals.models import BackgroundJob, Status
from rentals.tests.factories import make_person, make_rental, make_team
from thuesim_site.testing import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _quick(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.FILES_DIR = tmp_path
    monkeypatch.setattr(background, "PROGRESS_SECONDS", 0.05)
    monkeypatch.setattr(exports, "FIRST", 1)
    monkeypatch.setattr(exports, "BATCH", 1)


@pytest.fixture
def team() -> Team:
    return make_team()


@pytest.fixture
def job(team: Team) -> BackgroundJob:
    """An export of two rentals."""
    for _ in range(2):
        make_rental(Status.RECEIVED, team=team)
    return background.begin(BackgroundJob.Kind.EXPORT_XLSX, person=make_person(team, Role.MANAGER), team=team)


def after_each_row(monkeypatch: pytest.MonkeyPatch, do: Callable[[int], object]) -> None:
    """Let `do` be called with how many rows are written, while the export waits."""
    rows = exports.rows

    def slow(*args: Any) -> Iterator[list[str | int | None]]:
        for count, row in enumerate(rows(*args), start=1):
            yield row
            do(count)

    monkeypatch.setattr(exports, "rows", slow)


def progress_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "export progress"]


def test_how_far_it_is_can_be_read_meanwhile(job: BackgroundJob, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(count: int) -> None:
        rows = BackgroundJob.objects.filter(pk=job.pk, done=count, total=2)
        wait_until(rows.exists, f"{count} rows are said to be done")

    after_each_row(monkeypatch, read)
    background.work(job.pk)
    job.refresh_from_db()
    assert (job.state, job.done) == ("done", 2)


def test_it_is_alive_while_an_excel_file_is_put_together(job: BackgroundJob, monkeypatch: pytest.MonkeyPatch) -> None:
    write = exports.write_xlsx

    def then_put_together(*args: Any, **kwargs: Any) -> None:
        write(*args, **kwargs)
        BackgroundJob.objects.update(alive_at=timezone.now() - timedelta(seconds=background.LOST_SECONDS + 1))
        wait_until(lambda: background.due_jobs() == [], "the job is seen to be alive")

    monkeypatch.setattr(exports, "write_xlsx", then_put_together)
    background.work(job.pk)
    job.refresh_from_db()
    assert job.state == "done"


def test_nothing_says_that_it_is_alive_after_its_end(job: BackgroundJob) -> None:
    background.work(job.pk)
    assert progress_threads() == []


def test_a_run_that_lost_its_job_stops_in_the_middle_and_leaves_no_file(
    job: BackgroundJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []

    def lose(count: int) -> None:
        written.append(count)
        BackgroundJob.objects.filter(pk=job.pk).update(run="another")
        wait_until(lambda: not progress_threads(), "the progress has noticed")

    after_each_row(monkeypatch, lose)
    background.work(job.pk)
    job.refresh_from_db()
    assert (job.state, job.run, job.file) == ("running", "another", "")
    assert written == [1]
    assert shared_files.exports().listdir("")[1] == []


def test_others_write_while_it_is_made(job: BackgroundJob, monkeypatch: pytest.MonkeyPatch) -> None:
    def write() -> None:
        make_team()
        connection.close()

    def another_writes(_: int) -> None:
        thread = threading.Thread(target=write)
        thread.start()
        thread.join()

    after_each_row(monkeypatch, another_writes)
    teams = Team.objects.count()
    background.work(job.pk)
    job.refresh_from_db()
    assert (job.state, job.done) == ("done", 2)
    assert Team.objects.count() == teams + 2
