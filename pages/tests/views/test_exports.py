import csv
from datetime import timedelta
from io import StringIO

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from accounts.models import AuditRecord, Role, Team, User
from pages.tests.views.exporting import manager as manager
from pages.tests.views.exporting import own_folder as own_folder
from pages.tests.views.exporting import read_xlsx, received
from pages.tests.views.exporting import team as team
from rentals.models import LedgerEntry, Status
from rentals.tests.factories import make_person, make_rental, make_service, make_team

pytestmark = pytest.mark.django_db


def read(client: Client, query: str = "") -> list[dict[str, str]]:
    """The rows of the CSV file."""
    body = client.post(f"/rentals/export.csv?{query}").content.decode()
    assert body.startswith("\ufeff")
    return list(csv.DictReader(StringIO(body.removeprefix("\ufeff"))))


def test_a_number_and_a_code_keep_their_leading_zero(client: Client, team: Team, manager: User) -> None:
    received(team, phone="+84852222127")
    (row,) = read(client)
    assert (row["Number"], row["Code"], row["Message"]) == ("0852222127", "059809", "Ma: 059809")


def test_in_excel_numbers_and_codes_are_texts(client: Client, team: Team, manager: User) -> None:
    received(team, phone="+84852222127", text="=1+1")
    names, cells = read_xlsx(client.post("/rentals/export.xlsx").content)
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
    cells = read_xlsx(client.post("/rentals/export.xlsx").content)[1]
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
    assert (row["Price, đồng"], row["Refunded, đồng"]) == ("800", "800")


def test_codes_that_faded_stay_masked(client: Client, team: Team, manager: User) -> None:
    Team.objects.filter(pk=team.pk).update(codes_fade_minutes=5)
    received(team, person=make_person(team), received_at=timezone.now() - timedelta(minutes=6), text="Ma: 059809")
    body = client.post("/rentals/export.csv").content
    assert b"059809" not in body
    assert "••••".encode() in body


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_only_managers_export(client: Client, team: Team, role: Role, kind: str) -> None:
    client.force_login(make_person(team, role))
    assert client.post(f"/rentals/export.{kind}").status_code == 403
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


def test_the_record_of_an_export_holds_no_code_that_was_searched_for(client: Client, team: Team, manager: User) -> None:
    received(team)
    assert len(read(client, "q=059809&status=received")) == 1
    (record,) = AuditRecord.objects.filter(action="export")
    assert record.detail["asked"] == "q=***&status=received"
