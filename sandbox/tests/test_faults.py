"""Each fault does what its sentence says: on the wire, in the answer, in the rules."""

import json
import re
import time
from pathlib import Path

import pytest

from sandbox.callback_plan import FORMS
from sandbox.faults import KINDS, Faults, parse
from sandbox.server import Sandbox
from sandbox.tests.conftest import LOST, Answer, address, ask, eventually, fetch, rent, slow_until_set

RENT = {"serviceId": "02.97"}


def taken(sandbox: Sandbox) -> int:
    return len(sandbox.books()["rentals"])


def delivered(sandbox: Sandbox) -> str:
    return str(eventually(lambda: sandbox.books()["attempts"][-1]["delivered"]))


# Switching.


def test_a_fault_strikes_its_endpoint_and_token_as_often_as_its_count(sandbox: Sandbox) -> None:
    other = sandbox.add_token()
    sandbox.set_fault("error", endpoint="balance", token=other, count=1)
    assert ask(sandbox, "balance").json["success"] is True
    assert ask(sandbox, "networks", token=other).json["success"] is True
    assert ask(sandbox, "balance", token=other).json["message"] == "Có lỗi"
    assert ask(sandbox, "balance", token=other).json["success"] is True


def test_a_probability_is_kept_and_repeatable() -> None:
    def play(seed: int) -> list[bool]:
        faults = Faults(seed)
        faults.set("slow", 0.3)
        return [faults.fires("slow", "code", None) for _ in range(400)]

    assert play(1) == play(1) != play(2)
    assert 80 < sum(play(1)) < 160


def test_take_means_both_number_taking_endpoints() -> None:
    faults = Faults(1)
    faults.set("error", endpoint="take")
    assert [faults.fires("error", endpoint, None) for endpoint in ("rent", "rephone", "code")] == [True, True, False]


def test_an_unknown_fault_is_refused_with_a_similar_name() -> None:
    with pytest.raises(ValueError, match="lost-reset"):
        Faults(1).set("lost-rest")


def test_faults_are_read_from_text() -> None:
    assert parse("slow") == ("slow", 1.0, None)
    assert parse("slow=0.5:200") == ("slow", 0.5, 200.0)
    assert parse("slow:200") == ("slow", 1.0, 200.0)


def test_every_fault_is_asked_for_by_a_module_and_switched_on_by_a_test() -> None:
    # A tripwire: it reads the source for the fault's name as a text of its own.
    folder = Path(__file__).parent
    modules = "".join(path.read_text() for path in folder.parent.glob("*.py") if path.name != "faults.py")
    tests = "".join(path.read_text() for path in folder.glob("test_*.py"))
    composed = {f"callback-{form}" for form in FORMS}
    assert {name for name in KINDS if f'"{name}"' not in modules} == composed
    assert {name for name in KINDS if not re.search(rf'"{name}["=:]', tests)} == set()


# Lost before the request is acted on.


@pytest.mark.parametrize("fault", ["reset-before", "close-before", "hold-before"])
def test_a_connection_lost_before_acting_takes_no_number(sandbox: Sandbox, fault: str) -> None:
    sandbox.set_fault(fault, value=0.05)
    with pytest.raises(LOST):
        ask(sandbox, "rent", **RENT)
    assert taken(sandbox) == 0
    assert delivered(sandbox) == f"cut: {fault}"
    assert sandbox.books()["attempts"][0]["outcome"] == "not reached"


@pytest.mark.parametrize(("fault", "value", "status"), [("http-500", 503, 503), ("maintenance", None, 200)])
def test_a_page_instead_of_an_answer_takes_no_number(
    sandbox: Sandbox, fault: str, value: float | None, status: int
) -> None:
    sandbox.set_fault(fault, value=value)
    answer = ask(sandbox, "rent", **RENT)
    assert answer.status == status
    assert answer.text.startswith("<!DOCTYPE html>")
    assert taken(sandbox) == 0


def test_a_redirect_takes_no_number_and_following_it_is_counted(sandbox: Sandbox) -> None:
    sandbox.set_fault("redirect")
    answer = ask(sandbox, "rent", **RENT)
    assert (answer.status, answer.headers["location"]) == (302, "/_moved/")
    assert taken(sandbox) == 0
    fetch(f"{sandbox.url}/_moved/?token={sandbox.token}")
    assert sandbox.books()["calls"]["moved"] == 1


# Lost after the request is acted on.


@pytest.mark.parametrize("fault", ["lost-hold", "lost-reset", "lost-close", "lost-midway"])
def test_a_connection_lost_afterwards_has_taken_a_number(sandbox: Sandbox, fault: str) -> None:
    sandbox.set_fault(fault, value=0.05)
    with pytest.raises(LOST):
        ask(sandbox, "rent", **RENT)
    assert taken(sandbox) == 1
    assert delivered(sandbox) == f"cut: {fault}"
    assert sandbox.books()["balance"] == 500_000 - 1450


def test_a_held_reply_outlasts_the_client_and_has_taken_a_number(sandbox: Sandbox) -> None:
    sandbox.set_fault("lost-hold")
    with pytest.raises(TimeoutError):
        fetch(address(sandbox, "rent", **RENT), timeout=0.5)
    eventually(lambda: taken(sandbox) == 1)


def test_a_reply_after_the_client_hung_up_is_recorded_as_failed(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = slow_until_set(sandbox, monkeypatch)
    sandbox.set_fault("slow-reply")
    with pytest.raises(TimeoutError):
        fetch(address(sandbox, "rent", **RENT), timeout=0.5)
    go_on.set()
    assert delivered(sandbox) == "failed"


def test_a_reply_whose_body_is_lost_has_taken_a_number(sandbox: Sandbox) -> None:
    def lost(fault: str) -> Answer:
        sandbox.clear_faults()
        sandbox.set_fault(fault)
        return ask(sandbox, "rent", **RENT)

    assert (lost("lost-502").status, taken(sandbox)) == (502, 1)
    cut = lost("lost-cut")
    with pytest.raises(json.JSONDecodeError):
        json.loads(cut.body)
    assert int(cut.headers["content-length"]) == len(cut.body) > 50
    assert lost("lost-empty").body == b""
    no_number = lost("lost-no-number").json
    assert (no_number["ResponseCode"], no_number["RequestLog"]) == (1, None)
    assert taken(sandbox) == 4


# Slow and large.


@pytest.mark.parametrize(("fault", "is_taken"), [("slow", False), ("slow-reply", True)])
def test_slow_waits_before_and_slow_reply_after_the_number_is_taken(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, fault: str, is_taken: bool
) -> None:
    go_on = slow_until_set(sandbox, monkeypatch)
    sandbox.set_fault(fault)
    with pytest.raises(TimeoutError):
        fetch(address(sandbox, "rent", **RENT), timeout=0.5)
    eventually(lambda: taken(sandbox) if is_taken else sandbox.books()["attempts"])
    assert taken(sandbox) == is_taken
    go_on.set()
    eventually(lambda: taken(sandbox) == 1)


def test_drip_sends_byte_by_byte(sandbox: Sandbox) -> None:
    sandbox.set_fault("drip", value=1)
    started = time.perf_counter()
    answer = ask(sandbox, "balance")
    assert answer.json["success"] is True
    assert time.perf_counter() - started > 0.001 * len(answer.body)


def test_huge_pads_the_body(sandbox: Sandbox) -> None:
    sandbox.set_fault("huge", value=2)
    assert len(ask(sandbox, "balance").body) > 2_000_000


# How an answer is printed.


def test_noise_surrounds_the_same_json(sandbox: Sandbox) -> None:
    plain = ask(sandbox, "networks")

    def noisy(fault: str) -> Answer:
        sandbox.clear_faults()
        sandbox.set_fault(fault)
        return ask(sandbox, "networks")

    assert noisy("bom").body == b"\xef\xbb\xbf" + plain.body
    assert noisy("white-space").body.strip() == plain.body != noisy("white-space").body
    assert noisy("php-warning").body.startswith(b"<br />\n<b>Warning</b>")
    assert noisy("wrong-content-type").headers["content-type"].startswith("text/html")
    assert noisy("wrong-charset").headers["content-type"] == "application/json; charset=ISO-8859-1"
    assert noisy("wrong-charset").body == plain.body
    escaped = noisy("escaped-unicode")
    assert escaped.json == plain.json
    shuffled = noisy("key-case").text
    assert shuffled != plain.text
    assert shuffled.lower() == plain.text.lower()


def test_letters_are_escaped_or_lose_their_accents(sandbox: Sandbox) -> None:
    sandbox.set_fault("escaped-unicode")
    text = ask(sandbox, "rent", **RENT).text
    assert "T\\u1ea1o y\\u00eau" in text
    assert '"ID":88237016.02,' in text
    sandbox.clear_faults()
    sandbox.set_fault("no-accents")
    assert ask(sandbox, "rent", serviceId="9.9").json["Message"] == "Ung dung khong ton tai hoac dang tam ngung"


def test_ids_are_printed_in_other_forms(sandbox: Sandbox) -> None:
    def printed(fault: str) -> str:
        sandbox.clear_faults()
        sandbox.set_fault(fault)
        return ask(sandbox, "rent", serviceId="10.40").text

    assert '"ID":88237016.1,' in printed("id-drop-zero")
    assert '"ID":"88237017.10",' in printed("id-as-string")
    assert '"ID":88237018,' in printed("id-bare")
    assert f'"ID":{9_007_199_254_740_993_000 + 88_237_019}.10,' in printed("id-long")


def test_numbers_booleans_and_times_are_printed_in_other_forms(sandbox: Sandbox) -> None:
    sandbox.set_fault("numbers-as-strings")
    sandbox.set_fault("booleans-as-strings")
    sandbox.set_fault("seven-digits")
    answer = ask(sandbox, "rent", **RENT).json
    assert (answer["Balance"], answer["RequestLog"]["Price"]) == (str(500_000 - 1450), "1450")
    assert answer["RequestLog"]["IsSound"] == "false"
    assert len(answer["RequestLog"]["CreatedTime"]) == len("2021-10-16T09:27:01.1234567")


def test_phones_are_printed_in_every_documented_form(sandbox: Sandbox) -> None:
    sandbox.set_fault("phone-forms")
    sandbox.change_settings(waiting_limit=40)
    phones = [ask(sandbox, "rent", **RENT).json["RequestLog"]["Phone"] for _ in range(30)]
    forms = {(type(phone).__name__, len(str(phone))) for phone in phones}
    assert forms == {("str", 11), ("str", 9), ("int", 9)}
    nine = [rental["phone"] for rental in sandbox.books()["rentals"]]
    assert all(str(phone).endswith(digits) for phone, digits in zip(phones, nine, strict=True))


def test_answers_have_what_the_api_page_does_not_list(sandbox: Sandbox) -> None:
    rental = rent(sandbox)
    for fault in ("unknown-fields", "unknown-status", "unknown-code", "extra-networks"):
        sandbox.set_fault(fault)
    assert "trace_id" in ask(sandbox, "balance").json
    assert ask(sandbox, "history").json["data"][0]["Status"] == 7
    assert ask(sandbox, "code", ID=rental["ID"]).json["ResponseCode"] == 97
    assert ask(sandbox, "rent", serviceId="9.9").json["ResponseCode"] == 97
    assert {"id": 6, "name": "WINTEL"} in ask(sandbox, "networks").json["data"]


def test_services_can_be_empty_and_refusals_can_have_an_http_status(sandbox: Sandbox) -> None:
    sandbox.set_fault("services-empty")
    sandbox.set_fault("http-errors")
    assert ask(sandbox, "service").json["Data"] == []
    assert ask(sandbox, "balance", token="1-x").status == 401
    assert ask(sandbox, "rent", serviceId="9.9").status == 400


def test_clock_skew_moves_the_printed_time_alone(sandbox: Sandbox) -> None:
    before = rent(sandbox)["CreatedTime"]
    sandbox.set_fault("clock-skew", value=3600)
    after = rent(sandbox)["CreatedTime"]
    assert (int(after[11:13]) - int(before[11:13])) % 24 == 1
    first, second = sandbox.books()["rentals"]
    assert second["created"] - first["created"] < 5


# Refusals.


@pytest.mark.parametrize(
    ("fault", "code", "text"),
    [
        ("invalid-token", 401, "Lỗi xác thực"),
        ("error", -1, "Có lỗi"),
        ("too-soon", -1, "quá nhanh"),
        ("limit-reached", 429, "tối đa 10 số chờ"),
        ("insufficient-balance", -2, "Số dư tài khoản không đủ"),
        ("out-of-stock", -3, "Kho số đang tạm hết"),
        ("service-suspended", -4, "tạm ngưng"),
    ],
)
def test_a_fault_forces_each_refusal(sandbox: Sandbox, fault: str, code: int, text: str) -> None:
    sandbox.set_fault(fault)
    answer = ask(sandbox, "rent", **RENT).json
    assert answer["ResponseCode"] == code
    assert text in answer["Message"]
    assert taken(sandbox) == 0
    assert sandbox.books()["attempts"][0]["reason"] == fault


# Rentals, money, code and history.


def test_a_filter_can_be_ignored(sandbox: Sandbox) -> None:
    sandbox.set_fault("filter-ignored")
    for _ in range(5):
        rent(sandbox, carries="VIETTEL", yPrefix="96")
    assert all(not rental["phone"].startswith("96") for rental in sandbox.books()["rentals"])


def test_messages_can_be_missing_late_calls_doubled_or_without_code() -> None:
    def play(fault: str) -> tuple[list[dict[str, object]], Sandbox]:
        with Sandbox(gap=0, faults=[fault]) as sandbox:
            rent(sandbox, "02.99")
            sandbox.advance(40)
            before = sandbox.books()["rentals"][0]
            sandbox.advance(30)
            after = sandbox.books()["rentals"][0]
        return [before, after], sandbox

    (_, never), _ = play("message-never")
    assert (never["status"], never["messages"]) == (2, [])
    (before, late), _ = play("message-late:5")
    assert (before["status"], late["status"]) == (0, 1)
    assert late["ended"] is not None
    (call, _), _ = play("message-call")
    assert call["messages"][0]["call"] is True  # type: ignore[index]
    (second, _), _ = play("second-message:3")
    assert len(second["messages"]) == 2  # type: ignore[arg-type]
    (hidden, _), _ = play("code-null")
    assert hidden["messages"][0]["code_shown"] is False  # type: ignore[index]


@pytest.mark.parametrize(("fault", "refunds"), [("refund-never", [False, False]), ("refund-late:100", [False, True])])
def test_a_refund_can_be_missing_or_late(sandbox: Sandbox, fault: str, refunds: list[bool]) -> None:
    sandbox.rules.faults.set_all([fault])
    rental = rent(sandbox)
    sandbox.expire(rental["ID"])
    seen = []
    for _ in range(2):
        sandbox.advance(90)
        seen.append(sandbox.books()["rentals"][0]["refunded"])
    assert seen == refunds


def test_the_balance_can_lag(sandbox: Sandbox) -> None:
    sandbox.set_fault("balance-lag", value=30)
    rent(sandbox)
    assert ask(sandbox, "balance").json["data"]["balance"] == 500_000
    sandbox.advance(31)
    assert ask(sandbox, "balance").json["data"]["balance"] == 500_000 - 1450


def test_the_code_endpoint_can_be_wrong_in_three_ways(sandbox: Sandbox) -> None:
    rental = rent(sandbox)
    sandbox.set_fault("code-wrong-session", value=5)
    assert ask(sandbox, "code", ID=rental["ID"]).json["ResponseCode"] == 3
    sandbox.advance(5)
    assert ask(sandbox, "code", ID=rental["ID"]).json["ResponseCode"] == 1
    sandbox.set_fault("code-says-expired")
    assert ask(sandbox, "code", ID=rental["ID"]).json["ResponseCode"] == 2
    assert sandbox.books()["rentals"][0]["status"] == 0
    sandbox.clear_faults()
    sandbox.set_fault("code-lag", value=5)
    sandbox.deliver(rental["ID"], "1234", "1234")
    assert ask(sandbox, "code", ID=rental["ID"]).json["ResponseCode"] == 1
    sandbox.advance(5)
    assert ask(sandbox, "code", ID=rental["ID"]).json["ResponseCode"] == 0


def test_history_can_be_short_stale_disordered_or_unfiltered(sandbox: Sandbox) -> None:
    ids = [rent(sandbox)["ID"] for _ in range(8)]
    newest_first = [int(rental_id.split(".")[0]) for rental_id in reversed(ids)]

    def history(fault: str, value: float | None = None, **query: str) -> list[object]:
        sandbox.clear_faults()
        sandbox.set_fault(fault, value=value)
        return [row["ID"] for row in ask(sandbox, "history", **query).json["data"]]

    assert history("history-omits-recent", 3) == newest_first[3:]
    assert history("history-short", 5) == newest_first[:5]
    assert history("history-oldest-first") == newest_first[::-1]
    shuffled = history("history-shuffled")
    assert shuffled != newest_first
    assert sorted(shuffled, key=str) == sorted(newest_first)
    assert history("history-ignores-filters", status="2") == newest_first
    assert history("history-full-id") == list(reversed(ids))
    sandbox.change_settings(envelope="B")
    sandbox.set_fault("history-bare-id")
    assert [row["ID"] for row in ask(sandbox, "history").json["Data"]][-1] == newest_first[-1]
    sandbox.change_settings(envelope="page")
    assert history("history-lag", 10) == []
    sandbox.advance(10)
    assert history("history-lag", 10) == newest_first


def test_audio_can_be_a_web_page_or_on_another_host(sandbox: Sandbox) -> None:
    rental = rent(sandbox)
    sandbox.deliver(rental["ID"], "[Call] 1234", "1234", call=True)
    address = ask(sandbox, "code", ID=rental["ID"]).json["Result"]["CallFile"]
    sandbox.set_fault("audio-html")
    assert fetch(address).headers["content-type"].startswith("text/html")
    sandbox.set_fault("audio-foreign")
    assert not ask(sandbox, "code", ID=rental["ID"]).json["Result"]["CallFile"].startswith(sandbox.url)


# The whole house down.
