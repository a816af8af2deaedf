"""A person's time zone: on pages, in filters, exports and e-mails; the days of money stay Vietnam's."""

import csv
import io
from datetime import UTC, datetime
from typing import Any

import pytest
from django.core import mail as django_mail
from django.db import transaction
from django.test import Client
from django.utils import timezone

from accounts import mail, notices
from accounts.audit import Action
from accounts.models import Role, Team, User
from lib.files import shared_files
from pages.presenters.spend import Period
from pages.tests.markup import html, parse
from rentals import budgets
from rentals.jobs import background
from rentals.models import BackgroundJob, Rental, Service, Status, Token
from rentals.tests.factories import make_person, make_rental

pytestmark = pytest.mark.django_db

AT = datetime(2026, 3, 10, 20, 30, tzinfo=UTC)  # 11 March 03:30 in Vietnam, 10 March 21:30 in Berlin


@pytest.fixture
def reader(team: Team) -> User:
    return make_person(
        team, Role.MANAGER, username="greta", time_zone="Europe/Berlin", language="en", email="g@example.com"
    )


@pytest.fixture
def client(reader: User) -> Client:
    client = Client()
    client.force_login(reader)
    return client


@pytest.fixture
def rental(team: Team, token: Token, service: Service, reader: User) -> Rental:
    return make_rental(
        Status.EXPIRED,
        **{"team": team, "token": token, "service": service, "person": reader},
        **{"queued_at": AT, "placed_at": AT, "ended_at": AT},
    )


def test_a_page_writes_times_in_the_reader_s_zone_and_says_so(
    client: Client, rental: Rental, as_manager: Client
) -> None:
    address = f"/rentals/{rental.pk}/"
    page = parse(html(client.get(address)))
    assert "10/03/2026 21:30:00" in {time["title"] for time in page.find_all("time") if "title" in time}
    assert "Times are those of Europe/Berlin (now UTC+" in page.find("footer").text
    assert page.find("body")["data-time-zone"] == "Europe/Berlin"
    # and nobody else's
    assert "11/03/2026 03:30:00" in html(as_manager.get(address))
    assert not timezone.get_current_timezone_name().startswith("Europe")


@pytest.mark.parametrize(
    ("query", "found"), [("since=2026-03-11", 0), ("until=2026-03-10", 1), ("since=2026-03-11&days=vn", 1)]
)
def test_the_days_of_the_history_are_the_reader_s_but_those_of_a_sum_are_vietnam_s(
    client: Client, rental: Rental, query: str, found: int
) -> None:
    page = parse(html(client.get(f"/rentals/?{query}")))
    assert len(page.find_all("tr", data_testid="rental")) == found


def test_the_spend_leads_to_the_numbers_that_it_has_counted(client: Client, rental: Rental, as_manager: Client) -> None:
    address = "/spend/?since=2026-03-11&until=2026-03-11"
    links = [link["href"] for link in parse(html(client.get(address))).find_all("a") if "days=vn" in link["href"]]
    assert links
    for link in links:
        assert len(parse(html(client.get(link))).find_all("tr", data_testid="rental")) == 1, link
    assert "days=vn" not in html(as_manager.get(address))
    days = parse(html(client.get(links[0])))
    assert days.find("form", action="/rentals/").find("input", name="days")["value"] == "vn"
    assert "days of Vietnam" in days.find("p", **{"class": "chosen"}).text


def test_budgets_and_periods_count_the_day_of_vietnam(
    team: Team, reader: User, token: Token, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timezone, "now", lambda: AT)
    make_rental(Status.WAITING, team=team, token=token, service=service, person=reader, price=3000, placed_at=AT)
    with timezone.override("America/Los_Angeles"):
        assert budgets.spent_by_person(budgets.spent_now(team))[reader.pk] == (3000, 3000, 1)
        assert str(Period.from_query({}).until) == "2026-03-11"


def _row(body: bytes) -> dict[str, str]:
    [row] = csv.DictReader(io.StringIO(body.decode("utf-8-sig")))
    return row


def test_an_export_is_in_the_reader_s_zone_and_names_it(client: Client, rental: Rental) -> None:
    row = _row(client.post("/rentals/export.csv?since=2026-03-10&until=2026-03-10").content)
    assert row["Ordered at (Europe/Berlin)"] == "2026-03-10 21:30:00"


def test_an_export_in_the_background_is_in_the_zone_of_who_asked(
    rental: Rental, reader: User, team: Team, settings: Any, tmp_path: Any
) -> None:
    settings.DATA_DIR = tmp_path
    wanted = "since=2026-03-10&until=2026-03-10"
    job = background.begin(BackgroundJob.Kind.EXPORT_CSV, person=reader, team=team, wanted=wanted)
    BackgroundJob.objects.filter(pk=job.pk).update(language="en")
    background.work(job.pk)
    job.refresh_from_db()
    assert job.state == BackgroundJob.State.DONE
    with shared_files.exports().open(job.file) as file:
        row = _row(file.read())
    assert row["Ordered at (Europe/Berlin)"] == "2026-03-10 21:30:00"


def test_the_audit_s_export_keeps_the_reader_s_zone_while_it_is_sent(client: Client) -> None:
    body = b"".join(client.post("/team/audit/export.csv"))
    assert f"{timezone.localtime(timezone=None):%Y}" in body.decode()
    [row] = [row for row in csv.DictReader(io.StringIO(body.decode("utf-8-sig"))) if row["action"] == "audit_export"]
    assert row["at"][-6:] in {"+01:00", "+02:00"}


def test_an_e_mail_names_its_time_in_the_zone_of_who_gets_it(
    reader: User, settings: Any, django_capture_on_commit_callbacks: Any
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    with django_capture_on_commit_callbacks(execute=True), transaction.atomic():
        notices.tell(reader, Action.PASSWORD_CHANGED)
    mail.sender.submit(lambda: None).result(60)
    assert "(Europe/Berlin)" in str(django_mail.outbox[-1].body)
