import csv
from collections.abc import Iterator
from datetime import timedelta
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from openpyxl import load_workbook
from pytest_django import DjangoAssertNumQueries, Settings

from accounts.models import AuditRecord, Membership, Role, Team, User
from rentals.jobs import background, exports
from rentals.models import BackgroundJob, LedgerEntry, Message, Rental, Status
from rentals.tests.factories import make_person, make_rental, make_service, make_team, make_token

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _own_folder(settings: Settings, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path


@pytest.fixture
def team() -> Team:
    return make_team()


@pytest.fixture
def manager(team: Team, client: Client) -> User:
    manager = make_person(team, Role.MANAGER)
    client.force_login(manager)
    return manager


def received(team: Team, *, code: str = "059809", text: str = "Ma: 059809", **over: Any) -> Rental:
    token = team.tokens.first() or make_token(team)
    fields: dict[str, Any] = {"team": team, "token": token, "received_at": timezone.now(), **over}
    rental = make_rental(Status.RECEIVED, **fields)
    Message.objects.create(rental=rental, at=timezone.now(), code=code, text=text, source="poll", fingerprint="x")
    return rental


def read(client: Client, query: str = "") -> list[dict[str, str]]:
    """The rows of the CSV file."""
    body = client.get(f"/rentals/export.csv?{query}").content.decode()
    assert body.startswith("\ufeff")
    return list(csv.DictReader(StringIO(body.removeprefix("\ufeff"))))


def read_xlsx(body: bytes) -> list[tuple[Any, ...]]:
    """The cells of the Excel file, row by row."""
    return list(load_workbook(BytesIO(body)).active.iter_rows())


def test_a_number_and_a_code_keep_their_leading_zero(client: Client, team: Team, manager: User) -> None:
    received(team, phone="+84852222127")
    (row,) = read(client)
    assert (row["Number"], row["Code"], row["Message"]) == ("0852222127", "059809", "Ma: 059809")


def test_in_excel_numbers_and_codes_are_texts(client: Client, team: Team, manager: User) -> None:
    received(team, phone="+84852222127", text="=1+1")
    names, cells = read_xlsx(client.get("/rentals/export.xlsx").content)
    row = {name.value: cell for name, cell in zip(names, cells, strict=True)}
    assert (row["Number"].value, row["Number"].data_type) == ("0852222127", "s")
    assert (row["Code"].value, row["Code"].number_format) == ("059809", "@")
    assert (row["Message"].value, row["Message"].data_type) == ("=1+1", "s")
    assert row["Price, đồng"].value == 1450


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r"])
def test_what_a_spreadsheet_takes_for_a_formula_is_guarded(
    client: Client, team: Team, manager: User, first: str
) -> None:
    received(team, text=f"{first}HYPERLINK(1)", purpose=f"{first}2")
    (row,) = read(client)
    assert row["Message"] == f"'{first}HYPERLINK(1)"
    assert row["Purpose"] == f"'{first}2"


def test_excel_takes_texts_that_its_files_cannot_hold(client: Client, team: Team, manager: User) -> None:
    received(team, text="a\x08b\x1b" + "x" * 40_000)
    cells = read_xlsx(client.get("/rentals/export.xlsx").content)[1]
    assert cells[8].value.startswith("a\ufffdb\ufffdxxx")


def test_the_export_holds_what_the_history_shows(client: Client, team: Team, manager: User) -> None:
    received(team, service=make_service(upstream_id="97"))
    received(team)
    received(make_team())
    assert [row["Service ID"] for row in read(client, "service=02.97")] == ["02.97"]
    assert len(read(client)) == 2


def test_money_that_was_given_back_is_told(client: Client, team: Team, manager: User) -> None:
    rental = make_rental(Status.EXPIRED, team=team, price=800)
    LedgerEntry.objects.create(token=rental.token, rental=rental, kind="rent", amount=-800, at=timezone.now())
    LedgerEntry.objects.create(token=rental.token, rental=rental, kind="refund", amount=800, at=timezone.now())
    (row,) = read(client)
    assert (row["Price, đồng"], row["Given back, đồng"]) == ("800", "800")


def test_codes_that_faded_stay_masked(client: Client, team: Team, manager: User) -> None:
    Team.objects.filter(pk=team.pk).update(codes_fade_minutes=5)
    received(team, person=make_person(team), received_at=timezone.now() - timedelta(minutes=6), text="Ma: 059809")
    body = client.get("/rentals/export.csv").content
    assert b"059809" not in body
    assert "••••".encode() in body


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_only_managers_export(client: Client, team: Team, role: Role, kind: str) -> None:
    client.force_login(make_person(team, role))
    assert client.get(f"/rentals/export.{kind}").status_code == 403
    assert not AuditRecord.objects.filter(action="export").exists()


def test_an_export_is_an_audit_record(client: Client, team: Team, manager: User) -> None:
    received(team)
    read(client, "status=received")
    record = AuditRecord.objects.get(action="export")
    assert (record.person, record.team) == (manager, team)
    assert record.detail["asked"] == "status=received"
    assert record.detail["rows"] == 1


def test_more_rows_take_no_more_queries(
    client: Client, team: Team, manager: User, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(20):
        received(team, person=make_person(team))
    with django_assert_max_num_queries(9):
        read(client)


@pytest.fixture
def many(team: Team, manager: User) -> Iterator[None]:
    """Two rentals are already too many to be exported at once."""
    received(team)
    received(team)
    with patch.object(background, "MAX_AT_ONCE", 1):
        yield


@pytest.mark.usefixtures("many")
class TestInTheBackground:
    def begin(self, client: Client, query: str = "", kind: str = "csv") -> BackgroundJob:
        answer = client.get(f"/rentals/export.{kind}?{query}")
        assert answer.headers["Location"] == "/background/"
        return BackgroundJob.objects.latest("pk")

    @pytest.mark.parametrize("kind", ["csv", "xlsx"])
    def test_the_file_is_made_later_and_handed_out_to_its_owner(self, client: Client, kind: str) -> None:
        job = self.begin(client, "status=received", kind)
        assert "waiting for its turn" in client.get("/background/").content.decode()
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

    def test_the_file_is_in_the_language_in_which_it_was_asked_for(self, client: Client) -> None:
        headings = {}
        for language, query in (("vi", ""), ("en", "status=received")):
            client.cookies["django_language"] = language
            job = self.begin(client, query)
            background.work(job.pk)
            job.refresh_from_db()
            headings[language] = (background.folder() / job.file).read_text(encoding="utf-8-sig").splitlines()[0]
        assert '"Number","Service"' in headings["en"]
        assert '"Số","Dịch vụ"' in headings["vi"]

    def test_the_same_export_is_not_begun_twice(self, client: Client) -> None:
        job = self.begin(client)
        assert self.begin(client) == job
        assert self.begin(client, "status=received") != job

    def test_work_that_is_done_or_under_way_is_not_done_again(self, client: Client) -> None:
        job = self.begin(client)
        BackgroundJob.objects.update(state="running", alive_at=timezone.now(), run="another")
        background.work(job.pk)
        job.refresh_from_db()
        assert (job.state, job.run) == ("running", "another")
        assert background.open_jobs() == []

    def test_work_whose_worker_died_is_taken_up_again(self, client: Client) -> None:
        job = self.begin(client)
        silent = timezone.now() - timedelta(seconds=background.LOST_SECONDS + 1)
        BackgroundJob.objects.update(state="running", alive_at=silent, run="dead")
        assert background.open_jobs() == [job.pk]
        background.work(job.pk)
        job.refresh_from_db()
        assert job.state == "done"

    def test_a_run_that_lost_its_job_leaves_nothing(self, client: Client) -> None:
        job = self.begin(client)
        real = exports.write_csv

        def overtaken(*args: Any) -> None:
            BackgroundJob.objects.update(run="another")
            real(*args)

        with patch.object(exports, "write_csv", overtaken):
            background.work(job.pk)
        job.refresh_from_db()
        assert (job.state, job.run, job.file) == ("running", "another", "")
        assert list(background.folder().iterdir()) == []

    def test_nobody_else_gets_the_file(self, client: Client, team: Team) -> None:
        job = self.begin(client)
        background.work(job.pk)
        address = reverse("background_file", args=[job.pk])
        client.force_login(make_person(team, Role.MANAGER))
        assert client.get(address).status_code == 404
        assert 'data-testid="job"' not in client.get("/background/").content.decode()

    def test_who_may_not_export_any_more_gets_neither_file_nor_rows(
        self, client: Client, team: Team, manager: User
    ) -> None:
        done, begun = self.begin(client), self.begin(client, "status=received")
        background.work(done.pk)
        Membership.objects.filter(user=manager).update(role=Role.OPERATOR)
        background.work(begun.pk)
        begun.refresh_from_db()
        assert (begun.state, begun.reason) == ("failed", "no_right")
        assert client.get(reverse("background_file", args=[done.pk])).status_code == 404

    def test_another_team_that_they_work_in_meanwhile_is_not_exported(
        self, client: Client, team: Team, manager: User
    ) -> None:
        job = self.begin(client)
        other = make_team()
        received(other)
        Membership.objects.create(user=manager, team=other, role=Role.MANAGER)
        User.objects.filter(pk=manager.pk).update(team=other)
        background.work(job.pk)
        job.refresh_from_db()
        assert (job.state, job.done) == ("done", 2)
        assert client.get(reverse("background_file", args=[job.pk])).status_code == 404  # while they work in the other

    def test_progress_is_told_while_it_is_made(self, client: Client) -> None:
        job = self.begin(client)
        BackgroundJob.objects.update(state="running", alive_at=timezone.now(), done=500, total=2000)
        page = client.get("/background/", headers={"HX-Request": "true"}).content.decode()
        assert 'value="25" max="100"' in page
        assert 'hx-trigger="every 2s"' in page
        assert "<html" not in page
        assert f'data-testid="job" data-state="{BackgroundJob.objects.get(pk=job.pk).state}"' in page

    def test_one_is_made_at_a_time(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        first, second = self.begin(client), self.begin(client, "status=received")
        woken: list[int] = []
        monkeypatch.setattr("rentals.enqueue.background", woken.append)
        BackgroundJob.objects.filter(pk=first.pk).update(state="running", alive_at=timezone.now(), run="another")
        background.work(second.pk)
        second.refresh_from_db()
        assert second.state == "waiting"
        BackgroundJob.objects.filter(pk=first.pk).update(kind=BackgroundJob.Kind.IMPORT)
        background.work(second.pk)
        second.refresh_from_db()
        assert second.state == "done", "an import and an export go on side by side"
        BackgroundJob.objects.update(kind=BackgroundJob.Kind.EXPORT_CSV, state="waiting")
        background.work(first.pk)
        assert woken == [second.pk]

    def test_more_rows_than_excel_takes_are_refused(self, client: Client) -> None:
        job = self.begin(client, kind="xlsx")
        with patch.object(background, "MAX_IN_EXCEL", 1):
            background.work(job.pk)
        assert "Narrow the filter, or export CSV." in client.get("/background/").content.decode()

    def test_files_are_kept_for_a_day(self, client: Client) -> None:
        job = self.begin(client)
        background.work(job.pk)
        background.forget_old()
        assert len(list(background.folder().iterdir())) == 1
        BackgroundJob.objects.update(created_at=timezone.now() - background.RETENTION - timedelta(minutes=1))
        with patch("rentals.jobs.background.timezone.now", return_value=timezone.now() + timedelta(hours=2)):
            background.forget_old()
        assert not BackgroundJob.objects.exists()
        assert list(background.folder().iterdir()) == []

    def test_a_full_disk_is_said(self, client: Client) -> None:
        job = self.begin(client)
        with patch.object(exports, "write_csv", side_effect=OSError):
            background.work(job.pk)
        assert "the disk may be full" in client.get("/background/").content.decode()
        assert list(background.folder().iterdir()) == []
