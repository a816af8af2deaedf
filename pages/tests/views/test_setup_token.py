"""The first step of the set-up: a token is stored once ThueSim has accepted it."""

import logging
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from accounts.models import AuditRecord, Team
from lib.encryption import Secret
from pages.tests.markup import html, parse
from pages.tests.views.test_setup import add, admin, read, root
from rentals import token_adding
from rentals.models import Token
from rentals.tests.factories import make_token
from rentals.upstream import token_check
from sandbox.server import Sandbox

__all__ = ["admin", "root"]  # the fixtures
pytestmark = [pytest.mark.django_db, pytest.mark.one_database]

WRONG = "7-" + "7" * 32


def test_an_accepted_token_is_stored_with_what_thuesim_says_of_it(
    root: Client, team: Team, upstream: Sandbox, enqueued: list[tuple[str, int]],
    django_capture_on_commit_callbacks: Any,
) -> None:  # fmt: skip
    with django_capture_on_commit_callbacks(execute=True):
        page = html(add(root, upstream.token))
    token = Token.objects.get()
    assert (token.name, token.value.reveal(), list(token.teams.all())) == ("Main", upstream.token, [team])
    said = parse(page).find(data_testid="answer").text
    assert "The token is accepted. Balance: 500.000 ₫." in said
    assert "5 networks" in said
    assert "43 services." in said
    assert "One number in 5 seconds" in said
    assert upstream.token not in page
    assert parse(page).find("a", data_testid="next")["href"] == f"/setup/{token.pk}/callback/"
    assert {task.rpartition(".")[2] for task, pk in enqueued if pk == token.pk} >= {"sync_token", "place"}


def test_an_account_without_money_is_told(root: Client, upstream: Sandbox) -> None:
    said = parse(html(add(root, upstream.add_token(balance=0)))).find(data_testid="answer").text
    assert "top it up at ThueSim before renting" in said


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("", "ThueSim refuses the token. Compare it with ThueSim's page and enter it again."),
        ("maintenance", "The answer is not ThueSim's."),
        ("http-500", "ThueSim reports an error of its own."),
        ("lost-hold", "ThueSim did not answer in time."),
        ("reset-before", "The connection to ThueSim broke."),
    ],
)
def test_what_thuesim_does_not_accept_is_said_at_the_field_and_not_stored(
    root: Client, upstream: Sandbox, settings: Settings, caplog: pytest.LogCaptureFixture, fault: str, sentence: str
) -> None:
    caplog.set_level(logging.DEBUG)
    settings.THUESIM_TIMEOUT_SECONDS = 2.0 if fault == "lost-hold" else 30.0
    value = upstream.token if fault else WRONG
    if fault:
        upstream.set_fault(fault)
    answer = add(root, value)
    page = parse(html(answer))
    assert answer.status_code == 422
    assert page.find("p", role="alert").text.startswith(sentence)
    # Where the value is not at fault, ThueSim's page does not help.
    links = [link["href"] for link in page.find("p", role="alert").find_all("a")]
    assert links == ([] if fault else [f"{upstream.url}/"])
    assert page.find("input", name="new_value")["aria-invalid"] == "true"
    assert page.find("input", name="name")["value"] == "Main"
    assert not Token.objects.exists()
    assert AuditRecord.objects.filter(action="token_add_refused", target="Main").count() == 1
    assert {call.endpoint for call in upstream.calls()} <= {"balance"}  # the others are not asked
    for text in (html(answer), caplog.text, str(list(AuditRecord.objects.values()))):
        assert value not in text


@pytest.mark.parametrize(
    ("language", "sentence"),
    [
        ("en", "ThueSim cannot be reached. Check THUESIM_BASE_URL and this machine's network."),
        ("vi", "Không kết nối được ThueSim. Hãy kiểm tra THUESIM_BASE_URL và mạng của máy này."),
    ],
)
def test_thuesim_that_is_not_there_is_said(
    root: Client, settings: Settings, caplog: pytest.LogCaptureFixture, language: str, sentence: str
) -> None:
    settings.THUESIM_BASE_URL = "http://127.0.0.1:9"
    sent = {"new_value": WRONG, "name": "Main"}
    answer = root.post(reverse("setup_token"), sent, headers={"accept-language": language})
    assert parse(html(answer)).find("p", role="alert").text == sentence
    assert not Token.objects.exists()
    assert "CannotConnect: connecting failed: ConnectionRefusedError" in caplog.text  # for who runs the desk
    assert WRONG not in caplog.text


@pytest.mark.parametrize(
    ("value", "name", "sentence"),
    [
        ("", "Main", "This field is required."),
        ("two words", "Main", "The value contains a space or a line break."),
        ("5-" + "5" * 32, "Main", "This token is here already, as “Other”."),
        (WRONG, "Other", "Another token has this name already."),
        (WRONG, "", "This field is required."),
    ],
)
def test_what_cannot_be_a_new_token_is_not_asked_about(
    root: Client, upstream: Sandbox, value: str, name: str, sentence: str
) -> None:
    make_token(value="5-" + "5" * 32, name="Other")
    answer = add(root, value, name)
    assert answer.status_code == 422
    assert sentence in html(answer)
    assert not upstream.calls()
    assert Token.objects.count() == 1


@pytest.mark.database
def test_of_two_who_add_it_at_once_one_does(root: Client, upstream: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    examine = token_check.examine

    def other_first(token: Token | None, value: Secret) -> Any:
        make_token(value=value.reveal(), name="Other")
        return examine(token, value)

    monkeypatch.setattr(token_adding, "examine", other_first)
    assert "Another person added this token" in html(add(root, upstream.token))
    assert [token.name for token in Token.objects.all()] == ["Other"]


def test_a_second_token_gets_a_name_of_its_own(root: Client) -> None:
    assert read(root, "setup_token").find("input", name="name")["value"] == "Main token"
    make_token(name="Main token")
    assert read(root, "setup_token").find("input", name="name")["value"] == "Main token 2"
