"""The team's audit log on its page: what its managers find in it, and what they export."""

import csv
import io
import json
import re
import unicodedata
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts import audit
from accounts.models import AuditRecord, Team, User
from accounts.policy import access_for
from pages.tests.markup import parse
from pages.views.team import audit as audit_view
from pages.views.team import audit_search
from rentals.models import ExportedCode, Message
from rentals.queries import search
from rentals.tests.factories import make_person, make_rental, make_team

pytestmark = pytest.mark.django_db


@pytest.fixture
def client(manager: User) -> Client:
    client = Client()
    client.force_login(manager)
    return client


def shown(client: Client, **asked: Any) -> list[str]:
    """The things on the page, newest first."""
    answer = client.get(reverse("team_audit"), asked)
    assert answer.status_code == 200
    return [record.target for record, *_said in answer.context["records"] if record.target]


def exported(client: Client, **asked: Any) -> list[list[str]]:
    answer = client.post(reverse("team_audit_export"), asked)
    text = b"".join(answer).decode()
    assert text.startswith("\ufeff")
    return list(csv.reader(io.StringIO(text.removeprefix("\ufeff"))))


def at(days: int, **over: Any) -> AuditRecord:
    with time_machine.travel(timezone.now() - timedelta(days=days)):
        return audit.record(**over)


def plans_of(typed: str, team: Team, manager: User) -> list[str]:
    """How the database looks for a text where nearly all records are about rentals."""
    AuditRecord.objects.bulk_create(
        AuditRecord(
            action="order", team=team, person=manager, target=f"rental {n}", address=f"10.{n % 100}.2.{n // 100}"
        )
        for n in range(500)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
        cursor.execute("ANALYZE sqlite_schema" if connection.vendor == "sqlite" else "SET LOCAL enable_seqscan = off")
    parts = audit_search.parts(typed, AuditRecord.objects.order_by("-pk"), access_for(manager, team_id=team.pk))
    return [part[: audit_view.PAGE_SIZE].explain() for part in parts]


def test_it_is_searched_by_thing_person_address_action_and_day(client: Client, manager: User, team: Team) -> None:
    lan = make_person(team, username="lan")
    at(9, action="reveal", person=lan, team=team, target="rental 12")
    at(3, action="order", person=manager, team=team, target="rental 34")
    at(0, action="role", person=manager, team=team, target="lan")
    day = timezone.localdate()
    searches: list[tuple[dict[str, Any], list[str]]] = [
        ({}, ["lan", "rental 34", "rental 12"]),
        ({"q": "rental"}, ["rental 34", "rental 12"]),
        ({"q": "Rental 34"}, ["rental 34"]),
        ({"q": "4"}, []),
        ({"q": "LAN"}, ["lan", "rental 12"]),
        ({"person": lan.pk}, ["rental 12"]),
        ({"action": "order"}, ["rental 34"]),
        ({"since": day - timedelta(days=4)}, ["lan", "rental 34"]),
        ({"until": day - timedelta(days=3)}, ["rental 34", "rental 12"]),
        ({"since": day - timedelta(days=4), "until": day - timedelta(days=2), "q": "34"}, ["rental 34"]),
        ({"q": "nothing like it"}, []),
    ]
    for asked, found in searches:
        assert shown(client, **asked) == found, asked
        in_file = [row[3] for row in exported(client, **asked)[1:] if row[3]]
        assert in_file == found, asked


@pytest.mark.parametrize(
    "asked",
    [
        {"person": "x"},
        {"person": "9" * 40},
        {"since": "2026-99-99"},
        {"until": "9999-12-31"},
        {"before": "-1"},
        {"q": "%"},
        {"q": "'"},
    ],
)
def test_nonsense_in_the_address_breaks_nothing(client: Client, asked: dict[str, str]) -> None:
    assert client.get(reverse("team_audit"), asked).status_code == 200


def test_days_that_end_before_they_begin_are_named(client: Client) -> None:
    for until, is_named in (("2026-03-10", True), ("2026-03-11", False), ("", False)):
        page = parse(client.get(reverse("team_audit"), {"since": "2026-03-11", "until": until}).content.decode())
        assert len(page.find_all(data_testid="backwards")) == is_named
        assert page.find("input", id="a-since").attributes.get("aria-describedby", "") == "backwards" * is_named


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("10.1.2.3", ["10.1.2.3"]),
        ("10.1.2", ["10.1.2.30", "10.1.2.3"]),
        ("10.1.", ["10.1.20.3", "10.1.2.30", "10.1.2.3"]),
        ("10.01", []),
        ("300.1", []),
        ("2001:DB8:0:1::7", ["2001:db8:0:1::7"]),
        ("2001:db8:", ["2001:db8:0:1::7", "2001:db8::9"]),
        ("2001:0DB8::", ["2001:db8:0:1::7", "2001:db8::9"]),
        ("2001:db8:0", ["2001:db8:0:1::7", "2001:db8::9"]),
        ("2001:db8:0:0", ["2001:db8::9"]),
        ("2001:db8:0:1::", ["2001:db8:0:1::7"]),
        ("2001:db8:0:1:2:3:4:5:6", []),
        (":", []),
        ("::", []),
    ],
)
def test_an_address_is_found_whole_or_by_the_parts_it_begins_with(
    client: Client, team: Team, typed: str, found: list[str]
) -> None:
    for address in ("10.1.2.3", "10.1.2.30", "10.1.20.3", "10.10.2.3", "2001:db8::9", "2001:db8:0:1::7"):
        AuditRecord.objects.create(action="role", team=team, target="Mai", address=address)
    answer = client.get(reverse("team_audit"), {"q": typed})
    assert [record.address for record, *_ in answer.context["records"]] == found


def test_a_number_as_the_page_has_it_is_found_in_both_languages(client: Client, manager: User, team: Team) -> None:
    for target in ("rental 12", "rental 123", "file 12", "message 12", "Mai 12"):
        audit.record("order", team=team, target=target)
    assert set(shown(client, q="12")) == {"rental 12", "file 12", "message 12"}
    assert shown(client, q="lượt thuê 12") == []
    User.objects.filter(pk=manager.pk).update(language="vi")
    assert shown(client, q="Lượt thuê 12") == shown(client, q="luot thue 12") == ["rental 12"]


@pytest.mark.parametrize(
    ("language", "typed", "found"),
    [
        ("en", "History", {"rentals"}),
        ("en", "lịch sử", set()),
        ("vi", "lịch sử", {"rentals"}),
        ("vi", "LICH", {"rentals"}),
        ("vi", "ịch sử", set()),  # no word begins so
        ("vi", "Lượt thuê", {"rental 12"}),
        ("vi", "tệp", {"file 7"}),
        ("vi", "tệp 8", set()),
    ],
)
def test_a_target_is_found_by_the_words_in_which_the_page_shows_it(
    client: Client, manager: User, team: Team, language: str, typed: str, found: set[str]
) -> None:
    User.objects.filter(pk=manager.pk).update(language=language)
    targets = {"rentals": "audit_export", "rental 12": "reveal", "file 7": "limits", "rental of Mai": "limits"}
    for target, action in targets.items():
        audit.record(action, team=team, target=target)
    assert set(shown(client, q=typed)) == found


@pytest.mark.parametrize(
    ("target", "typed", "is_found"),
    [
        ("Đơn hàng", "đơn", True),
        ("Đơn hàng", "DON HANG", True),
        ("ĐƠN HÀNG", "đơn hàng", True),
        ("don hang", "Đơn", True),
        (unicodedata.normalize("NFD", "Đơn hàng"), "đơn hàng", True),
        ("Đơn hàng", unicodedata.normalize("NFD", "đơn hàng"), True),
        ("Đơn hàng", "đơn.", False),
        ("Đơn (2)", "đơn (", True),
        ("Đơn hàng", "[đ]", False),
        ("Müller", "MÜLL", True),
        ("a_b%c\\d", "B%C\\D", True),
        ("a_b%c", "aXb", False),
    ],
)
def test_a_target_is_found_without_case_and_accents(
    client: Client, team: Team, target: str, typed: str, is_found: bool
) -> None:
    audit.record("limits", team=team, target=target)
    assert shown(client, q=typed) == [target] * is_found


@pytest.mark.parametrize(
    ("language", "typed", "found"),
    [
        ("en", "Signed in", {"sign_in", "break_glass_used"}),
        ("en", " signed  IN ", {"sign_in", "break_glass_used"}),
        ("en", "read a", {"read"}),
        ("en", "code", {"read", "reveal"}),
        ("en", "igned", set()),  # no word begins so
        ("en", "Đăng nhập", set()),
        ("vi", "Đăng nhập", {"sign_in", "break_glass_used"}),
        ("vi", "dang nhap", {"sign_in", "break_glass_used"}),
        ("vi", "Signed in", set()),
    ],
)
def test_the_label_of_an_action_is_found_in_the_reader_s_language(
    client: Client, manager: User, team: Team, language: str, typed: str, found: set[str]
) -> None:
    User.objects.filter(pk=manager.pk).update(language=language)
    for action in ("read", "reveal", "order", "break_glass_used", "limits"):
        audit.record(action, person=manager, team=team, target="Mai 1")
    audit.record("sign_in", person=manager)
    audit.record("sign_in", person=make_person(make_team("Sales")))
    records = client.get(reverse("team_audit"), {"q": typed}).context["records"]
    assert {record.action for record, *_ in records} == found
    assert {record.person for record, *_ in records} <= {manager}


@pytest.mark.parametrize("most", [0, 10])
@pytest.mark.parametrize("typed", ["thuỷ", "Trần", "thuy tran", "Thuỷ Trần (lan)", "LAN"])
def test_what_a_person_did_is_found_by_the_name_that_the_page_shows(
    client: Client, manager: User, team: Team, monkeypatch: pytest.MonkeyPatch, most: int, typed: str
) -> None:
    monkeypatch.setattr(audit_search, "_MAX_PEOPLE", most)
    lan = make_person(team, username="lan", first_name="Thuỷ", last_name="Trần")
    audit.record("role", person=lan, team=team, target="Mai")
    audit.record("role", person=manager, team=team, target="Hoa")
    assert shown(client, q=typed) == ["Mai"]


@pytest.mark.parametrize("most", [0, 10])
def test_what_matches_in_several_ways_is_there_once_and_pages_leave_nothing_out(
    client: Client, manager: User, team: Team, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(audit_search, "_MAX_PEOPLE", most)
    lan, linh = make_person(team, username="lan"), make_person(team, username="lan2")
    records = [
        audit.record("role", person=(lan, linh, manager)[n % 3], team=team, target=f"lan {n}" if n % 2 else "")
        for n in range(2 * audit_view.PAGE_SIZE)
    ]
    wanted = [record.pk for record in reversed(records) if record.target or record.person != manager]
    first = client.get(reverse("team_audit"), {"q": "lan"})
    second = client.get(reverse("team_audit"), {"q": "lan", "before": first.context["next"]})
    assert [record.pk for page in (first, second) for record, *_ in page.context["records"]] == wanted
    assert second.context["next"] is None
    assert len(exported(client, q="lan")) == 1 + len(wanted)


@pytest.mark.parametrize("most", [2, 5000])
def test_a_part_of_a_number_that_many_have_is_found(
    client: Client, team: Team, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    rentals = [make_rental(team=team, phone=f"+8491234567{n}") for n in range(3)]
    other = make_rental(team=team, phone="+84987000111")
    message, other_message = (
        Message.objects.create(rental=rental, at=timezone.now(), fingerprint=str(rental.pk))
        for rental in (rentals[0], other)
    )
    about_them = [*rentals, message]
    for row in [*about_them, other, other_message]:
        audit.record("reveal", team=team, target=audit.about(row))
    for rental in (rentals[1], other):
        export = audit.record("export", team=team, target=f"of {rental.phone}")
        ExportedCode.objects.create(rental=rental, record=export)
    for target in ("rental of nobody", "message 7 of Mai", "message 0"):
        audit.record("role", team=team, target=target)
    monkeypatch.setattr(search, "MAX_LOOKED_UP", most)
    found = [f"of {rentals[1].phone}", *(audit.about(row) for row in reversed(about_them))]
    assert shown(client, q="345 67") == found


def test_messages_of_very_many_numbers_are_looked_for_by_their_records(
    team: Team, manager: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(3):
        make_rental(team=team, phone=f"+8491234567{n}")
    monkeypatch.setattr(search, "MAX_LOOKED_UP", 2)
    *_, part = audit_search.parts("34567", AuditRecord.objects.all(), access_for(manager, team_id=team.pk))
    assert '"accounts_auditrecord"."target" BETWEEN message 0 AND message 9' in str(part.query)
    *_, plan = plans_of("34567", team, manager)
    assert "audit_target" in plan


def test_people_who_are_many_are_looked_for_by_their_ids(
    team: Team, manager: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(3):
        make_person(team, username=f"linh{n}")
    monkeypatch.setattr(audit_search, "_MAX_PEOPLE", 2)
    *_, part = audit_search.parts("linh", AuditRecord.objects.all(), access_for(manager, team_id=team.pk))
    assert '"accounts_auditrecord"."person_id" IN (' in str(part.query)
    assert "username" not in str(part.query)


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("96.85", {"an address", "rental"}),
        ("96.85.", {"an address", "rental"}),
        ("96.85.22.21", {"an address", "rental"}),
        ("96:85", set()),
        ("2001:", {"a longer address"}),
    ],
)
def test_digits_and_dots_are_looked_for_in_addresses_and_in_numbers(
    client: Client, team: Team, typed: str, found: set[str]
) -> None:
    rental, other = make_rental(team=team, phone="+84968522217"), make_rental(team=team, phone="+84852001333")
    named = {"an address": "96.85.22.21", "a longer address": "2001:db8::9", audit.about(rental): None}
    for target, address in {**named, audit.about(other): None}.items():
        AuditRecord.objects.create(action="order", team=team, target=target, address=address)
    assert {"rental" if target == audit.about(rental) else target for target in shown(client, q=typed)} == found


@pytest.mark.parametrize(
    ("typed", "indexes"),
    [
        ("Mai", {"audit_team_others"}),
        ("10.1.2.3", {"audit_team_others", "audit_address", "audit_target"}),
        ("10.1.", {"audit_team_others", "audit_address", "audit_target"}),
        ("7", {"audit_team_others", "audit_target"}),
        ("Signed in", {"audit_team_others"}),
        ("Revealed a code", {"audit_team_others", "audit_action"}),
        ("History", {"audit_team_others"}),
    ],
)
def test_a_text_is_looked_for_by_indexes(team: Team, manager: User, typed: str, indexes: set[str]) -> None:
    make_rental(team=team, phone="+84901012345")
    plans = plans_of(typed, team, manager)
    used = {index for plan in plans for index in re.findall("audit_[a-z]+(?:_[a-z]+)?", plan)}
    assert used == indexes, "\n\n".join(plans)


def test_what_is_another_team_s_is_neither_found_nor_exported(client: Client, manager: User) -> None:
    theirs = make_team("Sales")
    stranger = make_person(theirs, username="stranger")
    audit.record("reveal", person=stranger, team=theirs, target="rental 99")
    audit.record("sign_in", person=stranger)
    assert shown(client) == []
    assert "stranger" not in str(exported(client))
    assert shown(client, person=stranger.pk) == []


def test_pages_follow_one_another_without_gap_or_repeat(client: Client, manager: User, team: Team) -> None:
    for n in range(audit_view.PAGE_SIZE + 7):
        audit.record("reveal", person=manager, team=team, target=f"rental {n}")
    first = client.get(reverse("team_audit"), {"action": "reveal"})
    second = client.get(reverse("team_audit"), {"action": "reveal", "before": first.context["next"]})
    targets = [record.target for page in (first, second) for record, *_ in page.context["records"]]
    assert targets == [f"rental {n}" for n in reversed(range(audit_view.PAGE_SIZE + 7))]
    assert second.context["next"] is None


@pytest.mark.parametrize("of_person", [False, True])
def test_pages_follow_one_another_where_a_clock_was_set_back(
    client: Client, manager: User, team: Team, of_person: bool
) -> None:
    now, records = timezone.now(), []
    for n in range(audit_view.PAGE_SIZE + 7):
        # Three at a moment, each moment before the one that was recorded last; in the team, and of a person.
        with time_machine.travel(now + timedelta(hours=1) - timedelta(minutes=n // 3), tick=False):
            kind: dict[str, Any] = {"action": "order", "team": team} if n % 2 else {"action": "sign_in"}
            records.append(audit.record(person=manager, target=str(n), **kind))
    asked = {"person": manager.pk} if of_person else {}
    first = client.get(reverse("team_audit"), asked)
    second = client.get(reverse("team_audit"), {**asked, "before": first.context["next"]})
    found = [record for page in (first, second) for record, *_ in page.context["records"] if record.target]
    newest_first = sorted(records, key=lambda record: record.pk if of_person else (record.at, record.pk), reverse=True)
    assert found == newest_first
    in_file = [row[3] for row in exported(client, **asked)[1:] if row[3]]
    assert in_file == [record.target for record in newest_first]


@pytest.mark.parametrize("asked", [{"person": True}, {"action": "role"}, {"q": "Mai"}])
def test_days_long_past_are_read_between_their_own_ids(client: Client, manager: User, team: Team, asked: Any) -> None:
    records = [at(days, action="role", person=manager, team=team, target="Mai") for days in (9, 7, 7, 6, 5, 5, 3)]
    day = timezone.localdate()
    days = {"since": day - timedelta(days=7), "until": day - timedelta(days=5)}
    with CaptureQueriesContext(connection) as queries:
        found = shown(client, **days, **({"person": manager.pk} if "person" in asked else asked))
    assert found == ["Mai"] * 5
    bounds = f'"accounts_auditrecord"."id" BETWEEN {records[1].pk} AND {records[5].pk}'
    of_records = [query["sql"] for query in queries if '"accounts_auditrecord"."target"' in query["sql"]]
    assert of_records
    assert all(bounds in sql for sql in of_records)


def test_days_are_found_whole_where_clocks_differ(
    client: Client, manager: User, team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_view, "AT_EACH_END", 3)
    # Two machines, one a day behind the other; and once the clock was a year ahead, once a year behind.
    for n, days in enumerate((9, -365, 8, 9, 8, 7, 8, 365, 7, 6, 7)):
        at(days, action="order", person=manager, team=team, target=str(n))
    day = timezone.localdate()
    for first, last, found in (
        (8, 8, "642"),
        (8, 7, "1086542"),
        (9, 8, "64320"),
        (400, 300, "7"),
        (7, -400, "109851"),
    ):
        asked = {"since": day - timedelta(days=first), "until": day - timedelta(days=last), "action": "order"}
        assert "".join(shown(client, **asked)) == found


@pytest.mark.parametrize("formula", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"])
def test_no_cell_of_the_file_is_a_formula(client: Client, manager: User, team: Team, formula: str) -> None:
    User.objects.filter(pk=manager.pk).update(username=f"{formula}boss")
    audit.record("invite", person=manager, team=team, target=f"{formula}Mai")
    row = exported(client, action="invite")[1]
    assert row[1] == f"'{formula}boss"
    assert row[3] == f"'{formula}Mai"


def test_the_file_has_the_moment_the_detail_and_the_address_of_each(client: Client, manager: User, team: Team) -> None:
    audit.record("limits", person=manager, team=team, target="lan", detail={"budget_day": [None, 5000], "note": "đồng"})
    head, row = exported(client, action="limits")
    assert head == ["at", "person", "action", "on what", "detail", "address", "API key"]
    assert row[0].endswith("+07:00")
    assert json.loads(row[4]) == {"budget_day": [None, 5000], "note": "đồng"}
    assert "đồng" in row[4]


def test_taking_it_away_is_recorded_itself(client: Client, manager: User, team: Team) -> None:
    exported(client, q="lan", action="role", page_team=team.pk)
    record = AuditRecord.objects.get(action="audit_export")
    assert (record.person, record.team, record.detail) == (manager, team, {"asked": {"q": "lan", "action": "role"}})


def test_it_speaks_the_reader_s_language_and_leads_to_the_rental(client: Client, manager: User, team: Team) -> None:
    audit.record("order", person=manager, team=team, target="rental 12", detail={"purpose": "CSKH"})
    audit.record("sign_in", person=manager, detail={"by": ["password", "totp"]})
    User.objects.filter(pk=manager.pk).update(language="vi")
    page = parse(client.get(reverse("team_audit")).content.decode())
    assert page.find("a", href="/rentals/12/").text == "lượt thuê 12"
    assert "mục đích: CSKH" in page.text
    assert "mật khẩu, ứng dụng xác thực" in page.text
