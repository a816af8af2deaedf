"""Whatever goes wrong under /api/ is a problem document: never a page, never a redirect; and no cookie counts."""

from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client
from pytest_django import Settings

from api.calls import catalog
from api.rate_limits import PER_MINUTE, counter
from api.tests.conftest import Program

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]


def _is_problem(answer: Any, status: int, code: str) -> None:
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == code
    assert "<" not in answer.content.decode()


def test_every_error_is_a_problem_document(program: Program) -> None:
    _is_problem(Client().get("/api/v1/me"), 401, "unauthorized")
    _is_problem(Client().get("/api/v1/openapi.json"), 401, "unauthorized")
    _is_problem(Client(headers={"Authorization": "Bearer desk_wrong"}).get("/api/v1/me"), 401, "unauthorized")
    _is_problem(program.get("nowhere"), 404, "not_found")
    _is_problem(program.get("me/"), 404, "not_found")
    _is_problem(program.get("rentals/999999999999999999999999999999"), 404, "not_found")
    _is_problem(program.post("me"), 405, "method_not_allowed")
    _is_problem(program.get("me", HOST="evil.example"), 400, "invalid")
    _is_problem(program.get("rentals", {"q": "\0"}), 400, "invalid")
    headers = {"Authorization": f"Bearer {program.secret}"}
    for body in (b"{", b"\xff", b'{"service": NaN}', b"[" * 100_000, b"[]"):
        answer = Client().post("/api/v1/rentals", body, content_type="application/json", headers=headers)
        _is_problem(answer, 422 if body in {b"[]", b'{"service": NaN}'} else 400, "invalid")
        assert answer.json()["errors"][0]["field"] in {"body", "service"}


def test_a_body_that_is_no_json_is_refused_with_what_to_send(program: Program) -> None:
    headers = {"Authorization": f"Bearer {program.secret}", "Accept-Language": "en"}
    for kind in ("application/x-www-form-urlencoded", "text/plain", "application/xml"):
        answer = Client().post("/api/v1/rentals", b'{"service": "02.97"}', content_type=kind, headers=headers)
        _is_problem(answer, 415, "unsupported_media_type")
        assert "Content-Type: application/json" in answer.json()["detail"]
    answer = Client().post("/api/v1/rentals", b'{"service":', content_type="application/json", headers=headers)
    assert answer.json()["errors"] == [{"field": "body", "detail": "This is no JSON: line 1, column 12."}]


def test_a_field_that_is_there_twice_is_refused(program: Program) -> None:
    headers = {"Authorization": f"Bearer {program.secret}", "Accept-Language": "en"}
    body = b'{"service": "02.97", "service": "nope"}'
    answer = Client().post("/api/v1/rentals", body, content_type="application/json", headers=headers)
    _is_problem(answer, 422, "invalid")
    assert answer.json()["errors"] == [{"field": "service", "detail": "This field is there twice."}]


@pytest.mark.parametrize("price", [True, "1", 1.5])
def test_a_price_is_a_whole_number_and_nothing_that_may_be_read_as_one(program: Program, price: object) -> None:
    answer = program.post("rentals", {"service": "02.97", "max_price": price})
    _is_problem(answer, 422, "invalid")
    assert answer.json()["errors"][0] == {"field": "max_price", "detail": "This is no whole number."}


def test_a_wrong_item_of_a_list_names_its_parameter(program: Program) -> None:
    answer = program.get("rentals", {"status": ["waiting", "nope"]})
    _is_problem(answer, 422, "invalid")
    [error] = answer.json()["errors"]
    assert error["field"] == "status"
    assert error["detail"].startswith("This must be one of: queued, placing, ")


def test_answers_are_utf_8_and_not_escaped(program: Program) -> None:
    program.post("rentals", {"service": "02.97", "purpose": "đăng ký"})
    assert "đăng ký".encode() in program.get("rentals").content


@pytest.mark.parametrize(
    ("error", "status", "code"), [(OperationalError, 503, "unavailable"), (KeyError, 500, "internal")]
)
def test_a_failing_desk_says_so_as_a_problem(
    program: Program, monkeypatch: pytest.MonkeyPatch, error: type[Exception], status: int, code: str
) -> None:
    def fail(*_args: object) -> None:
        raise error("secret detail")

    monkeypatch.setattr(catalog, "token_lines", fail)
    monkeypatch.setattr("thuesim_site.middleware.database_outage._is_away", lambda: True)
    client = Client(raise_request_exception=False, headers={"Authorization": f"Bearer {program.secret}"})
    answer = client.get("/api/v1/tokens")
    _is_problem(answer, status, code)
    assert "secret detail" not in answer.content.decode()


def test_a_session_is_no_key(program: Program) -> None:
    client = Client()
    client.force_login(program.key.person)
    _is_problem(client.get("/api/v1/me"), 401, "unauthorized")
    assert client.get("/api/v1/openapi.json").status_code == 200
    page = client.get("/api/v1/docs")
    assert page.status_code == 200
    assert "GET rentals/{rental_id}/wait" in page.content.decode().replace("<wbr>", "")


def test_a_post_needs_no_csrf_token(program: Program) -> None:
    client = Client(enforce_csrf_checks=True, headers={"Authorization": f"Bearer {program.secret}"})
    answer = client.post("/api/v1/rentals", '{"service": "02.97"}', content_type="application/json")
    assert answer.status_code == 201
    assert "Set-Cookie" not in answer.headers


def test_too_many_requests_are_told_when_to_come_back(program: Program) -> None:
    assert program.get("me").headers["RateLimit-Remaining"] == str(PER_MINUTE - 1)
    for _ in range(PER_MINUTE):
        counter.count(program.key.pk, PER_MINUTE)
    answer = program.get("me")
    _is_problem(answer, 429, "rate_limited")
    assert 1 <= int(answer.headers["Retry-After"]) <= 61
    assert answer.headers["RateLimit-Remaining"] == "0"


def test_a_key_is_not_redirected_to_https_but_refused(program: Program, settings: Settings) -> None:
    settings.SECURE_SSL_REDIRECT = True
    _is_problem(program.get("me"), 403, "https_required")
