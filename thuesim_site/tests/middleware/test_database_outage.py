"""While the database is away, pages say so at once, and the first one after it is back is a page again."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import pytest
from django.db import OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory

from accounts.models import Team
from pages.tests.markup import parse
from rentals.models import Rental
from rentals.tests.factories import make_person, make_service, make_team, make_token
from thuesim_site.middleware.database_outage import DatabaseOutageMiddleware


@contextmanager
def no_database() -> Iterator[mock.Mock]:
    """Every attempt to reach the database fails meanwhile, and the open connection is dead; counts the attempts."""
    refused = OperationalError("connection refused")
    with (
        mock.patch.object(BaseDatabaseWrapper, "ensure_connection", side_effect=refused) as attempts,
        mock.patch.object(connections["default"], "is_usable", return_value=False),
    ):
        yield attempts


@pytest.fixture
def browser(db: None) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(make_person(make_team(), language="en"))
    return client


@pytest.mark.parametrize("path", ["/", "/rentals/", "/team/", "/admin/"])
def test_a_page_says_that_the_database_is_away_and_when_to_come_again(browser: Client, path: str) -> None:
    with no_database():
        response = browser.get(path, headers={"Accept-Language": "en"})
    assert (response.status_code, response["Retry-After"]) == (503, "5")
    assert "The database does not answer" in response.content.decode()
    assert "no-store" in response["Cache-Control"]


def test_an_order_that_found_no_database_is_sent_again_and_taken_once(browser: Client) -> None:
    team = Team.objects.get()
    make_token(team)
    make_service(sv="02", upstream_id="97", price=2500)
    sent = parse(browser.get("/").content.decode()).find("form", id="rent").values()
    sent |= {
        "service": ["02.97"],
        "purpose": ["Tân's “test”"],
        "prefixes": ["96 097"],
        "csrfmiddlewaretoken": ["x"],
    }
    with no_database():
        answer = browser.post("/rent/", sent, headers={"Accept-Language": "en"})
    page = parse(answer.content.decode())
    assert (answer.status_code, page.find_all("meta", http_equiv="refresh")) == (503, [])
    form = page.find("form")
    assert (form["action"], form["method"]) == ("/rent/", "post")
    assert {name: form.values()[name] for name in sent} == sent
    with mock.patch("time.monotonic", return_value=time.monotonic() + 2):
        for _ in range(2):
            answer = browser.post(form["action"], form.values())
            assert answer.status_code == 302, parse(answer.content.decode()).find("main").text
    assert Rental.objects.get().purpose == "Tân's “test”"


@pytest.mark.parametrize(
    "sent", [{"login": "linh", "password": "secret-enough"}, {"code": "123456"}, {"password1": "secret-enough"}]
)
def test_no_secret_is_written_into_the_page_of_an_outage(browser: Client, sent: dict[str, str]) -> None:
    referer = "http://testserver/accounts/login/?next=/team/"
    with no_database():
        answer = browser.post("/accounts/login/", {**sent, "csrfmiddlewaretoken": "x"}, headers={"referer": referer})
    body = answer.content.decode()
    assert "secret-enough" not in body
    assert "123456" not in body
    assert parse(body).find("a", href="/accounts/login/?next=/team/")


@pytest.mark.parametrize("kind", ["multipart/form-data", "multipart/form-data; boundary=x", "application/json"])
def test_a_body_that_is_no_form_of_ours_is_not_sent_again(browser: Client, kind: str) -> None:
    with no_database():
        answer = browser.post("/rent/", b"{" * 1000, content_type=kind)
    assert (answer.status_code, b"<form" in answer.content) == (503, False)


def test_it_says_so_in_the_browsers_language(browser: Client) -> None:
    with no_database():
        response = browser.get("/", headers={"Accept-Language": "vi"})
    assert '<html lang="vi">' in response.content.decode()


def test_metrics_say_so_in_one_plain_line_before_and_after_a_page_has_found_it_out(browser: Client) -> None:
    with no_database():
        answers = [browser.get("/metrics", REMOTE_ADDR="127.0.0.1")]
        assert browser.get("/").status_code == 503
        answers.append(browser.get("/metrics", REMOTE_ADDR="127.0.0.1"))
    told = [
        (
            answer.status_code,
            answer.content,
            answer["Content-Type"],
            answer["Retry-After"],
            "no-store" in answer["Cache-Control"],
        )
        for answer in answers
    ]
    assert told == [(503, b"the database is down\n", "text/plain", "5", True)] * 2


def test_only_one_page_a_second_waits_for_the_database(browser: Client) -> None:
    with no_database() as attempts:
        browser.get("/")
        first = attempts.call_count
        assert [browser.get("/").status_code for _ in range(5)] == [503] * 5
    assert first > 0
    assert attempts.call_count == first


def test_after_a_second_a_page_looks_again(browser: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    with no_database():
        browser.get("/")
    assert browser.get("/").status_code == 503
    later = time.monotonic() + 1.1
    monkeypatch.setattr("time.monotonic", lambda: later)
    assert browser.get("/").status_code == 200


@pytest.mark.parametrize("path", ["/healthz", "/static/css/base.css"])
def test_what_needs_no_database_is_answered_meanwhile(path: str) -> None:
    answers = [HttpResponse(status=503), HttpResponse("ok")]
    answers[0].database_is_away = True  # type: ignore[attr-defined]

    def get_response(request: HttpRequest) -> HttpResponse:
        return answers.pop(0)

    middleware = DatabaseOutageMiddleware(get_response)
    assert middleware(RequestFactory().get("/")).status_code == 503
    assert middleware(RequestFactory().get(path)).content == b"ok"


def test_a_statement_that_fails_is_no_outage(browser: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    deadlock = OperationalError("deadlock detected")
    monkeypatch.setattr("pages.views.services.render", mock.Mock(side_effect=deadlock))
    assert browser.get("/services/").status_code == 500
    assert browser.get("/").status_code == 200


def test_any_other_error_stays_an_error_of_ours(browser: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pages.views.services.render", mock.Mock(side_effect=ZeroDivisionError))
    response = browser.get("/services/")
    assert response.status_code == 500
    assert "Retry-After" not in response


def test_a_locked_sqlite_is_an_outage_for_the_page_that_writes_alone(browser: Client) -> None:
    locked = OperationalError("database is locked")
    locked.__cause__ = sqlite3.OperationalError("database is locked")
    locked.__cause__.sqlite_errorcode = sqlite3.SQLITE_BUSY_SNAPSHOT
    with mock.patch("pages.views.desk.RentForm.order", side_effect=locked):
        response = browser.post("/rent/", {"service": "02.97"}, headers={"Accept-Language": "en"})
    assert (response.status_code, response["Retry-After"]) == (503, "5")
    assert "The database does not answer" in response.content.decode()
    assert browser.get("/").status_code == 200
