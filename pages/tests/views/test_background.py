"""Background work: exports of many rows, made by a worker, found again by the person who asked for them."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Membership, Role, Team, User
from lib.files import shared_files
from pages.tests.markup import parse
from pages.tests.views.exporting import manager as manager
from pages.tests.views.exporting import own_folder as own_folder
from pages.tests.views.exporting import read_xlsx, received
from pages.tests.views.exporting import team as team
from rentals.jobs import background, exports
from rentals.models import BackgroundJob
from rentals.tests.factories import make_person, make_team, make_token

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _many(team: Team, manager: User) -> Iterator[None]:
    """Two rentals are already too many to be exported at once."""
    received(team)
    received(team)
    with patch.object(background, "MAX_AT_ONCE", 1):
        yield


def begin(client: Client, query: str = "", kind: str = "csv") -> BackgroundJob:
    """Ask for an export of the two rentals: it is a background job."""
    answer = client.post(f"/rentals/export.{kind}?{query}")
    job = BackgroundJob.objects.filter(wanted=query, kind=f"export_{kind}").latest("pk")
    assert answer.headers["Location"] == reverse("background_file", args=[job.pk])
    return job


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_the_file_is_made_later_and_handed_out_to_its_owner(client: Client, kind: str) -> None:
    job = begin(client, "status=received", kind)
    assert "waiting to start" in client.get("/background/").content.decode()
    background.work(job.pk)
    page = client.get("/background/").content.decode()
    address = reverse("background_file", args=[job.pk])
    assert "2 rows" in page
    assert address in page
    answer = client.get(address)
    assert answer.headers["Content-Disposition"] == f'attachment; filename="rentals-{timezone.localdate()}.{kind}"'
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    body = b"".join(answer.streaming_content)  # type: ignore[attr-defined]
    rows = read_xlsx(body) if kind == "xlsx" else body.decode().splitlines()
    assert len(rows) == 3


def test_the_file_is_in_the_language_in_which_it_was_asked_for(client: Client) -> None:
    headings = {}
    for language, query in (("vi", ""), ("en", "status=received")):
        client.cookies["django_language"] = language
        job = begin(client, query)
        background.work(job.pk)
        job.refresh_from_db()
        with shared_files.exports().open(job.file) as file:
            headings[language] = file.read().decode("utf-8-sig").splitlines()[0]
    assert '"Number","Service"' in headings["en"]
    assert '"Số","Dịch vụ"' in headings["vi"]


def test_the_same_export_is_not_begun_twice(client: Client) -> None:
    job = begin(client)
    assert begin(client) == job
    assert begin(client, "status=received") != job


def test_work_that_is_done_or_under_way_is_not_done_again(client: Client) -> None:
    job = begin(client)
    BackgroundJob.objects.update(state="running", alive_at=timezone.now(), run="another")
    background.work(job.pk)
    job.refresh_from_db()
    assert (job.state, job.run) == ("running", "another")
    assert background.due_jobs() == []


def test_work_whose_worker_died_is_taken_up_again(client: Client) -> None:
    job = begin(client)
    silent = timezone.now() - timedelta(seconds=background.LOST_SECONDS + 1)
    BackgroundJob.objects.update(state="running", alive_at=silent, run="dead")
    assert background.due_jobs() == [job.pk]
    background.work(job.pk)
    job.refresh_from_db()
    assert job.state == "done"


def test_a_run_that_lost_its_job_leaves_nothing(client: Client) -> None:
    job = begin(client)
    real = exports.write_csv

    def overtaken(*args: Any) -> None:
        BackgroundJob.objects.update(run="another")
        real(*args)

    with patch.object(exports, "write_csv", overtaken):
        background.work(job.pk)
    job.refresh_from_db()
    assert (job.state, job.run, job.file) == ("running", "another", "")
    assert shared_files.exports().listdir("")[1] == []


def test_nobody_else_gets_the_file(client: Client, team: Team) -> None:
    job = begin(client)
    background.work(job.pk)
    address = reverse("background_file", args=[job.pk])
    client.force_login(make_person(team, Role.MANAGER))
    assert client.get(address).status_code == 404
    assert 'data-testid="job"' not in client.get("/background/").content.decode()


def test_who_may_not_export_any_more_gets_neither_file_nor_rows(client: Client, team: Team, manager: User) -> None:
    done, begun = begin(client), begin(client, "status=received")
    background.work(done.pk)
    Membership.objects.filter(user=manager).update(role=Role.OPERATOR)
    background.work(begun.pk)
    begun.refresh_from_db()
    assert (begun.state, begun.reason) == ("failed", "no_right")
    address = reverse("background_file", args=[done.pk])
    assert client.get(address).status_code == 404
    page = client.get("/background/").content.decode()
    assert address not in page
    assert page.count(str(background.SENTENCES["no_right"])) == 2


def test_another_team_that_they_work_in_meanwhile_is_not_exported(client: Client, team: Team, manager: User) -> None:
    job = begin(client)
    other = make_team()
    received(other)
    Membership.objects.create(user=manager, team=other, role=Role.MANAGER)
    User.objects.filter(pk=manager.pk).update(team=other)
    background.work(job.pk)
    job.refresh_from_db()
    assert (job.state, job.done) == ("done", 2)
    assert client.get(reverse("background_file", args=[job.pk])).status_code == 404  # while they work in the other


def test_progress_is_shown_while_the_file_is_made(client: Client) -> None:
    begin(client)
    BackgroundJob.objects.update(state="running", alive_at=timezone.now(), done=500, total=2000)
    page = client.get("/background/", headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in page
    shown = parse(page)
    assert shown.find(id="background")["hx-trigger"] == "every 2s"
    assert shown.find(data_testid="job")["data-state"] == "running"
    progress = shown.find("progress")
    assert (progress["value"], progress["max"]) == ("25", "100")


def test_three_are_made_at_a_time_two_of_them_for_one_person(
    client: Client, team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = (begin(client, query) for query in ("", "status=received", "since=2020-01-01"))
    woken: list[int] = []
    monkeypatch.setattr("rentals.enqueue.background", woken.append)
    running = BackgroundJob.objects.filter(pk__in=[first.pk, second.pk])
    running.update(state="running", alive_at=timezone.now(), run="another")
    background.work(third.pk)
    third.refresh_from_db()
    assert third.state == "waiting", "two are made for this person"
    client.force_login(make_person(team, Role.MANAGER))
    fourth = begin(client)
    woken.clear()
    background.work(fourth.pk)
    fourth.refresh_from_db()
    assert fourth.state == "done", "a third one is made for another person"
    assert woken == [third.pk]
    BackgroundJob.objects.filter(pk=fourth.pk).update(state="running", alive_at=timezone.now())
    BackgroundJob.objects.filter(pk=first.pk).update(person=make_person(team))
    background.work(third.pk)
    third.refresh_from_db()
    assert third.state == "waiting", "three are made already"
    BackgroundJob.objects.filter(pk=fourth.pk).update(kind=BackgroundJob.Kind.IMPORT)
    background.work(third.pk)
    third.refresh_from_db()
    assert third.state == "done", "an import and exports go on side by side"


def said(client: Client) -> str:
    """What the page says of the newest job."""
    return parse(client.get("/background/").content.decode()).find_all(data_testid="job")[0].text


def test_a_job_that_waits_for_others_says_so(client: Client, team: Team) -> None:
    first, second = begin(client), begin(client, "status=received")
    begin(client, "since=2020-01-01")
    assert "waiting to start" in said(client)
    both = BackgroundJob.objects.filter(pk__in=[first.pk, second.pk])
    both.update(state="running", alive_at=timezone.now(), run="another")
    assert "Waiting for another of your exports: 2 of one person are made at a time." in said(client)
    both.update(person=make_person(team))
    assert "waiting to start" in said(client)
    BackgroundJob.objects.create(
        kind="export_csv", person=make_person(team), team=team, state="running", alive_at=timezone.now()
    )
    assert "Waiting for other exports: 3 are made at a time." in said(client)
    both.update(alive_at=timezone.now() - timedelta(seconds=background.LOST_SECONDS + 1))
    assert "waiting to start" in said(client), "of the others two are dead"


def test_an_import_that_waits_for_another_says_so(client: Client, team: Team, manager: User) -> None:
    token, now = make_token(team), timezone.now()
    for person, state in ((make_person(team), "running"), (manager, "waiting")):
        BackgroundJob.objects.create(
            kind="import_history", person=person, team=team, state=state, alive_at=now, token=token
        )
    assert "Waiting for another import: one is made at a time." in said(client)


def test_nobody_is_said_to_count_once_nothing_is_heard_of_the_worker(client: Client) -> None:
    begin(client)
    BackgroundJob.objects.update(state="running", alive_at=timezone.now(), run="another")
    assert "Counting the rows" in said(client)
    BackgroundJob.objects.update(alive_at=timezone.now() - timedelta(seconds=20.5))
    with patch("rentals.jobs.background.timezone.now", return_value=timezone.now()):
        shown = said(client)
    assert "Counting the rows" not in shown
    assert "Nothing heard of its worker for 20 seconds: after 60 another one begins anew." in shown


def test_what_a_dead_worker_has_written_is_deleted(client: Client) -> None:
    job = begin(client)
    silent = timezone.now() - timedelta(seconds=background.LOST_SECONDS + 1)
    BackgroundJob.objects.update(state="running", alive_at=silent, run="dead")
    job.refresh_from_db()
    part = background.part_of(job)
    assert part is not None
    part.parent.mkdir(exist_ok=True)
    part.touch()
    background.work(job.pk)
    job.refresh_from_db()
    assert shared_files.exports().listdir("")[1] == [job.file]


def test_without_the_event_loop_the_page_of_background_work_has_the_file_later(client: Client) -> None:
    address = reverse("background_file", args=[begin(client).pk])
    assert client.get(address).headers["Location"] == "/background/"
    BackgroundJob.objects.update(state="failed", reason="disk")
    assert client.get(address).headers["Location"] == "/background/"


def test_more_rows_than_excel_takes_are_refused(client: Client) -> None:
    job = begin(client, kind="xlsx")
    with patch.object(background, "MAX_IN_EXCEL", 1):
        background.work(job.pk)
    assert "Narrow the filter, or export CSV." in client.get("/background/").content.decode()


def test_files_are_kept_for_a_day(client: Client) -> None:
    job = begin(client)
    background.work(job.pk)
    background.delete_old()
    assert len(shared_files.exports().listdir("")[1]) == 1
    BackgroundJob.objects.update(created_at=timezone.now() - background.RETENTION - timedelta(minutes=1))
    with patch("rentals.jobs.background.timezone.now", return_value=timezone.now() + timedelta(hours=2)):
        background.delete_old()
    assert not BackgroundJob.objects.exists()
    assert shared_files.exports().listdir("")[1] == []


def test_a_full_disk_is_said(client: Client) -> None:
    job = begin(client)
    with patch.object(exports, "write_csv", side_effect=OSError):
        background.work(job.pk)
    assert "the disk may be full" in client.get("/background/").content.decode()
    assert shared_files.exports().listdir("")[1] == []
