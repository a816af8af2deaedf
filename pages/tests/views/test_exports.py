import csv
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone, translation
from pytest_django import DjangoAssertNumQueries

from accounts import api_keys
from accounts.models import AuditRecord, Role, Scope, Team, User
from accounts.policy import access_for
from pages.presenters import history, spend
from pages.tests.views.exporting import manager as manager
from pages.tests.views.exporting import own_folder as own_folder
from pages.tests.views.exporting import read_xlsx, received
from pages.tests.views.exporting import team as team
from pages.views import exports as exports_page
from rentals import exported_codes, lifecycle
from rentals.jobs import exports
from rentals.models import LedgerEntry, Message, Rental, Status
from rentals.tests.factories import make_person, make_rental, make_service, make_team, make_token

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]


def read(client: Client, query: str = "") -> list[dict[str, str]]:
    """The rows of the CSV file."""
    body = client.post(f"/rentals/export.csv?{query}").content.decode()
    assert body.startswith("\ufeff")
    return list(csv.DictReader(StringIO(body.removeprefix("\ufeff"))))


def cells(client: Client, kind: str) -> dict[str, Any]:
    """The only row of either file, by its column's names."""
    if kind == "csv":
        (row,) = read(client)
        return row
    names, values = read_xlsx(client.post("/rentals/export.xlsx").content)
    return {name.value: cell.value for name, cell in zip(names, values, strict=True)}


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


@pytest.mark.database
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


@pytest.mark.database
@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_who_ordered_with_which_key_and_to_whom_it_went(client: Client, team: Team, manager: User, kind: str) -> None:
    linh, mai = make_person(team, username="linh"), make_person(team, username="mai")
    key, _secret = api_keys.make(linh, access_for(linh), name="CI", scopes=list(Scope))
    rental = make_rental(Status.WAITING, team=team, token=make_token(team), person=linh, api_key=key)
    lifecycle.hand_over(rental, to=mai, by=linh)
    lifecycle.hand_over(rental, to=manager, by=mai)
    row = cells(client, kind)
    assert (row["Person"], row["Ordered by"], row["API key"]) == (str(manager), "linh", "CI")
    assert row["Handed over"] == f"linh → mai, mai → {manager}"


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_a_price_says_what_was_shown_and_how_the_true_one_was_learned(
    client: Client, team: Team, manager: User, kind: str
) -> None:
    rental = make_rental(Status.EXPIRED, team=team, token=make_token(team), price=800, agreed_price=800)
    lifecycle.correct_price(rental, 1200, by="balance")
    row = cells(client, kind)
    assert (int(row["Price, đồng"]), int(row["Price shown, đồng"])) == (1200, 800)
    assert row["About the price"] == (
        "It cost 1.200 ₫: more than the 800 ₫ shown at the order. "
        "ThueSim's reply gave no price: booked at 800 ₫, put right to 1.200 ₫."
    )


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_a_plain_order_says_nothing_more(client: Client, team: Team, manager: User, kind: str) -> None:
    received(team, person=manager, price=800, agreed_price=800)
    row = cells(client, kind)
    assert [row[name] for name in ("About the price", "Handed over", "API key")] in (["", "", ""], [None, None, None])


@pytest.mark.database
def test_a_code_has_the_time_of_its_own_message_and_the_others_a_column(
    client: Client, team: Team, manager: User
) -> None:
    first = datetime(2026, 3, 1, 7, 26, 59, 999_999, tzinfo=UTC)  # seconds are cut, not rounded
    rental = received(team, received_at=first)
    Message.objects.update(at=first)
    text = "Ma OTP 551-902"
    at = first + timedelta(minutes=5)
    Message.objects.create(
        rental=rental, at=at, code="551-902", second_code="1533", text=text, source="poll", fingerprint="y"
    )
    (row,) = read(client)
    assert (row["Code"], row["Code at (UTC+7)"]) == ("551-902", "2026-03-01 14:31:59")
    assert row["Other codes"] == "1533, 059809"


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_of_two_codes_of_one_message_none_is_taken_for_the_code(
    client: Client, team: Team, manager: User, kind: str
) -> None:
    received(team, code="", text="Ma OTP dang ky the: 119020. Ma OTP kich hoat: 884512")
    row = cells(client, kind)
    assert (row["Code"] or "", row["Other codes"], row["Status"]) == ("", "119020, 884512", "code received")


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
@pytest.mark.parametrize(
    ("newer", "sentence"),
    [
        ("Ma OTP 059809 da het han", "ThueSim's sender says that this code no longer holds."),
        ("Chao mung ban", "A newer message came at 2026-03-01 14:31:00; it has no clear code."),
    ],
)
def test_a_code_says_that_it_may_be_an_old_one(
    client: Client, team: Team, manager: User, kind: str, newer: str, sentence: str
) -> None:
    first = datetime(2026, 3, 1, 7, 26, tzinfo=UTC)
    rental = received(team, received_at=first, person=manager)
    Message.objects.update(at=first)
    at = first + timedelta(minutes=5)
    Message.objects.create(rental=rental, at=at, text=newer, source="poll", fingerprint="y")
    row = cells(client, kind)
    assert (row["Code"], row["About the code"]) == ("059809", sentence)


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_a_wish_that_was_not_kept_is_told(client: Client, team: Team, manager: User, kind: str) -> None:
    received(team, unasked=["network"])
    row = cells(client, kind)
    assert row["Not as requested"] == "ThueSim gave a number of a different network than requested."
    assert not row["About the code"]


@pytest.mark.database
def test_other_codes_are_masked_as_the_code_is(client: Client, team: Team, manager: User) -> None:
    Team.objects.filter(pk=team.pk).update(codes_fade_minutes=5)
    received(
        team,
        person=make_person(team),
        received_at=timezone.now() - timedelta(minutes=6),
        code="119020",
        text="Ma OTP dang ky the: 119020. Ma OTP kich hoat: 884512",
    )
    (row,) = read(client)
    assert (row["Code"], row["Other codes"]) == ("••••", "••••")


@pytest.mark.parametrize(
    ("language", "file", "section"), [("en", "exports.md", "The history"), ("vi", "exports.vi.md", "Lịch sử")]
)
def test_the_columns_are_those_of_the_documentation(language: str, file: str, section: str) -> None:
    text = (settings.BASE_DIR / "docs" / file).read_text()
    table = text.split(f"## {section}", 1)[1].split("\n## ", 1)[0]
    documented = [line.split("|")[1].strip() for line in table.splitlines() if line.startswith("| ")][1:]
    with translation.override(language):
        assert documented == exports.headings()


@pytest.mark.parametrize("language", ["en", "vi"])
def test_columns_and_filters_begin_with_a_capital(language: str) -> None:
    with translation.override(language):
        names = [*exports.headings(), *spend.headings(), *map(str, history.FILTERS.values())]
    assert [name for name in names if not name[0].isupper()] == []


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
    with django_assert_max_num_queries(
        13
    ):  # three of them for the names of people, services and tokens, once an export
        read(client)


@pytest.mark.database
def test_the_record_of_an_export_holds_no_code_that_was_searched_for(client: Client, team: Team, manager: User) -> None:
    received(team)
    assert len(read(client, "q=059809&status=received")) == 1
    (record,) = AuditRecord.objects.filter(action="export")
    assert record.detail["asked"] == "q=***&status=received"


@pytest.mark.database
def test_a_long_export_has_each_rental_once_newest_first(
    client: Client, team: Team, manager: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "FIRST", 3)
    monkeypatch.setattr(exports, "BATCH", 2)
    monkeypatch.setattr(exports, "MAX_KEYS", 4)
    now = timezone.now()
    # Seven of one moment, so that batches end among them.
    made = [received(team, queued_at=now - timedelta(hours=max(0, n - 6))) for n in range(13)]
    numbers = [int(row["Rental"]) for row in read(client)]
    assert numbers == [rental.pk for rental in sorted(made, key=lambda rental: (rental.queued_at, rental.pk))][::-1]


@pytest.mark.database
@pytest.mark.parametrize("spread", [0, 3])
def test_rows_are_the_same_whether_their_keys_lie_far_apart_or_close_together(
    client: Client, team: Team, manager: User, monkeypatch: pytest.MonkeyPatch, spread: int
) -> None:
    monkeypatch.setattr(exports, "MAX_SPREAD", spread)
    first, other, last = (received(team, phone=f"+8491234567{n % 2}") for n in range(3))
    for rental in (first, other, last):
        LedgerEntry.objects.create(token=rental.token, rental=rental, kind="refund", amount=7, at=timezone.now())
    rows = read(client, f"q={first.phone}")
    assert [(row["Rental"], row["Code"], row["Refunded, đồng"]) for row in rows] == [
        (str(rental.pk), "059809", "7") for rental in (last, first)
    ]
    noted = [exported_codes.records_with(Rental.objects.filter(pk=rental.pk)) for rental in (first, other, last)]
    assert list(map(len, noted)) == [1, 0, 1]


def test_a_large_history_is_not_counted_for_the_record(
    client: Client, team: Team, manager: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports_page, "MAX_COUNTED", 1)
    for _ in range(3):
        received(team)
    read(client)
    assert AuditRecord.objects.get(action="export").detail["rows"] == "> 1"
