"""Exports that are downloaded while a worker writes them, through a real server."""

import http.client
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from accounts.models import Membership, Role, Team, User
from lib.files import shared_files
from pages.live import downloads
from pages.live.downloads import Downloads
from pages.tests.live.server import serving
from pages.tests.views.exporting import read_xlsx, received
from rentals.jobs import background, exports
from rentals.models import BackgroundJob
from rentals.tests.factories import make_person, make_team
from thuesim_site.serving.wsgi_threads import Pages
from thuesim_site.wsgi import application as django_pages

Row = list[str | int | None]


@dataclass
class Desk:
    """Django's pages on one thread, a manager who is signed in, and a worker that writes a row and waits for `go_on`."""

    port: int
    team: Team
    manager: User
    client: Client
    go_on: threading.Event
    worker: ThreadPoolExecutor

    def begin(self, kind: str = "csv") -> BackgroundJob:
        self.client.post(f"/rentals/export.{kind}")
        return BackgroundJob.objects.latest("pk")

    def work(self, job: BackgroundJob) -> "Future[None]":
        def work() -> None:
            background.work(job.pk)
            connection.close()

        return self.worker.submit(work)

    @contextmanager
    def asking(self, path: str, method: str = "GET") -> Iterator[http.client.HTTPResponse]:
        asked = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        name = django_settings.SESSION_COOKIE_NAME
        asked.request(method, path, headers={"Cookie": f"{name}={self.client.cookies[name].value}"})
        try:
            yield asked.getresponse()
        finally:
            asked.close()


@pytest.fixture
def desk(transactional_db: None, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    settings.FILES_DIR = tmp_path
    monkeypatch.setattr(background, "MAX_AT_ONCE", 1)
    monkeypatch.setattr(background, "PROGRESS_SECONDS", 3600)  # the tests alone change the job
    monkeypatch.setattr(downloads, "BEGIN_SECONDS", 60)
    monkeypatch.setattr(downloads, "READ_SECONDS", 0.01)
    team = make_team()
    manager = make_person(team, Role.MANAGER)
    received(team)
    received(team)
    client, go_on = Client(), threading.Event()
    client.force_login(manager)
    written_after(monkeypatch, lambda: go_on.wait(60))
    with ThreadPoolExecutor(1) as worker, serving(Downloads(Pages(django_pages, threads=1))) as port:
        yield Desk(port, team, manager, client, go_on, worker)
        go_on.set()


def written_after(monkeypatch: pytest.MonkeyPatch, wait: Callable[[], object]) -> None:
    """Let the worker `wait` after the first row of an export."""
    rows = exports.rows

    def slow(*args: Any) -> Iterator[Row]:
        for row in rows(*args):
            yield row
            wait()

    monkeypatch.setattr(exports, "rows", slow)


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_a_download_begins_before_its_file_is_whole_and_holds_no_thread(desk: Desk, kind: str) -> None:
    job = desk.begin(kind)
    writing = desk.work(job)
    with desk.asking(reverse("background_file", args=[job.pk])) as answer:
        beginning = answer.read(2)
        assert not writing.done()
        with desk.asking("/background/") as page:  # there is but one thread
            assert page.status == 200
        with desk.asking(reverse("background_file", args=[job.pk]), "HEAD") as head:
            assert (head.status, head.read()) == (200, b"")
        desk.go_on.set()
        body = beginning + answer.read()
    job.refresh_from_db()
    with shared_files.exports().open(job.file) as file:
        assert body == file.read()
    rows = read_xlsx(body) if kind == "xlsx" else body.decode().splitlines()
    assert len(rows) == 3
    name = f"rentals-{timezone.localdate()}.{kind}"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{name}"'
    assert (answer.headers["X-Content-Type-Options"], answer.headers["X-Accel-Buffering"]) == ("nosniff", "no")
    assert answer.headers[downloads.HEADER] is None


def ends_rights(monkeypatch: pytest.MonkeyPatch, desk: Desk, job: BackgroundJob) -> None:
    monkeypatch.setattr(downloads, "CHECK_SECONDS", 0)
    Membership.objects.filter(user=desk.manager).update(role=Role.OPERATOR)


def loses_its_worker(monkeypatch: pytest.MonkeyPatch, desk: Desk, job: BackgroundJob) -> None:
    monkeypatch.setattr(downloads, "CHECK_SECONDS", 0)
    silent = timezone.now() - timedelta(seconds=background.LOST_SECONDS + 1)
    BackgroundJob.objects.update(alive_at=silent)


def is_begun_anew(monkeypatch: pytest.MonkeyPatch, desk: Desk, job: BackgroundJob) -> None:
    monkeypatch.setattr(downloads, "CHECK_SECONDS", 0)
    BackgroundJob.objects.update(run="another")


def signs_out(monkeypatch: pytest.MonkeyPatch, desk: Desk, job: BackgroundJob) -> None:
    monkeypatch.setattr(downloads, "CHECK_SECONDS", 0)
    desk.client.session.flush()


WITHOUT_RIGHT = (
    "the download was broken off here, since you are signed out, work in another team or may not export any more"
)
BROKEN = "the export broke off here. Background work says why, or has all of it."


@pytest.mark.parametrize(
    ("happens", "said"),
    [(ends_rights, WITHOUT_RIGHT), (signs_out, WITHOUT_RIGHT), (loses_its_worker, BROKEN), (is_begun_anew, BROKEN)],
)
def test_a_download_breaks_that_may_not_go_on_or_whose_worker_is_lost_and_says_why(
    desk: Desk,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    happens: Callable[..., None],
    said: str,
) -> None:
    monkeypatch.setattr(logging.getLogger("uvicorn"), "propagate", True)  # so that it is seen here
    job = desk.begin()
    desk.work(job)
    with desk.asking(reverse("background_file", args=[job.pk])) as answer:
        answer.read(2)
        happens(monkeypatch, desk, job)
        with pytest.raises(http.client.IncompleteRead) as broken:
            answer.read()
    assert said in broken.value.partial.splitlines()[-1].decode()
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


def test_a_file_that_is_cut_off_by_a_full_disk_is_not_taken_for_whole(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        desk.go_on.wait(60)
        raise OSError(28, "No space left on device")

    written_after(monkeypatch, fail)
    job = desk.begin()
    desk.work(job)
    with desk.asking(reverse("background_file", args=[job.pk])) as answer:
        answer.read(2)
        desk.go_on.set()
        with pytest.raises(http.client.IncompleteRead) as broken:
            answer.read()
    assert broken.value.partial.splitlines()[-1].startswith(b'"INCOMPLETE: ')
    assert shared_files.exports().listdir("")[1] == []


def test_an_export_that_does_not_begin_leads_to_the_page_that_has_it_later(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "BEGIN_SECONDS", 0.01)
    with desk.asking(reverse("background_file", args=[desk.begin().pk])) as answer:
        assert (answer.status, answer.headers["Location"]) == (302, "/background/")
    with desk.asking("/background/") as page:
        assert "The export has not begun yet" in page.read().decode()


def test_a_reader_that_leaves_ends_neither_the_export_nor_the_desk(desk: Desk) -> None:
    job = desk.begin()
    writing = desk.work(job)
    with desk.asking(reverse("background_file", args=[job.pk])) as answer:
        answer.read(2)
    desk.go_on.set()
    writing.result(60)
    with desk.asking(reverse("background_file", args=[job.pk])) as answer:
        assert len(answer.read().decode().splitlines()) == 3


def test_others_do_not_get_a_file_that_grows(desk: Desk) -> None:
    job = desk.begin()
    desk.work(job)
    desk.client.force_login(make_person(desk.team, Role.MANAGER))
    with desk.asking(reverse("background_file", args=[job.pk])) as answer:
        assert answer.status == 404
