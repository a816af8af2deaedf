"""Checking a token says in plain words what works and which assumptions hold, and costs nothing."""

import logging

import pytest
from django.utils import timezone
from pytest_django import Settings

import thuesim
from lib.encryption import Secret
from rentals.migrations._seed_prefixes import seed
from rentals.models import (
    Callback,
    CallbackAddress,
    ContractDrift,
    Hold,
    Network,
    Prefix,
    Status,
    Token,
    UpstreamMinute,
)
from rentals.tests.factories import make_rental, make_service, make_token
from rentals.upstream import call_statistics, drift
from rentals.upstream.token_check import Finding, Level, check_token
from sandbox.server import Sandbox

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]


@pytest.fixture
def token(upstream: Sandbox) -> Token:
    drift.forget()
    seed(Network, Prefix)
    return make_token(value=upstream.token)


def said(findings: list[Finding], about: str) -> list[tuple[Level, str]]:
    return [(finding.level, finding.sentence) for finding in findings if finding.about == about]


def sentences(findings: list[Finding], level: Level) -> str:
    return "\n".join(finding.sentence for finding in findings if finding.level == level)


def test_a_good_token_is_told_what_worked(token: Token, upstream: Sandbox) -> None:
    upstream.seed_rentals(3)
    findings = check_token(token)
    assert {finding.about for finding in findings} == {"Balance", "Networks", "Services", "History", "Callback"}
    assert said(findings, "Balance")[0] == (Level.OK, "The token is accepted. Balance: 495.650 ₫.")
    assert said(findings, "Networks")[0][1].startswith("5 networks: MOBIFONE, VINAPHONE")
    assert not sentences(findings, Level.FAIL)


def test_it_takes_no_number_and_costs_nothing(token: Token, upstream: Sandbox) -> None:
    before = upstream.books()
    check_token(token)
    after = upstream.books()
    assert after["balance"] == before["balance"]
    assert {call.endpoint for call in upstream.calls()} == {"balance", "networks", "service", "history"}


def test_its_calls_are_counted_though_no_worker_makes_them(token: Token) -> None:
    call_statistics.forget()
    check_token(token)
    counted = UpstreamMinute.objects.filter(token=token).values_list("endpoint", "calls")
    assert sorted(counted) == [("balance", 1), ("history", 1), ("networks", 1), ("service", 1)]


@pytest.mark.parametrize(
    ("style", "services", "balance"), [("page", "B", "A"), ("A", "A", "A"), ("B", "B", "B"), ("C", "C", "C")]
)
def test_the_envelope_of_each_endpoint_is_told(
    token: Token, upstream: Sandbox, style: str, services: str, balance: str
) -> None:
    keys = {"A": "status_code, data", "B": "ResponseCode, Data", "C": "ResponseCode, Result"}
    upstream.change_settings(envelope=style)
    findings = check_token(token)
    assert (Level.OK, f"Reply format {services} ({keys[services]}).") in said(findings, "Services")
    assert (Level.OK, f"Reply format {balance} ({keys[balance]}).") in said(findings, "Balance")
    unprinted = [sentence for level, sentence in said(findings, "Balance") if level == Level.WARN]
    assert unprinted == ([] if balance == "A" else [f"Differs from the API page: envelope {balance}."])


def test_services_in_the_short_form_have_neither_server_nor_time(token: Token, upstream: Sandbox) -> None:
    upstream.set_fault("services-short")
    warned = sentences(check_token(token), Level.WARN)
    assert "No service names its server (SV)" in warned
    assert "No service says how long a number waits (Time)" in warned


def test_services_that_have_both_are_in_order(token: Token, upstream: Sandbox) -> None:
    upstream.change_service("301", withdrawn=True)  # the one service without server and time
    in_order = sentences(check_token(token), Level.OK)
    assert "Each service names its server (SV)." in in_order
    assert "Each service says how long a number waits (Time)." in in_order


def test_services_that_have_them_in_part_are_counted(token: Token, upstream: Sandbox) -> None:
    all_ = len(upstream.rules.services())
    assert f"Only {all_ - 1} of {all_} services name their server" in sentences(check_token(token), Level.WARN)


def test_an_empty_list_is_a_warning(token: Token, upstream: Sandbox) -> None:
    upstream.set_fault("services-empty")
    assert said(check_token(token), "Services")[0] == (
        Level.WARN,
        "The list is empty. The desk keeps its services; check again later.",
    )


def test_networks_without_prefixes_of_ours_are_named(token: Token, upstream: Sandbox) -> None:
    Prefix.objects.filter(network__name="ITELECOM").delete()
    assert "No prefixes are known for ITELECOM." in sentences(check_token(token), Level.WARN)


# History


@pytest.mark.parametrize(
    ("fault", "level", "sentence"),
    [
        ("", Level.OK, "Newest first."),
        ("history-oldest-first", Level.WARN, "Oldest first."),
        ("history-shuffled", Level.WARN, "Not in order of time."),
    ],
)
def test_the_order_of_the_history_is_told(
    token: Token, upstream: Sandbox, fault: str, level: Level, sentence: str
) -> None:
    for _ in range(12):
        upstream.seed_rentals(1)
        upstream.advance(5)
    if fault:
        upstream.set_fault(fault)
    assert [found for found, text in said(check_token(token), "History") if text.startswith(sentence)] == [level]


@pytest.mark.parametrize(
    ("fault", "form"),
    [("history-bare-id", "bare numbers"), ("history-full-id", "numbers with the server after a dot")],
)
def test_the_form_of_ids_is_told(token: Token, upstream: Sandbox, fault: str, form: str) -> None:
    upstream.seed_rentals(2)
    upstream.set_fault(fault)
    assert f"Its ids are {form}." in sentences(check_token(token), Level.OK)


def test_how_far_back_the_history_reaches_is_told(token: Token, upstream: Sandbox) -> None:
    upstream.seed_rentals(1)
    today = timezone.localdate()
    assert f"1 rental, of {today:%d/%m/%Y}." in sentences(check_token(token), Level.OK)


@pytest.mark.parametrize(("missing", "level"), [(0, Level.OK), (1, Level.WARN)])
def test_whether_the_history_holds_our_own_numbers_is_told(
    token: Token, upstream: Sandbox, missing: int, level: Level
) -> None:
    ids = upstream.seed_rentals(4)
    service = make_service()
    for id in [*ids, *(["77.02"] * missing)]:
        key = thuesim.rental_key(id)
        make_rental(Status.WAITING, token=token, service=service, upstream_id=id, upstream_key=key)
    told = (level, f"Of the {4 + missing} newest numbers rented here, it holds 4.")
    assert told in said(check_token(token), "History")


# Callback


@pytest.mark.database
def test_a_missing_an_unused_and_a_used_callback_address_are_told_apart(token: Token) -> None:
    def level() -> Level:
        return said(check_token(token), "Callback")[0][0]

    assert said(check_token(token), "Callback")[0][1].startswith("This token has no callback address,")
    address = CallbackAddress.issue(token)
    assert said(check_token(token), "Callback")[0][1].startswith("There is an address, but ThueSim has never used it.")
    Callback.objects.create(token=token, at=timezone.now(), body=b"{}", state=Callback.State.UNKNOWN)
    assert said(check_token(token), "Callback")[0][1].startswith("Calls came, but none names a rental of this desk.")
    Callback.objects.create(token=token, at=timezone.now(), body=b"{}", state=Callback.State.APPLIED)
    assert level() == Level.OK
    CallbackAddress.objects.filter(pk=address.pk).update(expires_at=timezone.now())
    assert level() == Level.WARN


# Errors


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("maintenance", "The answer is not ThueSim's."),
        ("http-500", "ThueSim reports an error of its own."),
        ("lost-reset", "The connection to ThueSim broke."),
        ("lost-cut", "The answer is not ThueSim's."),
        ("redirect", "ThueSim redirects to another address."),
        ("error", "ThueSim reports an error."),
    ],
)
def test_each_error_is_a_plain_sentence_and_the_other_questions_are_still_asked(
    token: Token, upstream: Sandbox, fault: str, sentence: str
) -> None:
    upstream.set_fault(fault, endpoint="networks")
    findings = check_token(token)
    ((level, told),) = [line for line in said(findings, "Networks") if line[0] == Level.FAIL]
    assert level == Level.FAIL
    assert told.startswith(sentence)
    assert said(findings, "History")[0][0] != Level.FAIL


def test_a_refused_token_ends_the_check(token: Token, upstream: Sandbox) -> None:
    upstream.set_fault("invalid-token")
    (finding,) = check_token(token)
    assert (finding.about, finding.level) == ("Balance", Level.FAIL)
    assert finding.sentence.startswith("ThueSim refuses the token.")


def test_an_upstream_that_cannot_be_reached_ends_the_check(token: Token, settings: Settings) -> None:
    settings.THUESIM_BASE_URL = "http://127.0.0.1:9"
    (finding,) = check_token(token)
    assert finding.sentence.startswith("ThueSim cannot be reached.")


def test_a_token_whose_key_is_lost_is_told_so_without_asking(token: Token, upstream: Sandbox) -> None:
    token.value = Secret("")
    (finding,) = check_token(token)
    assert "DESK_SECRET_KEYS" in finding.sentence
    assert not upstream.calls()


@pytest.mark.database
def test_a_token_that_works_again_takes_orders_again(token: Token) -> None:
    token.hold, token.hold_until = Hold.INVALID, timezone.now()
    token.save()
    check_token(token)
    assert Token.objects.get().hold == Hold.NONE


def test_differences_from_the_page_are_told_under_their_heading(token: Token, upstream: Sandbox) -> None:
    upstream.set_fault("unknown-fields", endpoint="balance")
    findings = check_token(token)
    assert any("unknown field" in sentence for _, sentence in said(findings, "Balance"))
    assert not any("unknown field" in sentence for _, sentence in said(findings, "Networks"))


@pytest.mark.django_db(transaction=True)
def test_what_the_check_notices_is_kept_as_drift(upstream: Sandbox) -> None:
    drift.forget()
    upstream.set_fault("unknown-fields", endpoint="balance")
    check_token(make_token(value=upstream.token))
    assert ContractDrift.objects.filter(endpoint="balance", form__startswith="unknown field").exists()


@pytest.mark.parametrize("fault", ["", "invalid-token", "maintenance", "lost-reset", "lost-cut", "unknown-fields"])
def test_neither_findings_nor_logs_hold_the_token(
    token: Token, upstream: Sandbox, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    caplog.set_level(logging.DEBUG)
    if fault:
        upstream.set_fault(fault)
    findings = check_token(token)
    assert upstream.token not in repr(findings)
    assert upstream.token not in caplog.text
