"""The spend page: what the numbers cost, by day, service, network, person, purpose and token; and its export."""

import io
import zipfile
from datetime import date, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from accounts.models import AuditRecord, Role, Team, User
from accounts.policy import access_for
from pages.presenters import spend
from pages.presenters.spend import Period
from pages.tests.markup import parse
from pages.tests.views.spending import rented, this_month
from rentals import sums
from rentals.models import Status, Token
from rentals.tests.factories import make_person, make_rental, make_service, make_team, make_token

pytestmark = pytest.mark.django_db


@pytest.fixture
def team() -> Team:
    return make_team()


@pytest.fixture
def token(team: Team) -> Token:
    return make_token(team, name="Chính")


@pytest.fixture
def manager(team: Team) -> User:
    return make_person(team, Role.MANAGER)


def test_what_was_given_back_is_not_spent(team: Team, token: Token, manager: User) -> None:
    rented(team, token, 1000)
    rented(team, token, 500, back=True)
    total = spend.spending(access_for(manager), this_month()).total
    assert (total.rentals, total.charged, total.refunded, total.spent) == (2, 1500, 500, 1000)


def test_each_day_has_its_money_by_vietnams_clock(team: Team, token: Token, manager: User) -> None:
    late = datetime.fromisoformat("2026-10-31T23:30:00+07:00")
    rented(team, token, 1000, placed_at=late)
    rented(team, token, 300, placed_at=late + timedelta(hours=1))
    found = spend.spending(access_for(manager), Period(date(2026, 10, 31), date(2026, 11, 1)))
    assert [(day.label, day.spent) for day in found.days] == [("31/10/2026", 1000), ("01/11/2026", 300)]


def test_it_is_told_by_service_person_purpose_and_token(team: Team, token: Token, manager: User) -> None:
    linh = make_person(team, username="linh")
    zalo = make_service(name="Zalo", upstream_id="97")
    rented(team, token, 1000, person=linh, service=zalo, purpose="QA")
    rented(team, make_token(team, name="Dự phòng"), 400, service=make_service(name="Grab", upstream_id="5"))
    found = spend.spending(access_for(manager), this_month())
    told = {grouping.key: [(line.label, line.spent) for line in grouping.lines] for grouping in found.groupings}
    assert told == {
        "service": [("Zalo · 02.97", 1000), ("Grab · 02.5", 400)],
        "person": [("linh", 1000), ("rented elsewhere (imported)", 400)],
        "purpose": [("QA", 1000), ("no purpose given", 400)],
        "token": [("Chính", 1000), ("Dự phòng", 400)],
    }


def test_what_does_not_fit_is_one_line(team: Team, token: Token, manager: User) -> None:
    for n in range(spend.MAX_LINES + 3):
        rented(team, token, 1000 + n, purpose=f"purpose {n}")
    purposes = spend.spending(access_for(manager), this_month()).groupings[2].lines
    assert len(purposes) == spend.MAX_LINES + 1
    assert (purposes[-1].label, purposes[-1].rentals, purposes[-1].spent) == ("all others", 3, 3003)


def test_too_many_purposes_are_not_ranked_but_all_are_counted(
    client: Client, team: Team, token: Token, manager: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager.language = "en"
    manager.save()
    client.force_login(manager)
    monkeypatch.setattr(spend, "MAX_RANKED", 3)
    today = timezone.localdate()
    address = f"/spend/?since={today}&until={today}"
    for n in range(6):  # not merged yet, as for some seconds
        rented(team, token, 100, purpose=f"Shop {n % 3}")
    for is_merged in (False, True):
        if is_merged:
            sums.fold()
        shown = client.get(address).content.decode()
        assert "Shop 1" in shown
        assert "not-ranked" not in shown
    rented(team, token, 5000, purpose="Another")
    sums.fold()
    with CaptureQueriesContext(connection) as queries:
        shown = client.get(address).content.decode()
    page = parse(shown)
    assert "too many different purposes" in page.find(data_testid="not-ranked").text
    assert "Shop 1" not in shown
    assert page.find(data_testid="spent").text == "5.600 ₫"
    assert page.find_all("section", aria_labelledby="by-person")[0].find_all("table")
    # Of purposes, so many rows and one more are looked at, and none is read.
    [asked] = [query["sql"] for query in queries if "'purpose'" in query["sql"]]
    assert asked.endswith("LIMIT 1 OFFSET 3")
    yesterday = today - timedelta(days=1)
    assert "not-ranked" not in client.get(f"/spend/?since={yesterday}&until={yesterday}").content.decode()
    response = client.post(f"/spend/export.xlsx?since={today}&until={today}")
    with zipfile.ZipFile(io.BytesIO(response.content)) as book:
        assert all(name in book.read("xl/worksheets/sheet1.xml").decode() for name in ("Another", "Shop 1"))


def test_another_teams_money_is_not_in_it(team: Team, token: Token, manager: User) -> None:
    rented(make_team(), token, 9999)
    assert spend.spending(access_for(manager), this_month()).total.rentals == 0


@pytest.mark.parametrize(
    ("query", "since", "until"),
    [
        ({"since": "2026-10-01", "until": "2026-10-31"}, date(2026, 10, 1), date(2026, 10, 31)),
        ({"since": "2026-10-31", "until": "2026-10-01"}, date(2026, 10, 31), date(2026, 10, 1)),
        ({"since": "no day", "until": "2026-10-31"}, date(2026, 10, 2), date(2026, 10, 31)),
        ({"since": "2001-01-01", "until": "2026-10-31"}, date(2025, 10, 30), date(2026, 10, 31)),
        ({"since": "0001-01-01", "until": "9999-12-31"}, date(2026, 10, 24), date(2026, 11, 22)),
    ],
)
def test_the_period_stands_in_the_address(query: dict[str, str], since: date, until: date) -> None:
    with time_machine.travel("2026-11-22T12:00:00+07:00"):
        assert Period.from_query(query) == Period(since, until)


def test_the_page_shows_the_money_and_a_chart_that_can_be_read(
    client: Client, team: Team, token: Token, manager: User
) -> None:
    rented(team, token, 1450)
    client.force_login(manager)
    page = parse(client.get("/spend/").content.decode())
    assert page.find(data_testid="spent").text == "1.450 ₫"
    assert page.find_all("svg", role="img")
    assert not any("style" in element for element in page.find_all())


def test_a_year_takes_the_same_queries_as_a_day(
    client: Client, team: Team, token: Token, manager: User, django_assert_max_num_queries: Any
) -> None:
    for days in range(40):
        rented(team, token, 1000, purpose=f"Ticket {days}", placed_at=timezone.now() - timedelta(days=9 * days))
    client.force_login(manager)
    for days in (1, 365):
        since = timezone.localdate() - timedelta(days=days - 1)
        with django_assert_max_num_queries(10):
            client.get(f"/spend/?since={since}&until={timezone.localdate()}")


def test_a_token_that_another_team_has_now_keeps_its_name(team: Team, token: Token, manager: User) -> None:
    rented(team, token, 1000)
    rented(team, make_token(team, name="Phụ"), 500)
    token.teams.remove(team)
    by_token = next(
        group for group in spend.spending(access_for(manager), this_month()).groupings if group.key == "token"
    )
    assert [(line.label, line.query.split("&")[0]) for line in by_token.lines] == [
        ("Chính", f"token={token.pk}"),
        ("Phụ", f"token={Token.objects.get(name='Phụ').pk}"),
    ]


def test_the_page_says_when_nothing_was_rented(client: Client, manager: User) -> None:
    client.force_login(manager)
    assert "Nothing was rented in these days." in client.get("/spend/").content.decode()


@pytest.mark.parametrize("of_person", [False, True])
def test_days_that_end_before_they_begin_are_named(
    client: Client, team: Team, token: Token, manager: User, of_person: bool
) -> None:
    rented(team, token, 1450, person=manager)
    client.force_login(manager)
    today = timezone.localdate()
    tomorrow = today + timedelta(days=1)
    person = f"&person={manager.pk}" if of_person else ""
    page = parse(client.get(f"/spend/?since={tomorrow}&until={today}{person}").content.decode())
    assert page.find(data_testid="backwards").text == "“From” is after “To”, so no day lies between them. Swap the two."
    assert page.find(data_testid="spent").text == "0 ₫"
    shown = page.find("input", id="since"), page.find("input", id="until")
    assert [field["value"] for field in shown] == [str(tomorrow), str(today)]
    assert shown[0]["aria-describedby"] == "backwards"
    page = parse(client.get(f"/spend/?since={today}&until={today}{person}").content.decode())
    assert not page.find_all(data_testid="backwards")
    assert page.find(data_testid="spent").text == "1.450 ₫"


@pytest.mark.parametrize(("since", "is_shortened"), [("2024-01-01", True), ("2025-12-30", False)])
def test_the_page_says_that_it_adds_up_a_year_at_most(
    client: Client, manager: User, since: str, is_shortened: bool
) -> None:
    client.force_login(manager)
    page = client.get(f"/spend/?since={since}&until=2026-12-31").content.decode()
    assert ("what was rented before 30/12/2025 is not in these sums" in page) is is_shortened


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_only_managers_see_it(client: Client, team: Team, role: Role) -> None:
    client.force_login(make_person(team, role))
    assert client.get("/spend/").status_code == 403


def test_the_page_takes_the_same_queries_for_few_rentals_and_for_many(
    client: Client, team: Team, manager: User, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for n in range(10):
        rented(team, make_token(team), 100, person=make_person(team), purpose=str(n))
    client.force_login(manager)
    with django_assert_max_num_queries(12):
        client.get("/spend/")


def test_a_code_costs_what_was_spent_by_service_network_and_prefix(
    client: Client, team: Team, token: Token, manager: User
) -> None:
    zalo = make_service(name="Zalo", sv="02", upstream_id="7")
    where: dict[str, Any] = {"service": zalo, "network": "VIETTEL", "phone": "+84961234567"}
    for _ in range(2):
        rented(team, token, 1000, **where)
    make_rental(Status.RECEIVED, team=team, token=token, price=1000, received_at=timezone.now(), **where)
    rented(team, token, 400, service=zalo, phone="+84901234567", network="")
    found = spend.spending(access_for(manager), Period(timezone.localdate(), timezone.localdate()))
    assert (found.total.codes, found.total.cost_per_code) == (1, 3400)
    assert found.by_network is not None
    assert [(line.label, line.spent, line.cost_per_code) for line in found.by_network.lines] == [
        ("Zalo · VIETTEL · 096", 3000, 3000),
        ("Zalo · 090", 400, None),
    ]
    client.force_login(manager)
    page = parse(client.get("/spend/").content.decode())
    (link,) = [a for a in page.find_all("a") if a.text == "Zalo · VIETTEL · 096"]
    history = parse(client.get(link["href"]).content.decode())
    assert len(history.find_all(data_testid="rental")) == 3


def test_the_tables_are_exported_with_their_period_and_the_export_is_recorded(client: Client) -> None:
    team = make_team("Support")
    manager = make_person(team, Role.MANAGER, language="en")
    client.force_login(manager)
    service = make_service(name="Viber", sv="02", upstream_id="97")
    rented = {"team": team, "service": service, "price": 2500, "person": manager}
    make_rental(Status.RECEIVED, **rented, placed_at=timezone.now())
    make_rental(Status.RECEIVED, **rented, placed_at=timezone.now() - timedelta(days=5))
    today = timezone.localdate()
    response = client.post(f"/spend/export.xlsx?since={today}&until={today}")
    assert f"spend-{today}-{today}.xlsx" in response["Content-Disposition"]
    with zipfile.ZipFile(io.BytesIO(response.content)) as book:
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
    assert "Viber" in sheet
    assert "2500" in sheet
    assert "5000" not in sheet  # the other day's is not in it
    record = AuditRecord.objects.get(action="export")
    assert record.detail["asked"] == f"since={today}&until={today}"


# The spend of one person


def read(manager: User, query: str) -> Any:
    client = Client()
    client.force_login(manager)
    return client.get(f"/spend/?{query}")


@pytest.mark.parametrize("counted", [True, False])
def test_the_spend_of_one_person_is_what_they_ordered(team: Team, token: Token, manager: User, counted: bool) -> None:
    linh, mai = make_person(team, username="linh"), make_person(team, username="mai")
    other_token = make_token(team, name="Phụ")
    with time_machine.travel("2026-11-20 12:00+07:00"):
        rented(team, token, 1000, person=linh)
        rented(team, other_token, 700, person=linh, back=True)
        rented(team, token, 400, person=mai, ordered_by=linh)  # handed over
        rented(team, token, 90, person=mai)
        rented(team, token, 8, person=linh, placed_at=timezone.now() - timedelta(days=40))
    if not counted:
        sums.start_over()
    period = Period(date(2026, 11, 1), date(2026, 11, 30))
    found = spend.spending_of(linh, access_for(manager), period)
    assert (found.total.rentals, found.total.charged, found.total.refunded) == (3, 2100, 700)
    assert {day.label: day.spent for day in found.days if day.rentals} == {"20/11/2026": 1400}
    [tokens] = found.groupings
    assert [(line.label, line.spent) for line in tokens.lines] == [("Chính", 1400), ("Phụ", 0)]
    assert all(line.query.startswith(f"payer={linh.pk}&") for line in tokens.lines)
    # The same as the line of the whole team's spend.
    [whole] = [g for g in spend.spending(access_for(manager), period).groupings if g.key == "person"]
    assert {line.label: line.spent for line in whole.lines}["linh"] == found.total.spent


def test_one_whose_number_begins_alike_is_another(team: Team, token: Token, manager: User) -> None:
    linh = make_person(team, username="linh")
    alike = User.objects.create_user("alike", pk=int(f"{linh.pk}0"))
    rented(team, token, 1000, person=alike)
    assert spend.spending_of(linh, access_for(manager), this_month()).total.rentals == 0


def test_the_page_of_one_person_s_spend_leads_on(team: Team, token: Token, manager: User) -> None:
    manager.language = "en"
    manager.save()
    linh = make_person(team, username="linh")
    rented(team, token, 1000, person=linh)
    rented(team, token, 50)
    page = parse(" ".join(read(manager, f"person={linh.pk}").content.decode().split()))
    assert page.find(data_testid="spent").text == "1.000 ₫"
    assert "Only what linh ordered" in page.find(data_testid="spend-person").text
    assert all(f"person={linh.pk}" in link["href"] for link in page.find("p", role="group").find_all("a"))
    assert page.find("input", type="hidden", name="person")["value"] == str(linh.pk)
    assert page.find_all(id="unexplained") == []
    [day] = {
        link["href"]
        for link in page.find_all("a")
        if link["href"].startswith("/rentals/?payer=") and "token" not in link["href"]
    }
    client = Client()
    client.force_login(manager)
    assert client.get(day).content.decode().count('data-testid="rental"') == 1


def test_another_team_s_person_has_no_spend_here(team: Team, token: Token, manager: User) -> None:
    stranger = make_person(make_team())
    assert read(manager, f"person={stranger.pk}").status_code == 404
    assert read(manager, "person=999999").status_code == 404
    assert read(manager, "person=x").status_code == 200


def test_the_export_is_of_the_same_person_and_recorded_so(team: Team, token: Token, manager: User) -> None:
    linh = make_person(team, username="linh")
    rented(team, token, 1000, person=linh)
    rented(team, token, 50)
    client = Client()
    client.force_login(manager)
    answer = client.post(f"/spend/export.xlsx?person={linh.pk}")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as book:
        cells = book.read("xl/worksheets/sheet1.xml").decode()
    assert "<v>1000</v>" in cells
    assert "<v>1050</v>" not in cells
    assert f"person={linh.pk}" in AuditRecord.objects.get(action="export").detail["asked"]
