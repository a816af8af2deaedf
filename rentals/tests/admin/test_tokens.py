"""The Django admin's page of a token: added, given to teams, checked, paused, limited, and its callback address."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, DjangoCaptureOnCommitCallbacks, Settings

from accounts.models import AuditRecord, Role, User
from rentals.models import BalanceReading, CallbackAddress, Hold, Token, UpstreamMinute
from rentals.tests.admin.pages import VALUE, at, audited, token_form
from rentals.tests.factories import make_person, make_team, make_token
from sandbox.server import Sandbox

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]


# Adding a token, and its value


def test_a_token_is_added_encrypted_audited_and_read_at_once(
    as_admin: Client,
    enqueued: list[tuple[str, int]],
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    team = make_team()
    with django_capture_on_commit_callbacks(execute=True):
        answer = as_admin.post(at("token_add"), token_form(team))
    assert answer.status_code == 302
    token = Token.objects.get()
    assert (token.value.reveal(), list(token.teams.all())) == (VALUE, [team])
    assert ("rentals.sync_token", token.pk) in enqueued
    assert audited() == ["token_add"]


@pytest.mark.database
def test_a_token_is_masked_on_every_page(as_admin: Client) -> None:
    token = make_token(make_team(), value=VALUE)
    for address in (at("token_changelist"), at("token_change", token.pk), at("token_history", token.pk)):
        page = as_admin.get(address).content.decode()
        assert VALUE not in page
    assert "…ea57" in as_admin.get(at("token_changelist")).content.decode()


def test_a_value_is_not_given_back_after_a_mistake_elsewhere(as_admin: Client) -> None:
    page = as_admin.post(at("token_add"), token_form(make_team(), name="")).content.decode()
    assert "This field is required" in page
    assert VALUE not in page


def test_a_token_that_is_here_already_is_refused_by_name(as_admin: Client) -> None:
    make_token(value=VALUE, name="Old one")
    page = as_admin.post(at("token_add"), token_form(make_team())).content.decode()
    assert "This token is here already, as “Old one”." in page
    assert Token.objects.count() == 1


@pytest.mark.parametrize("value", ["two words", "line\u00a0break", ""])
def test_a_value_that_is_none_is_refused(as_admin: Client, value: str) -> None:
    as_admin.post(at("token_add"), token_form(make_team(), new_value=value))
    assert not Token.objects.exists()


# Changing a token


def test_the_form_of_a_token_has_no_field_for_its_value(as_admin: Client) -> None:
    token = make_token(make_team(), value=VALUE)
    assert "new_value" not in as_admin.get(at("token_change", token.pk)).content.decode()
    as_admin.post(at("token_change", token.pk), token_form(make_team(), name="Renamed", new_value="1-" + "0" * 32))
    token.refresh_from_db()
    assert (token.name, token.value.reveal()) == ("Renamed", VALUE)


@pytest.mark.database
def test_saving_the_form_does_not_undo_what_workers_wrote_meanwhile(
    as_admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    team = make_team()
    token = make_token(team, value=VALUE, name="Main")
    later = timezone.now() + timedelta(seconds=5)
    save = Token.save

    def worker_first(self: Token, *args: Any, **kwargs: Any) -> None:
        Token.objects.filter(pk=self.pk).update(next_turn_at=later, balance=77, hold=Hold.LIMIT, paused=True)
        save(self, *args, **kwargs)

    monkeypatch.setattr(Token, "save", worker_first)
    as_admin.post(at("token_change", token.pk), token_form(team, name="Renamed", waiting_limit="7"))
    token.refresh_from_db()
    assert (token.name, token.waiting_limit) == ("Renamed", 7)
    assert (token.next_turn_at, token.balance, token.hold, token.paused) == (later, 77, Hold.LIMIT, True)


@pytest.mark.database
def test_a_change_is_audited_with_before_and_after(as_admin: Client, admin: User) -> None:
    old, new = make_team("Old"), make_team("New")
    token = make_token(old, value=VALUE, name="Main")
    as_admin.post(at("token_change", token.pk), token_form(new, name="Renamed", new_value=""), REMOTE_ADDR="10.1.2.3")
    record = AuditRecord.objects.exclude(action="sign_in").get()
    assert (record.action, record.person, record.target, record.address) == (
        "token_change",
        admin,
        "Renamed",
        "10.1.2.3",
    )
    assert record.detail == {"id": token.pk, "name": ["Main", "Renamed"], "teams": [["Old"], ["New"]]}


def test_a_limit_is_audited_with_before_and_after(as_admin: Client) -> None:
    team = make_team()
    token = make_token(team, value=VALUE, name="Main", waiting_limit=10)
    as_admin.post(at("token_change", token.pk), token_form(team, waiting_limit="7"))
    assert AuditRecord.objects.get(action="token_change").detail == {"id": token.pk, "waiting_limit": [10, 7]}


def test_nothing_changed_is_nothing_audited(as_admin: Client) -> None:
    team = make_team()
    token = make_token(team, value=VALUE, name="Main")
    as_admin.post(at("token_change", token.pk), token_form(team, new_value=""))
    assert audited() == []


# Buttons


BUTTONS = ["check", "balance", "pause", "resume", "callback", "callback_end"]


@pytest.mark.parametrize("button", BUTTONS)
def test_a_button_is_a_post(as_admin: Client, button: str) -> None:
    assert as_admin.get(at(f"token_{button}", make_token().pk)).status_code == 405


@pytest.mark.parametrize("button", BUTTONS)
def test_a_button_is_for_admins_alone(button: str) -> None:
    token = make_token()
    client = Client()
    client.force_login(make_person(make_team(), Role.MANAGER))
    assert client.post(at(f"token_{button}", token.pk)).status_code in {302, 403}
    assert not AuditRecord.objects.exclude(action="sign_in").exists()
    assert not CallbackAddress.objects.exists()


@pytest.mark.parametrize("button", BUTTONS)
def test_a_button_wants_the_csrf_token(admin: User, button: str) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(admin)
    assert client.post(at(f"token_{button}", make_token().pk)).status_code == 403


@pytest.mark.parametrize("button", BUTTONS)
def test_a_button_for_a_token_that_is_not_there_is_not_found(as_admin: Client, button: str) -> None:
    assert as_admin.post(at(f"token_{button}", 999)).status_code == 404


def test_checking_a_token_shows_what_was_found(as_admin: Client, upstream: Sandbox) -> None:
    token = make_token(value=upstream.token)
    page = as_admin.post(at("token_check", token.pk)).content.decode()
    assert "The token is accepted." in page
    assert 'data-level="ok"' in page
    assert upstream.token not in page
    assert AuditRecord.objects.exclude(action="sign_in").get().action == "token_check"


def test_checking_a_refused_token_says_what_to_do(as_admin: Client, upstream: Sandbox) -> None:
    upstream.set_fault("invalid-token")
    page = as_admin.post(at("token_check", make_token(value=upstream.token).pk)).content.decode()
    assert 'data-level="fail"' in page
    assert "Something does not work." in page


def test_refreshing_the_balance_reads_and_shows_it(as_admin: Client, upstream: Sandbox) -> None:
    token = make_token(value=upstream.token)
    page = as_admin.post(at("token_balance", token.pk), follow=True).content.decode()
    assert "Balance: 500.000 ₫." in page
    assert BalanceReading.objects.get().balance == 500_000


def test_a_balance_that_cannot_be_read_is_a_sentence(as_admin: Client, upstream: Sandbox) -> None:
    upstream.set_fault("maintenance")
    page = as_admin.post(at("token_balance", make_token(value=upstream.token).pk), follow=True).content.decode()
    assert "The balance could not be read" in page


@pytest.mark.database
def test_pausing_and_resuming_are_audited_and_wake_the_queue(
    as_admin: Client,
    enqueued: list[tuple[str, int]],
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    token = make_token()
    for button, paused in (("pause", True), ("pause", True), ("resume", False)):
        with django_capture_on_commit_callbacks(execute=True):
            as_admin.post(at(f"token_{button}", token.pk))
        assert Token.objects.get().paused is paused
    assert audited() == ["token_pause", "token_resume"]
    assert AuditRecord.objects.get(action="token_resume").detail == {"id": token.pk, "paused": [True, False]}
    assert enqueued == [("rentals.place", token.pk)] * 2


@pytest.mark.database
def test_several_tokens_are_paused_from_the_list(as_admin: Client) -> None:
    tokens = [make_token(), make_token()]
    as_admin.post(at("token_changelist"), {"action": "pause_selected", "_selected_action": [t.pk for t in tokens]})
    assert not Token.objects.filter(paused=False).exists()
    assert audited() == ["token_pause"] * 2


# The callback address


def _shown(answer: Any) -> str:
    found = re.search(r'value="(http[^"]+)"', answer.content.decode())
    assert found
    return found[1]


def test_a_callback_address_is_shown_once_and_works(as_admin: Client) -> None:
    token = make_token()
    answer = as_admin.post(at("token_callback", token.pk))
    address = _shown(answer)
    assert "no-store" in answer["Cache-Control"]
    secret = CallbackAddress.objects.get().secret.reveal()
    assert address == f"http://testserver/callback/{secret}/"
    assert secret not in as_admin.get(at("token_change", token.pk)).content.decode()
    assert AuditRecord.objects.get(action="callback_replace").detail == {"id": token.pk}


def test_the_public_address_is_used_where_there_is_one(as_admin: Client, settings: Settings) -> None:
    settings.PUBLIC_URL = "https://desk.example.com"
    assert _shown(as_admin.post(at("token_callback", make_token().pk))).startswith("https://desk.example.com/callback/")


def test_a_replaced_address_works_for_a_day_more(as_admin: Client) -> None:
    token = make_token()
    as_admin.post(at("token_callback", token.pk))
    old = CallbackAddress.objects.get()
    as_admin.post(at("token_callback", token.pk))
    old.refresh_from_db()
    assert old.expires_at is not None
    assert timedelta(hours=23) < old.expires_at - timezone.now() <= timedelta(hours=24)
    assert CallbackAddress.objects.get(expires_at=None) != old


def test_replacing_twice_does_not_lengthen_the_life_of_the_first(as_admin: Client) -> None:
    token = make_token()
    soon = timezone.now() + timedelta(hours=1)
    old = CallbackAddress.issue(token)
    CallbackAddress.objects.filter(pk=old.pk).update(expires_at=soon)
    as_admin.post(at("token_callback", token.pk))
    old.refresh_from_db()
    assert old.expires_at == soon


@pytest.mark.database
def test_an_address_that_became_known_ends_before_its_day_is_over(as_admin: Client) -> None:
    token = make_token()
    for _ in range(2):
        as_admin.post(at("token_callback", token.pk))
    old = CallbackAddress.objects.exclude(expires_at=None).get()
    assert 'form="end-replaced"' in as_admin.get(at("token_change", token.pk)).content.decode()
    as_admin.post(at("token_callback_end", token.pk))
    body = b'{"requestId": "1"}'
    answers = [
        Client().post(f"/callback/{address.secret.reveal()}/", body, content_type="application/json").status_code
        for address in (old, CallbackAddress.objects.get(expires_at=None))
    ]
    assert answers == [404, 200]
    assert AuditRecord.objects.get(action="callback_end").detail == {"id": token.pk, "addresses": 1}
    assert 'form="end-replaced"' not in as_admin.get(at("token_change", token.pk)).content.decode()


# What stands beside the form


def test_the_balance_over_time_is_drawn_and_said_in_numbers(as_admin: Client) -> None:
    token = make_token()
    now = timezone.now()
    for minutes, balance in ((90, 50_000), (60, 50_000), (30, 48_550), (5, 47_100)):
        BalanceReading.objects.create(
            token=token, at=now - timedelta(minutes=minutes), balance=balance, expected=balance - 450
        )
    page = as_admin.get(at("token_change", token.pk)).content.decode()
    assert "between 47.100 ₫ and 50.000 ₫" in page
    assert "chart-line" in page
    assert page.count("<td>450 ₫</td>") == 3  # one line for each change


def test_calls_that_failed_lately_are_counted(as_admin: Client) -> None:
    token = make_token(last_fault="TimedOut", last_fault_at=timezone.now())
    minute = timezone.now().replace(second=0, microsecond=0)
    for n in range(3):
        UpstreamMinute.objects.create(
            token=token, endpoint="balance", minute=minute - timedelta(minutes=n), calls=10, faults=2,
            milliseconds=3000, slowest=900 + n,
        )  # fmt: skip
    page = "".join(as_admin.get(at("token_change", token.pk)).content.decode().split())
    cells = ("Readthebalance", "30", "<strong>6</strong>", "300", "902")
    assert "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>" in page
    assert "TimedOut" in page


def test_the_page_of_a_token_takes_few_queries(
    as_admin: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    token = make_token(make_team(), make_team())
    for _ in range(20):
        CallbackAddress.issue(token)
        BalanceReading.objects.create(token=token, at=timezone.now(), balance=1)
    with django_assert_max_num_queries(18):
        as_admin.get(at("token_change", token.pk))
