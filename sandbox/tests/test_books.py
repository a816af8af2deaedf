"""The state file: a kill loses nothing."""

import signal
from pathlib import Path

from sandbox.catalog import demo_token
from sandbox.rules import Rules
from sandbox.server import Sandbox
from sandbox.settings import Settings
from sandbox.tests.conftest import Process, ask, fetch, rent


def test_a_kill_right_after_the_reply_loses_nothing(state: Path) -> None:
    process = Process(state, "--message-after", "never")
    try:
        reply = fetch(f"{process.url}/api/register-service/?serviceId=10.40&token={demo_token(1)}").text
    finally:
        process.end(signal.SIGKILL)
    assert '"ID":88237016.10' in reply
    with Sandbox(state=state, gap=0) as sandbox:
        books = sandbox.books(demo_token(1))
        assert books["balance"] == 500_000 - 850
        assert [rental["id"] for rental in books["rentals"]] == ["88237016.10"]
        assert books["attempts"][0]["outcome"] == "charged"
        assert books["calls"]["rent"] == 1
        assert ask(sandbox, "code", ID="88237016.10").json["ResponseCode"] == 1


def test_a_number_is_on_file_before_the_rules_return_it(state: Path) -> None:
    # Without `run`, whose thread would also write what is pending.
    rules = Rules(Settings(gap=0), state)
    token = rules.add_token()
    attempt = rules.open_attempt("rent", token, {"serviceId": "10.40"}, 0.0)
    rental, balance = rules.take(attempt)
    reader = Rules(Settings(), state)
    report = reader.report(token)
    assert [row["id"] for row in report["rentals"]] == [rental.id]
    assert report["balance"] == balance
    reader.stop()
    rules.stop()


def test_a_restart_goes_on_where_the_last_run_stopped(state: Path) -> None:
    with Sandbox(state=state, gap=0, refund_after=30) as sandbox:
        received, expiring, expired = rent(sandbox), rent(sandbox, "02.98"), rent(sandbox, "02.98")
        sandbox.expire(expired["ID"])
        sandbox.set_stock(3, prefix="096")
        sandbox.change_service("02.97", price=1500)
        sandbox.set_callback_url("http://127.0.0.1:9/x")
        other = sandbox.add_token(balance=77)
        before = sandbox.books()
    with Sandbox(state=state, gap=0, refund_after=30) as sandbox:
        assert sandbox.token == demo_token(1)
        after = sandbox.books()
        assert {key: after[key] for key in ("balance", "ledger", "rentals", "callback_url", "calls")} == {
            key: before[key] for key in ("balance", "ledger", "rentals", "callback_url", "calls")
        }
        assert sandbox.books(other)["balance"] == 77
        assert sandbox.rules.books.stock["096"] == 3
        sandbox.advance(70)
        assert ask(sandbox, "code", ID=received["ID"]).json["ResponseCode"] == 0
        assert ask(sandbox, "code", ID=expiring["ID"]).json["ResponseCode"] == 2
        assert sandbox.books()["rentals"][2]["refunded"] is True
        sandbox.advance(60)
        new = rent(sandbox)
        assert new["Price"] == 1500
        assert new["ID"] not in (received["ID"], expiring["ID"], expired["ID"])


def test_reset_forgets_all_but_the_first_token(state: Path) -> None:
    with Sandbox(state=state, gap=0) as sandbox:
        rent(sandbox)
        other = sandbox.add_token()
        sandbox.reset()
        assert sandbox.books()["rentals"] == []
        assert sandbox.books()["balance"] == 500_000
    with Sandbox(state=state, gap=0) as sandbox:
        assert sandbox.books()["rentals"] == []
        assert other not in sandbox.rules.books.accounts
