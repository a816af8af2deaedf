"""The Django admin of the desk: useful, fast, and no way round the product's rules."""

from typing import Any

import pytest
from django.contrib import admin
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, DjangoCaptureOnCommitCallbacks

from accounts.models import Role
from rentals import models
from rentals.lifecycle import likely_network
from rentals.models import (
    BalanceReading,
    Callback,
    CallbackAddress,
    ContractDrift,
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
from rentals.tests.admin.pages import at, audited
from rentals.tests.factories import make_person, make_rental, make_service, make_team

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]

READ_ONLY = [Rental, Message, LedgerEntry, BalanceReading, Callback, ContractDrift, JobRun, Service]


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
def test_no_row_can_be_deleted(as_admin: Client, rows: dict[type, Any], model: Any) -> None:
    name = model._meta.model_name
    assert as_admin.post(at(f"{name}_delete", rows[model].pk), {"post": "yes"}).status_code == 403
    chosen = {"action": "delete_selected", "_selected_action": [rows[model].pk], "post": "yes"}
    as_admin.post(at(f"{name}_changelist"), chosen)
    assert model.objects.filter(pk=rows[model].pk).exists()


@pytest.mark.database
@pytest.mark.parametrize("model", READ_ONLY, ids=lambda model: model.__name__)
def test_what_the_product_writes_can_only_be_read(as_admin: Client, rows: dict[type, Any], model: Any) -> None:
    name = model._meta.model_name
    assert as_admin.get(at(f"{name}_add")).status_code == 403
    assert as_admin.post(at(f"{name}_change", rows[model].pk), {"status": "queued"}).status_code == 403
    page = as_admin.get(at(f"{name}_change", rows[model].pk))
    assert page.status_code == 200
    assert b'name="_save"' not in page.content


@pytest.mark.parametrize("model", [*READ_ONLY, Token, Network], ids=lambda model: model.__name__)
def test_no_list_shows_a_code(as_admin: Client, rows: dict[type, Any], model: Any) -> None:
    page = as_admin.get(at(f"{model._meta.model_name}_changelist"))
    assert page.status_code == 200
    assert b"059809" not in page.content


def test_each_value_of_a_list_has_the_name_of_its_column(as_admin: Client, rows: dict[type, Any]) -> None:
    page = as_admin.get(at("token_changelist")).content.decode()
    assert '<td data-label="Status" class="field-' in page
    assert '<td class="action-checkbox">' in page


@pytest.mark.parametrize("model", [Rental, Message, Callback], ids=lambda model: model.__name__)
def test_the_page_of_one_row_shows_the_code_and_escapes_the_text(
    as_admin: Client, rows: dict[type, Any], model: Any
) -> None:
    page = as_admin.get(at(f"{model._meta.model_name}_change", rows[model].pk)).content
    assert b"059809" in page
    assert b"<script>alert" not in page


def test_every_model_of_the_desk_that_an_admin_needs_has_a_page() -> None:
    inside_others = {Prefix, ServicePrice, RentalEvent, CallbackAddress}
    # Counted by jobs and shown on the pages for services and the system.
    on_pages = {
        models.CountedDay,
        models.Delivery,
        models.Destination,
        models.ExportedCode,
        models.Heartbeat,
        models.Machine,
        models.MachineClock,
        models.PublicUrlCheck,
        models.UpstreamMinute,
        models.BackgroundJob,
        models.ServiceFigure,
        models.SpendSum,
        models.StarredService,
        models.Uncounted,
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
    as_admin: Client, django_assert_max_num_queries: DjangoAssertNumQueries, model: Any
) -> None:
    address = at(f"{model._meta.model_name}_changelist")
    _fill(2)
    with django_assert_max_num_queries(11) as few:
        as_admin.get(address)
    _fill(8)
    with django_assert_max_num_queries(len(few.captured_queries)):
        as_admin.get(address)


def test_a_rental_with_much_behind_it_takes_few_queries(
    as_admin: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    rental = make_rental(Status.RECEIVED)
    for n in range(20):
        RentalEvent.objects.create(rental=rental, at=timezone.now(), kind="seen", person=make_person())
        Message.objects.create(rental=rental, at=timezone.now(), source="poll", fingerprint=str(n))
    with django_assert_max_num_queries(12):
        as_admin.get(at("rental_change", rental.pk))


# Finding


@pytest.mark.parametrize("term", ["0961234567", "+84961234567", "096 123 4567", "961234567", "84961234567"])
def test_a_rental_is_found_by_its_number_in_any_form(as_admin: Client, term: str) -> None:
    found = make_rental(Status.RECEIVED, phone="+84961234567", network="FOUND")
    make_rental(Status.RECEIVED, phone="+84987654321", network="OTHER")
    page = as_admin.get(at("rental_changelist"), {"q": term}).content.decode()
    assert f"#{found.pk}" in page
    assert "FOUND" in page
    assert "OTHER" not in page


@pytest.mark.database
@pytest.mark.parametrize("form", ["{id}", "{key}", "#{pk}", "{pk}"])
def test_a_rental_is_found_by_its_ids(as_admin: Client, form: str) -> None:
    rental = make_rental(Status.RECEIVED, network="FOUND")
    term = form.format(id=rental.upstream_id, key=rental.upstream_key, pk=rental.pk)
    assert "FOUND" in as_admin.get(at("rental_changelist"), {"q": term}).content.decode()


@pytest.mark.database
@pytest.mark.parametrize("term", ["x" * 500, "9" * 40, "²³", "%", "'"])
def test_a_search_for_nonsense_finds_nothing_and_breaks_nothing(as_admin: Client, term: str) -> None:
    make_rental(Status.RECEIVED, network="FOUND")
    answer = as_admin.get(at("rental_changelist"), {"q": term})
    assert answer.status_code == 200
    assert "FOUND" not in answer.content.decode()


@pytest.mark.database
@pytest.mark.parametrize("term", ["dich vu do", "Dịch vụ", "02.4711", "4711"])
def test_a_service_is_found_with_or_without_accents(as_admin: Client, term: str) -> None:
    make_service(name="DỊCH VỤ Đỏ", upstream_id="4711")
    make_service(name="Khác", upstream_id="4712")
    page = as_admin.get(at("service_changelist"), {"q": term}).content.decode()
    assert "DỊCH VỤ Đỏ" in page
    assert "Khác" not in page


# Prefixes


def _prefixes(network: Network, *digits: str) -> dict[str, Any]:
    rows = {f"prefixes-{n}-digits": each for n, each in enumerate(digits)}
    known = list(network.prefixes.all())
    ids = {f"prefixes-{n}-id": prefix.pk for n, prefix in enumerate(known)}
    networks = {f"prefixes-{n}-network": network.pk for n in range(len(digits))}
    return {"prefixes-TOTAL_FORMS": len(digits), "prefixes-INITIAL_FORMS": len(known), **rows, **ids, **networks}


@pytest.mark.database
def test_a_prefix_added_counts_at_once_and_is_audited(
    as_admin: Client, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    network = Network.objects.create(name="NEWCOMER")
    assert likely_network.likely_network("+84601234567") == ""
    with django_capture_on_commit_callbacks(execute=True):
        as_admin.post(at("network_change", network.pk), _prefixes(network, "060"))
    assert Prefix.objects.get(network=network).digits == "60"
    assert likely_network.likely_network("+84601234567") == "NEWCOMER"
    assert audited() == ["network_change"]


@pytest.mark.database
@pytest.mark.parametrize("digits", ["abc", "", "0", "12345678"])
def test_a_prefix_that_is_none_is_refused(as_admin: Client, digits: str) -> None:
    network = Network.objects.create(name="NEWCOMER")
    as_admin.post(at("network_change", network.pk), _prefixes(network, digits))
    assert not network.prefixes.exists()


def test_a_network_is_added_by_the_upstream_alone(as_admin: Client) -> None:
    assert as_admin.get(at("network_add")).status_code == 403
