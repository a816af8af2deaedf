"""Who saw a code: every way to see it leaves a record with a name, and the rental's page lists them all."""

from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import time_machine
from django.core.files.base import ContentFile
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from accounts import api_keys, audit
from accounts.models import AuditRecord, Membership, Role, Scope, Team, User
from accounts.policy import access_for
from pages.tests.markup import parse
from rentals.jobs import background
from rentals.jobs.upkeep import retention
from rentals.models import BackgroundJob, ExportedCode, Message, Rental, Status
from rentals.tests.factories import make_person, make_rental, make_team, make_token

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]

CODE = "749216"


@pytest.fixture(autouse=True)
def own_folders(settings: Settings, tmp_path: Path) -> None:
    settings.FILES_DIR = settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def team() -> Team:
    return make_team("Support", shares_codes=True)


@pytest.fixture
def linh(team: Team) -> User:
    return make_person(team, username="linh", first_name="Linh", last_name="Trần")


@pytest.fixture
def rental(team: Team, linh: User) -> Rental:
    """A code that came to Linh."""
    at = timezone.now()
    rental = make_rental(
        Status.RECEIVED, team=team, person=linh, token=make_token(team), phone="+84912345678", received_at=at
    )
    rental.events.create(at=at, kind="ordered", after="queued", person=linh)
    Message.objects.create(rental=rental, at=at, code=CODE, text=f"Ma: {CODE}", source="poll", fingerprint="x")
    return rental


def browser(person: User) -> Client:
    client = Client(REMOTE_ADDR="10.9.8.7")
    client.force_login(person)
    return client


def records(action: str, rental: Rental) -> list[str]:
    """The user names of those who did it, in the order of the records."""
    found = AuditRecord.objects.filter(action=action, target=audit.about(rental)).order_by("pk")
    return [record.person.username for record in found if record.person]


def listed(reader: User, rental: Rental) -> list[str]:
    """The lines of the list on the rental's page, without their times."""
    page = parse(browser(reader).get(reverse("rental", args=[rental.pk])).content.decode())
    return [
        line.text.rsplit(maxsplit=2)[0]
        for seen in page.find_all("ol", **{"class": "seen"})
        for line in seen.find_all("li")
    ]


@pytest.mark.parametrize("page", ["desk", "board", "history", "rental"])
def test_a_colleagues_code_on_a_page_is_a_read_once_a_day(team: Team, rental: Rental, page: str) -> None:
    mai = make_person(team, username="mai")
    address = reverse(page, args=[rental.pk] if page == "rental" else [])
    for _ in range(3):
        assert CODE in browser(mai).get(address).content.decode()
    assert records("read", rental) == ["mai"]
    record = AuditRecord.objects.get(action="read")
    assert (record.team, record.address, record.detail) == (team, "10.9.8.7", {})
    with time_machine.travel(timezone.now() + timedelta(days=1), tick=False):
        browser(mai).get(reverse("rental", args=[rental.pk]))
    assert records("read", rental) == ["mai", "mai"]


def test_a_managers_look_leaves_a_record_too(team: Team, rental: Rental) -> None:
    Team.objects.update(shares_codes=False)
    browser(make_person(team, Role.MANAGER, username="boss")).get("/")
    browser(make_person(username="root", is_staff=True, team=team)).get("/")
    assert records("read", rental) == ["boss", "root"]


def test_a_masked_code_is_no_read(team: Team, rental: Rental) -> None:
    Team.objects.update(shares_codes=False)
    for role in (Role.OPERATOR, Role.VIEWER):
        browser(make_person(team, role)).get("/")
    assert records("read", rental) == []


def test_a_number_that_still_waits_is_no_read(team: Team, linh: User) -> None:
    make_rental(Status.WAITING, team=team, person=linh)
    browser(linh).get("/")
    assert not AuditRecord.objects.filter(action="read").exists()


def test_a_second_view_writes_nothing_and_asks_nothing_more(
    team: Team,
    linh: User,
    rental: Rental,
    django_assert_num_queries: DjangoAssertNumQueries,
    django_capture_on_commit_callbacks: Any,
) -> None:
    client = browser(make_person(team, username="mai"))
    client.get("/board/")
    Message.objects.all().delete()
    with CaptureQueriesContext(connection) as without_code:
        client.get("/board/")
    Message.objects.create(rental=rental, at=timezone.now(), code=CODE, text=CODE, source="poll", fingerprint="x")
    with django_capture_on_commit_callbacks(execute=True), django_assert_num_queries(len(without_code) + 1):
        client.get("/board/")
    with django_assert_num_queries(len(without_code)):
        client.get("/board/")


def test_a_database_that_takes_no_writes_does_not_keep_a_page_from_being_read(
    team: Team, linh: User, rental: Rental, caplog: pytest.LogCaptureFixture
) -> None:
    with mock.patch.object(audit, "record_once_a_day", side_effect=OperationalError("disk full")):
        assert CODE in browser(linh).get("/").content.decode()
    assert "not recorded who read codes: OperationalError" in caplog.text


def test_copying_is_recorded_once_a_day_and_only_of_what_may_be_read(team: Team, linh: User, rental: Rental) -> None:
    Team.objects.update(shares_codes=False)
    mai, copied = make_person(team, username="mai"), reverse("copied", args=[rental.pk])
    assert browser(mai).post(copied).status_code == 403
    for person in (linh, linh, make_person(team, Role.MANAGER, username="boss")):
        assert browser(person).post(copied).status_code == 204
    assert records("copy", rental) == ["linh", "boss"]
    browser(mai).post(reverse("reveal", args=[rental.pk]))
    assert browser(mai).post(copied).status_code == 204
    assert records("copy", rental) == ["linh", "boss", "mai"]
    assert browser(mai).get(copied).status_code == 405


def test_playing_a_recording_is_recorded_once_a_day_whatever_parts_are_asked_for(linh: User, rental: Rental) -> None:
    message = rental.messages.get()
    message.audio.save("call.wav", ContentFile(b"RIFF"))
    for headers in ({}, {"Range": "bytes=0-1"}, {"Range": "bytes=2-3"}):
        answer = browser(linh).get(reverse("recording", args=[rental.pk]), headers=headers)
        assert b"".join(answer) in {b"RIFF", b"RI", b"FF"}
    assert records("listen", rental) == ["linh"]


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_an_export_notes_the_codes_that_it_holds(team: Team, rental: Rental, kind: str) -> None:
    make_rental(Status.WAITING, team=team, token=rental.token)
    manager = make_person(team, Role.MANAGER, username="boss")
    browser(manager).post(reverse(f"export_{kind}"))
    record = AuditRecord.objects.get(action="export")
    assert list(ExportedCode.objects.values_list("record", "rental")) == [(record.pk, rental.pk)]
    assert "boss exported the code" in listed(manager, rental)


def test_an_export_in_which_the_code_is_masked_is_not_in_the_list(team: Team, rental: Rental) -> None:
    Team.objects.update(codes_fade_minutes=5)
    Rental.objects.update(received_at=timezone.now() - timedelta(minutes=6))
    manager = make_person(team, Role.MANAGER, username="boss")
    browser(manager).post(reverse("export_csv"))
    assert listed(manager, rental) == ["Linh Trần (linh) ordered the number"]


@pytest.mark.database
def test_an_export_in_the_background_notes_its_codes_once_though_it_is_made_twice(
    team: Team, rental: Rental, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "MAX_AT_ONCE", 0)
    browser(make_person(team, Role.MANAGER, username="boss")).post(reverse("export_csv"))
    job = BackgroundJob.objects.get()
    for _ in range(2):
        BackgroundJob.objects.update(state=BackgroundJob.State.WAITING)
        background.work(job.pk)
    assert BackgroundJob.objects.get().state == BackgroundJob.State.DONE
    assert ExportedCode.objects.get().record.action == "export"


@pytest.mark.database
def test_what_an_export_held_is_forgotten_with_its_record(team: Team, rental: Rental) -> None:
    with time_machine.travel(timezone.now() - timedelta(days=900), tick=False):
        old = [audit.record("export", team=team) for _ in range(2)]
    kept = audit.record("export", team=team)
    for record in (*old, kept):
        ExportedCode.objects.create(rental=rental, record=record)
    assert retention.delete_old_exports() == 0
    audit.delete_old()
    assert retention.delete_old_exports(batch=1) == 2
    assert ExportedCode.objects.get().record == kept


def test_the_rentals_page_lists_everybody_who_saw_the_code(team: Team, linh: User, rental: Rental) -> None:
    Team.objects.update(shares_codes=False)
    manager = make_person(team, Role.MANAGER, username="boss")
    mai = browser(make_person(team, username="mai"))
    mai.post(reverse("reveal", args=[rental.pk]))
    mai.post(reverse("copied", args=[rental.pk]))
    browser(linh).get("/")
    root = make_person(username="root", is_staff=True, is_superuser=True, team=team)
    browser(root).get(reverse("admin:rentals_rental_change", args=[rental.pk]))
    browser(manager).post(reverse("export_csv"))
    assert listed(manager, rental) == [
        "Linh Trần (linh) ordered the number",
        "mai revealed the code",
        "mai copied the code",
        "Linh Trần (linh) read the code on a page",
        "root opened it in the admin",
        "boss exported the code",
        "boss read the code on a page",
    ]


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("en", "Linh Trần (linh)'s program with the key CI read the code"),
        ("vi", "Chương trình của Linh Trần (linh) dùng khóa API CI đã đọc mã"),
    ],
)
def test_a_program_that_read_the_code_is_named_with_its_key(
    team: Team, linh: User, rental: Rental, language: str, expected: str
) -> None:
    User.objects.update(language=language)
    key, secret = api_keys.make(linh, access_for(linh, team_id=team.pk), name="CI", scopes=tuple(Scope.values))
    for _time in range(2):
        Client().get(f"/api/v1/rentals/{rental.pk}", headers={"Authorization": f"Bearer {secret}"})
    browser(linh).get("/")
    lines = listed(linh, rental)
    assert lines[1] == expected
    assert [line for line in lines if "CI" in line] == [expected]
    assert len(lines) == 3  # ordered, read by the program, read on a page
    as_manager = browser(make_person(team, Role.MANAGER, username="boss"))
    page = as_manager.get(reverse("team_audit"), {"action": "read"}).content.decode()
    assert f"API key {key}" in " ".join(parse(page).text.split())


def test_who_saw_a_code_is_for_its_owner_and_managers(team: Team, linh: User, rental: Rental) -> None:
    seen = {
        "owner": listed(linh, rental),
        "manager": listed(make_person(team, Role.MANAGER), rental),
        "operator": listed(make_person(team), rental),
        "viewer": listed(make_person(team, Role.VIEWER), rental),
    }
    assert [who for who, lines in seen.items() if lines] == ["owner", "manager"]
    Membership.objects.filter(user=linh).update(role=Role.VIEWER)
    assert listed(linh, rental) == []


def test_the_list_costs_two_queries(
    team: Team, linh: User, rental: Rental, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with mock.patch.object(audit, "record_once_a_day"):
        mai = browser(make_person(team, username="mai"))
        with CaptureQueriesContext(connection) as without:
            mai.get(reverse("rental", args=[rental.pk]))
        owner = browser(linh)
        with django_assert_num_queries(len(without) + 2):
            owner.get(reverse("rental", args=[rental.pk]))


# The audit log


NUMBERS = [
    "0912345678",
    "+84912345678",
    "+84 912 345 678",
    "912 345 678",
    "84-912-345-678",
    "0912.345.678",
    "345 678",
    "5678",
]


@pytest.mark.database
@pytest.mark.parametrize("typed", NUMBERS)
def test_the_audit_log_finds_a_number_in_any_form(team: Team, linh: User, rental: Rental, typed: str) -> None:
    other = make_rental(Status.RECEIVED, team=team, phone="+84987000111")
    audit.record("cancel", team=team, target=audit.about(other))
    audit.record("reveal", team=team, target=f"message {rental.messages.get().pk}")
    as_manager = browser(make_person(team, Role.MANAGER, username="boss"))
    as_manager.get("/")
    as_manager.post(reverse("export_csv"))
    answer = as_manager.get(reverse("team_audit"), {"q": typed})
    found = {(record.action, record.target) for record, *_words in answer.context["records"]}
    assert found == {
        ("read", audit.about(rental)),
        ("reveal", f"message {rental.messages.get().pk}"),
        ("export", audit.ALL_RENTALS),
    }


def test_the_audit_log_shows_reads_where_somebody_asks_for_them(team: Team, rental: Rental) -> None:
    as_manager = browser(make_person(team, Role.MANAGER, username="boss"))
    as_manager.get("/")

    def actions(**asked: str) -> set[str]:
        return {record.action for record, *_words in as_manager.get(reverse("team_audit"), asked).context["records"]}

    assert "read" not in actions()
    assert actions(action="read") == actions(q="0912345678") == {"read"}


def test_the_audit_log_finds_no_number_of_another_team(team: Team) -> None:
    theirs = make_rental(Status.RECEIVED, phone="+84912345678")
    audit.record("reveal", team=theirs.team, target=audit.about(theirs))
    audit.record("reveal", team=team, target=audit.about(theirs))  # cannot be, and would say that they have it
    as_manager = browser(make_person(team, Role.MANAGER, username="boss"))
    assert not as_manager.get(reverse("team_audit"), {"q": "0912345678"}).context["records"]
