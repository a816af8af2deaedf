"""The Django admin of the desk: useful, fast, and no way round the product's rules."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, DjangoCaptureOnCommitCallbacks, Settings

from accounts.models import AuditRecord, Role, Team, User
from rentals import likely_network, models, nudge
from rentals.models import (
    BalanceReading,
    Callback,
    CallbackAddress,
    ContractDrift,
    Hold,
    JobRun,
    LedgerEntry,
    Message,
    Network,
    Prefix,
    Rental,
    RentalEvent,
    Service,
    ServicePrice,
    Status,
    Token,
)
from rentals.tests.factories import make_person, make_rental, make_service, make_team, make_token
from sandbox.server import Sandbox

pytestmark = pytest.mark.django_db

VALUE = "4321-0123456789abcdef0123456789abea57"
READ_ONLY = [Rental, Message, LedgerEntry, BalanceReading, Callback, ContractDrift, JobRun, Service]


@pytest.fixture
def someone() -> User:
    return make_person(username="boss", is_staff=True)


@pytest.fixture
def boss(someone: User) -> Client:
    """Signed in as an admin who is no superuser."""
    client = Client()
    client.force_login(someone)
    return client


@pytest.fixture
def nudges(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """What workers were woken for."""
    sent: list[tuple[str, int]] = []
    monkeypatch.setattr(nudge, "_put", lambda one: sent.append((one.task, one.pk)))
    return sent


def at(name: str, *args: object) -> str:
    return reverse(f"admin:rentals_{name}", args=args)


def audited() -> list[str]:
    return list(AuditRecord.objects.exclude(action="sign_in").order_by("pk").values_list("action", flat=True))


def token_form(team: Team, **over: Any) -> dict[str, Any]:
    return {"name": "Main", "new_value": VALUE, "teams": [team.pk], "waiting_limit": "", **over}


# Adding a token, and its value


def test_a_token_is_added_encrypted_audited_and_read_at_once(
    boss: Client, nudges: list[tuple[str, int]], django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    team = make_team()
    with django_capture_on_commit_callbacks(execute=True):
        answer = boss.post(at("token_add"), token_form(team))
    assert answer.status_code == 302
    token = Token.objects.get()
    assert (token.value.reveal(), list(token.teams.all())) == (VALUE, [team])
    assert ("rentals.sync_token", token.pk) in nudges
    assert audited() == ["token_add"]


def test_a_token_is_masked_on_every_page(boss: Client) -> None:
    token = make_token(make_team(), value=VALUE)
    for address in (at("token_changelist"), at("token_change", token.pk), at("token_history", token.pk)):
        page = boss.get(address).content.decode()
        assert VALUE not in page
    assert "…ea57" in boss.get(at("token_changelist")).content.decode()


def test_a_value_is_not_given_back_after_a_mistake_elsewhere(boss: Client) -> None:
    page = boss.post(at("token_add"), token_form(make_team(), name="")).content.decode()
    assert "This field is required" in page
    assert VALUE not in page


def test_a_token_that_is_here_already_is_refused_by_name(boss: Client) -> None:
    make_token(value=VALUE, name="Old one")
    page = boss.post(at("token_add"), token_form(make_team())).content.decode()
    assert "This token is here already, as “Old one”." in page
    assert Token.objects.count() == 1


@pytest.mark.parametrize("value", ["two words", "line\u00a0break", ""])
def test_a_value_that_is_none_is_refused(boss: Client, value: str) -> None:
    boss.post(at("token_add"), token_form(make_team(), new_value=value))
    assert not Token.objects.exists()


# Changing a token


def test_an_empty_new_value_keeps_the_old_one(boss: Client) -> None:
    token = make_token(make_team(), value=VALUE)
    boss.post(at("token_change", token.pk), token_form(make_team(), name="Renamed", new_value=""))
    token.refresh_from_db()
    assert (token.name, token.value.reveal()) == ("Renamed", VALUE)


def test_a_new_value_replaces_the_old_one_and_nobody_reads_either(
    boss: Client, nudges: list[tuple[str, int]], django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    token = make_token(make_team(), value="1-" + "0" * 32)
    with django_capture_on_commit_callbacks(execute=True):
        boss.post(at("token_change", token.pk), token_form(make_team()))
    token.refresh_from_db()
    assert token.value.reveal() == VALUE
    assert ("rentals.sync_token", token.pk) in nudges
    record = AuditRecord.objects.get(action="token_change")
    assert VALUE not in str(record.detail)
    assert "0" * 32 not in str(record.detail)


def test_saving_the_form_does_not_undo_what_workers_wrote_meanwhile(
    boss: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    team = make_team()
    token = make_token(team, value=VALUE, name="Main")
    later = timezone.now() + timedelta(seconds=5)
    save = Token.save

    def worker_first(self: Token, *args: Any, **kwargs: Any) -> None:
        Token.objects.filter(pk=self.pk).update(next_turn_at=later, balance=77, hold=Hold.LIMIT, paused=True)
        save(self, *args, **kwargs)

    monkeypatch.setattr(Token, "save", worker_first)
    boss.post(at("token_change", token.pk), token_form(team, name="Renamed", waiting_limit="7"))
    token.refresh_from_db()
    assert (token.name, token.waiting_limit) == ("Renamed", 7)
    assert (token.next_turn_at, token.balance, token.hold, token.paused) == (later, 77, Hold.LIMIT, True)


def test_a_change_is_audited_with_before_and_after(boss: Client, someone: User) -> None:
    old, new = make_team("Old"), make_team("New")
    token = make_token(old, value=VALUE, name="Main")
    boss.post(at("token_change", token.pk), token_form(new, name="Renamed", new_value=""), REMOTE_ADDR="10.1.2.3")
    record = AuditRecord.objects.exclude(action="sign_in").get()
    assert (record.action, record.person, record.target, record.address) == (
        "token_change",
        someone,
        "Renamed",
        "10.1.2.3",
    )
    values = record.detail["message"][0]["changed"]["values"]
    assert values == {"name": ["Main", "Renamed"], "teams": [["Old"], ["New"]]}


def test_nothing_changed_is_nothing_audited(boss: Client) -> None:
    team = make_team()
    token = make_token(team, value=VALUE, name="Main")
    boss.post(at("token_change", token.pk), token_form(team, new_value=""))
    assert audited() == []


# Buttons


BUTTONS = ["check", "balance", "pause", "resume", "callback"]


@pytest.mark.parametrize("button", BUTTONS)
def test_a_button_is_a_post(boss: Client, button: str) -> None:
    assert boss.get(at(f"token_{button}", make_token().pk)).status_code == 405


@pytest.mark.parametrize("button", BUTTONS)
def test_a_button_is_for_admins_alone(button: str) -> None:
    token = make_token()
    client = Client()
    client.force_login(make_person(make_team(), Role.MANAGER))
    assert client.post(at(f"token_{button}", token.pk)).status_code in {302, 403}
    assert not AuditRecord.objects.exclude(action="sign_in").exists()
    assert not CallbackAddress.objects.exists()


@pytest.mark.parametrize("button", BUTTONS)
def test_a_button_wants_the_csrf_token(someone: User, button: str) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(someone)
    assert client.post(at(f"token_{button}", make_token().pk)).status_code == 403


@pytest.mark.parametrize("button", BUTTONS)
def test_a_button_for_a_token_that_is_not_there_is_not_found(boss: Client, button: str) -> None:
    assert boss.post(at(f"token_{button}", 999)).status_code == 404


def test_checking_a_token_shows_what_was_found(boss: Client, upstream: Sandbox) -> None:
    token = make_token(value=upstream.token)
    page = boss.post(at("token_check", token.pk)).content.decode()
    assert "The token is accepted." in page
    assert 'data-level="ok"' in page
    assert upstream.token not in page
    assert AuditRecord.objects.exclude(action="sign_in").get().action == "token_check"


def test_checking_a_refused_token_says_what_to_do(boss: Client, upstream: Sandbox) -> None:
    upstream.set_fault("invalid-token")
    page = boss.post(at("token_check", make_token(value=upstream.token).pk)).content.decode()
    assert 'data-level="fail"' in page
    assert "Something does not work." in page


def test_refreshing_the_balance_reads_and_shows_it(boss: Client, upstream: Sandbox) -> None:
    token = make_token(value=upstream.token)
    page = boss.post(at("token_balance", token.pk), follow=True).content.decode()
    assert "Balance: 500.000 ₫." in page
    assert BalanceReading.objects.get().balance == 500_000


def test_a_balance_that_cannot_be_read_is_a_sentence(boss: Client, upstream: Sandbox) -> None:
    upstream.set_fault("maintenance")
    page = boss.post(at("token_balance", make_token(value=upstream.token).pk), follow=True).content.decode()
    assert "The balance could not be read" in page


def test_pausing_and_resuming_are_audited_and_wake_the_queue(
    boss: Client, nudges: list[tuple[str, int]], django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    token = make_token()
    for button, paused in (("pause", True), ("pause", True), ("resume", False)):
        with django_capture_on_commit_callbacks(execute=True):
            boss.post(at(f"token_{button}", token.pk))
        assert Token.objects.get().paused is paused
    assert audited() == ["token_pause", "token_resume"]
    assert nudges == [("rentals.place", token.pk)] * 2


def test_several_tokens_are_paused_from_the_list(boss: Client) -> None:
    tokens = [make_token(), make_token()]
    boss.post(at("token_changelist"), {"action": "pause_selected", "_selected_action": [t.pk for t in tokens]})
    assert not Token.objects.filter(paused=False).exists()
    assert audited() == ["token_pause"] * 2


# The callback address


def _shown(answer: Any) -> str:
    found = re.search(r'value="(http[^"]+)"', answer.content.decode())
    assert found
    return found[1]


def test_a_callback_address_is_shown_once_and_works(boss: Client) -> None:
    token = make_token()
    answer = boss.post(at("token_callback", token.pk))
    address = _shown(answer)
    assert "no-store" in answer["Cache-Control"]
    secret = CallbackAddress.objects.get().secret.reveal()
    assert address == f"http://testserver/callback/{secret}/"
    assert secret not in boss.get(at("token_change", token.pk)).content.decode()
    assert secret not in str(AuditRecord.objects.get(action="callback_replace").detail)


def test_the_public_address_is_used_where_there_is_one(boss: Client, settings: Settings) -> None:
    settings.PUBLIC_URL = "https://desk.example.com"
    assert _shown(boss.post(at("token_callback", make_token().pk))).startswith("https://desk.example.com/callback/")


def test_a_replaced_address_works_for_a_day_more(boss: Client) -> None:
    token = make_token()
    boss.post(at("token_callback", token.pk))
    old = CallbackAddress.objects.get()
    boss.post(at("token_callback", token.pk))
    old.refresh_from_db()
    assert old.expires_at is not None
    assert timedelta(hours=23) < old.expires_at - timezone.now() <= timedelta(hours=24)
    assert CallbackAddress.objects.get(expires_at=None) != old


def test_replacing_twice_does_not_lengthen_the_life_of_the_first(boss: Client) -> None:
    token = make_token()
    soon = timezone.now() + timedelta(hours=1)
    old = CallbackAddress.issue(token)
    CallbackAddress.objects.filter(pk=old.pk).update(expires_at=soon)
    boss.post(at("token_callback", token.pk))
    old.refresh_from_db()
    assert old.expires_at == soon


# Nothing else can be changed or deleted


@pytest.fixture
def rows() -> dict[type, Any]:
    """One row of each kind."""
    now = timezone.now()
    rental = make_rental(Status.RECEIVED, person=make_person())
    service = make_service()
    ServicePrice.objects.create(service=service, price=1450, since=now)
    RentalEvent.objects.create(rental=rental, at=now, kind="ordered", person=rental.person)
    network, _ = Network.objects.get_or_create(name="VIETTEL")
    return {
        Rental: rental,
        Service: service,
        Network: network,
        Token: rental.token,
        Message: Message.objects.create(
            rental=rental, at=now, code="059809", text="<script>alert(059809)</script>", source="poll", fingerprint="1"
        ),
        LedgerEntry: LedgerEntry.objects.create(token=rental.token, rental=rental, kind="rent", amount=-1450, at=now),
        BalanceReading: BalanceReading.objects.create(token=rental.token, at=now, balance=5, expected=3),
        Callback: Callback.objects.create(
            token=rental.token, at=now, body=b'{"data":{"code":"059809"}}\xff', rental=rental
        ),
        ContractDrift: ContractDrift.objects.create(endpoint="rent", form="x", first_at=now, last_at=now),
        JobRun: JobRun.objects.create(name="balance", token=rental.token, at=now, fault="TimedOut"),
    }


@pytest.mark.parametrize("model", [*READ_ONLY, Token, Network], ids=lambda model: model.__name__)
def test_no_row_can_be_deleted(boss: Client, rows: dict[type, Any], model: Any) -> None:
    name = model._meta.model_name
    assert boss.post(at(f"{name}_delete", rows[model].pk), {"post": "yes"}).status_code == 403
    chosen = {"action": "delete_selected", "_selected_action": [rows[model].pk], "post": "yes"}
    boss.post(at(f"{name}_changelist"), chosen)
    assert model.objects.filter(pk=rows[model].pk).exists()


@pytest.mark.parametrize("model", READ_ONLY, ids=lambda model: model.__name__)
def test_what_the_product_writes_can_only_be_read(boss: Client, rows: dict[type, Any], model: Any) -> None:
    name = model._meta.model_name
    assert boss.get(at(f"{name}_add")).status_code == 403
    assert boss.post(at(f"{name}_change", rows[model].pk), {"status": "queued"}).status_code == 403
    page = boss.get(at(f"{name}_change", rows[model].pk))
    assert page.status_code == 200
    assert b'name="_save"' not in page.content


@pytest.mark.parametrize("model", [*READ_ONLY, Token, Network], ids=lambda model: model.__name__)
def test_no_list_shows_a_code(boss: Client, rows: dict[type, Any], model: Any) -> None:
    page = boss.get(at(f"{model._meta.model_name}_changelist"))
    assert page.status_code == 200
    assert b"059809" not in page.content


@pytest.mark.parametrize("model", [Rental, Message, Callback], ids=lambda model: model.__name__)
def test_the_page_of_one_row_shows_the_code_and_escapes_the_text(
    boss: Client, rows: dict[type, Any], model: Any
) -> None:
    page = boss.get(at(f"{model._meta.model_name}_change", rows[model].pk)).content
    assert b"059809" in page
    assert b"<script>alert" not in page


def test_every_model_of_the_desk_that_an_admin_needs_has_a_page() -> None:
    inside_others = {Prefix, ServicePrice, RentalEvent, CallbackAddress}
    # Counted by jobs and shown on the pages for services and the system.
    on_pages = {
        models.Heartbeat,
        models.UpstreamMinute,
        models.BackgroundJob,
        models.ServiceFigure,
        models.StarredService,
    }
    ours = {getattr(models, name) for name in models.__all__}
    kept = {model for model in ours if hasattr(model, "_meta")}
    assert {model for model in admin.site._registry if model in kept} == kept - inside_others - on_pages


@pytest.mark.parametrize("model", [*READ_ONLY, Token, Network], ids=lambda model: model.__name__)
def test_nobody_but_an_admin_gets_in(rows: dict[type, Any], model: Any) -> None:
    client = Client()
    address = at(f"{model._meta.model_name}_changelist")
    assert client.get(address).status_code == 302
    client.force_login(make_person(make_team(), Role.MANAGER))
    assert client.get(address, follow=True).status_code == 403


# Fast


def _fill(count: int) -> None:
    now = timezone.now()
    for _ in range(count):
        person = make_person()
        rental = make_rental(Status.RECEIVED, person=person)
        again = make_rental(Status.RECEIVED, person=person, again_of=rental, token=rental.token, team=rental.team)
        Message.objects.create(rental=rental, at=now, source="poll", fingerprint="1")
        LedgerEntry.objects.create(token=rental.token, rental=again, kind="rent", amount=-1, at=now, person=person)
        BalanceReading.objects.create(token=rental.token, at=now, balance=5)
        Callback.objects.create(token=rental.token, at=now, body=b"{}", rental=rental)
        JobRun.objects.create(name="balance", token=rental.token, at=now)
        rental.token.teams.add(make_team(), make_team())
        Network.objects.create(name=f"N{rental.pk}").prefixes.create(digits=f"{rental.pk % 1000:04d}")


@pytest.mark.parametrize("model", [*READ_ONLY, Token, Network], ids=lambda model: model.__name__)
def test_a_list_takes_as_many_queries_for_many_rows_as_for_few(
    boss: Client, django_assert_max_num_queries: DjangoAssertNumQueries, model: Any
) -> None:
    address = at(f"{model._meta.model_name}_changelist")
    _fill(2)
    with django_assert_max_num_queries(11) as few:
        boss.get(address)
    _fill(8)
    with django_assert_max_num_queries(len(few.captured_queries)):
        boss.get(address)


def test_a_rental_with_much_behind_it_takes_few_queries(
    boss: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    rental = make_rental(Status.RECEIVED)
    for n in range(20):
        RentalEvent.objects.create(rental=rental, at=timezone.now(), kind="seen", person=make_person())
        Message.objects.create(rental=rental, at=timezone.now(), source="poll", fingerprint=str(n))
    with django_assert_max_num_queries(12):
        boss.get(at("rental_change", rental.pk))


def test_the_page_of_a_token_takes_few_queries(
    boss: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    token = make_token(make_team(), make_team())
    for _ in range(20):
        CallbackAddress.issue(token)
        BalanceReading.objects.create(token=token, at=timezone.now(), balance=1)
    with django_assert_max_num_queries(18):
        boss.get(at("token_change", token.pk))


# Finding


@pytest.mark.parametrize("term", ["0961234567", "+84961234567", "096 123 4567", "961234567", "84961234567"])
def test_a_rental_is_found_by_its_number_in_any_form(boss: Client, term: str) -> None:
    found = make_rental(Status.RECEIVED, phone="+84961234567", network="FOUND")
    make_rental(Status.RECEIVED, phone="+84987654321", network="OTHER")
    page = boss.get(at("rental_changelist"), {"q": term}).content.decode()
    assert f"#{found.pk}" in page
    assert "FOUND" in page
    assert "OTHER" not in page


@pytest.mark.parametrize("form", ["{id}", "{key}", "#{pk}", "{pk}"])
def test_a_rental_is_found_by_its_ids(boss: Client, form: str) -> None:
    rental = make_rental(Status.RECEIVED, network="FOUND")
    term = form.format(id=rental.upstream_id, key=rental.upstream_key, pk=rental.pk)
    assert "FOUND" in boss.get(at("rental_changelist"), {"q": term}).content.decode()


@pytest.mark.parametrize("term", ["x" * 500, "9" * 40, "²³", "%", "'"])
def test_a_search_for_nonsense_finds_nothing_and_breaks_nothing(boss: Client, term: str) -> None:
    make_rental(Status.RECEIVED, network="FOUND")
    answer = boss.get(at("rental_changelist"), {"q": term})
    assert answer.status_code == 200
    assert "FOUND" not in answer.content.decode()


@pytest.mark.parametrize("term", ["dich vu do", "Dịch vụ", "02.4711", "4711"])
def test_a_service_is_found_with_or_without_accents(boss: Client, term: str) -> None:
    make_service(name="DỊCH VỤ Đỏ", upstream_id="4711")
    make_service(name="Khác", upstream_id="4712")
    page = boss.get(at("service_changelist"), {"q": term}).content.decode()
    assert "DỊCH VỤ Đỏ" in page
    assert "Khác" not in page


# Prefixes


def _prefixes(network: Network, *digits: str) -> dict[str, Any]:
    rows = {f"prefixes-{n}-digits": each for n, each in enumerate(digits)}
    known = list(network.prefixes.all())
    ids = {f"prefixes-{n}-id": prefix.pk for n, prefix in enumerate(known)}
    networks = {f"prefixes-{n}-network": network.pk for n in range(len(digits))}
    return {"prefixes-TOTAL_FORMS": len(digits), "prefixes-INITIAL_FORMS": len(known), **rows, **ids, **networks}


def test_a_prefix_added_counts_at_once_and_is_audited(
    boss: Client, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    network = Network.objects.create(name="NEWCOMER")
    assert likely_network.likely_network("+84601234567") == ""
    with django_capture_on_commit_callbacks(execute=True):
        boss.post(at("network_change", network.pk), _prefixes(network, "060"))
    assert Prefix.objects.get(network=network).digits == "60"
    assert likely_network.likely_network("+84601234567") == "NEWCOMER"
    assert audited() == ["network_change"]


@pytest.mark.parametrize("digits", ["abc", "", "0", "12345678"])
def test_a_prefix_that_is_none_is_refused(boss: Client, digits: str) -> None:
    network = Network.objects.create(name="NEWCOMER")
    boss.post(at("network_change", network.pk), _prefixes(network, digits))
    assert not network.prefixes.exists()


def test_a_network_is_added_by_the_upstream_alone(boss: Client) -> None:
    assert boss.get(at("network_add")).status_code == 403
