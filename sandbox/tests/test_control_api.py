"""The control API, as another process uses it."""

import json
from typing import Any

import pytest

from sandbox.server import Sandbox
from sandbox.tests.conftest import ask, control, fetch, rent


def read(sandbox: Sandbox, name: str = "") -> Any:
    return fetch(f"{sandbox.url}/_sandbox/{name}").json


def test_the_overview_and_the_books_are_read(sandbox: Sandbox) -> None:
    rent(sandbox)
    overview = read(sandbox)
    assert overview["tokens"] == [{"token": sandbox.token, "balance": 498550, "waiting": 1}]
    assert overview["settings"]["waiting_limit"] == 10
    assert read(sandbox, f"books?token={sandbox.token}")["balance"] == 498550


def test_calls_are_listed_with_their_times(sandbox: Sandbox) -> None:
    rental = rent(sandbox)
    ask(sandbox, "code", ID=rental["ID"])
    calls = read(sandbox, f"calls?token={sandbox.token}")["calls"]
    assert [(call["endpoint"], call["about"]) for call in calls] == [("rent", ""), ("code", rental["ID"])]
    assert read(sandbox, f"calls?since={float(calls[1]['at']) + 1000}")["calls"] == []


def test_faults_are_switched_on_and_off(sandbox: Sandbox) -> None:
    control(sandbox, "faults", name="error", endpoint="balance", count=5)
    assert ask(sandbox, "balance").json["message"] == "Có lỗi"
    state = read(sandbox, "faults")
    assert state["fired"] == {"error": 1}
    assert state["active"][0]["count"] == 4
    assert "lost-hold" in state["known"]
    control(sandbox, "faults/clear")
    assert ask(sandbox, "balance").json["success"] is True


def test_a_message_and_an_expiry_happen_on_demand(sandbox: Sandbox) -> None:
    first, second = rent(sandbox), rent(sandbox)
    delivered = control(sandbox, "deliver", to=first["Phone"], text="1234", code="1234")
    assert delivered["rental"] == first["ID"]
    control(sandbox, "expire", id=second["ID"])
    assert [rental["status"] for rental in sandbox.books()["rentals"]] == [1, 2]


def test_tokens_money_stock_services_and_settings_are_changed(sandbox: Sandbox) -> None:
    token = control(sandbox, "tokens", balance=10, callback_url="http://127.0.0.1:9/", waiting_limit=1)["token"]
    control(sandbox, "balance", token=token, balance=2000)
    control(sandbox, "balance", token=token, top_up=1000)
    assert sandbox.books(token)["totals"] == {"opening": 10, "correction": 1990, "top-up": 1000}
    control(sandbox, "stock", network="VIETTEL", count=0)
    stock = read(sandbox)["stock"]
    assert {stock["096"], stock["039"]} == {0}
    assert stock["090"] > 0
    control(sandbox, "service", key="02.97", price=900)
    control(sandbox, "callback", token=token, url=None)
    control(sandbox, "settings", refund_after=1, envelope="A", message_after=[1, 2])
    assert ask(sandbox, "rent", token=token, serviceId="02.97").json["data"]["balance"] == 2100
    assert ask(sandbox, "rent", token=token, serviceId="02.97").json["status_code"] == 429
    assert sandbox.books(token)["callback_url"] is None
    assert [rental["network"] for rental in sandbox.books(token)["rentals"]] not in ([], ["VIETTEL"])


def test_the_clock_skips_ahead_and_its_printed_time_is_skewed(sandbox: Sandbox) -> None:
    rent(sandbox)
    control(sandbox, "clock", advance=301)
    assert sandbox.books()["rentals"][0]["status"] == 2
    before = ask(sandbox, "history").json["data"][0]["CreatedTime"]
    control(sandbox, "clock", skew=3600)
    assert ask(sandbox, "history").json["data"][0]["CreatedTime"] > before


def test_rentals_are_seeded_and_a_reset_forgets_them(sandbox: Sandbox) -> None:
    ids = json.loads(fetch(f"{sandbox.url}/_sandbox/rentals", "POST", b'{"count": 20, "age": 10}').text)
    assert len(ids) == 20
    control(sandbox, "reset")
    assert sandbox.books()["rentals"] == []
    assert ask(sandbox, "balance").json["data"]["balance"] == 500_000


@pytest.mark.parametrize(
    ("name", "body", "status"),
    [
        ("nonsense", "{}", 404),
        ("faults", '{"name": "nonsense"}', 400),
        ("faults", '{"name": "error", "endpoint": "nonsense"}', 400),
        ("deliver", '{"to": "1", "text": ""}', 404),
        ("expire", "{}", 404),
        ("settings", '{"seed": 3}', 400),
        ("stock", '{"count": 1, "prefix": "011"}', 404),
        ("balance", "not json", 400),
    ],
)
def test_a_mistake_is_answered_with_an_error(sandbox: Sandbox, name: str, body: str, status: int) -> None:
    answer = fetch(f"{sandbox.url}/_sandbox/{name}", "POST", body.encode())
    assert answer.status == status
    assert answer.json["error"]


def test_the_page_of_another_site_is_refused(sandbox: Sandbox) -> None:
    answer = fetch(f"{sandbox.url}/_sandbox/reset", "POST", b"{}", origin="http://evil.example")
    assert answer.status == 403
