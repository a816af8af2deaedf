"""The lists of the Django admin answer what their own filters ask, and nothing that reads a hidden column."""

import re

import pytest
from django.contrib.admin import site
from django.db.models import Model
from django.test import Client
from django.utils import timezone

from accounts.models import AuditRecord, User
from rentals.models import ContractDrift, Message, Status
from rentals.tests.admin.pages import at
from rentals.tests.factories import make_person, make_rental, make_service

pytestmark = pytest.mark.django_db

MODELS: list[type[Model]] = list(site._registry)
HIDDEN = [
    ("/admin/rentals/message/", "code__startswith"),
    ("/admin/rentals/message/", "code"),
    ("/admin/rentals/message/", "text__contains"),
    ("/admin/rentals/message/", "at__regex"),
    ("/admin/rentals/message/", "rental__phone__startswith"),
    ("/admin/rentals/rental/", "messages__code__startswith"),
    ("/admin/rentals/rental/", "team__name__startswith"),
    ("/admin/rentals/rental/", "status__regex"),
    ("/admin/rentals/rental/", "id__gt"),
    ("/admin/rentals/callback/", "body__contains"),
    ("/admin/rentals/token/", "value_digest__startswith"),
    ("/admin/rentals/token/", "teams__tokens__value_digest__startswith"),
    ("/admin/accounts/invitation/", "secret_digest__startswith"),
    ("/admin/accounts/user/", "password__startswith"),
    ("/admin/accounts/user/", "memberships__user__password__startswith"),
    ("/admin/accounts/auditrecord/", "detail__contains"),
]


def told(client: Client, address: str, query: dict[str, str]) -> str:
    """Follow the redirect to the whole list, and return what it tells."""
    answer = client.get(address, query)
    assert (answer.status_code, answer.headers["Location"]) == (302, address)
    page = client.get(address).content.decode()
    return " ".join(re.findall(r'<li class="warning">(.*?)</li>', page))


@pytest.mark.parametrize(("address", "lookup"), HIDDEN, ids=[lookup for _address, lookup in HIDDEN])
def test_a_hidden_column_cannot_be_asked(as_admin: Client, address: str, lookup: str) -> None:
    assert "cannot be asked" in told(as_admin, address, {lookup: "1"})


@pytest.mark.parametrize(
    "query",
    [
        {"status__exact": "waiting("},
        {"p": "0"},
        {"p": "999"},
        {"p": "x"},
        {"o": "99.-99.x"},
        {"q": "#" + "9" * 60},
        {"q": "word " * 3000},
    ],
)
def test_odd_values_that_match_nothing_are_answered_with_a_list(as_admin: Client, query: dict[str, str]) -> None:
    assert as_admin.get(at("rental_changelist"), query).status_code == 200


@pytest.mark.parametrize(
    "query",
    [
        {"queued_at__gte": "2026-02-30"},
        {"queued_at__gte": "0001-01-01 00:00:00+07:00"},
        {"queued_at__gte": "2026-11-22 10:00:00"},
        {"imported__exact": "perhaps"},
        {"nonsense": "1"},
        {"e": "1"},
    ],
)
def test_nonsense_is_answered_with_a_sentence_and_the_whole_list(as_admin: Client, query: dict[str, str]) -> None:
    assert "cannot be asked" in told(as_admin, at("rental_changelist"), query)


@pytest.mark.parametrize("model", MODELS, ids=[model.__name__ for model in MODELS])
def test_every_link_of_a_lists_filters_works(as_admin: Client, admin: User, model: type[Model]) -> None:
    rental = make_rental(Status.RECEIVED, person=admin)
    make_service(sv="", upstream_id="301")
    Message.objects.create(rental=rental, at=timezone.now(), code="059809", source="poll", fingerprint="1")
    for endpoint in ("code", "rent"):
        ContractDrift.objects.create(endpoint=endpoint, form="x", first_at=timezone.now(), last_at=timezone.now())
    page_address = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
    page = as_admin.get(page_address).content.decode()
    filters = page.partition('id="changelist-filter"')[2]
    links = [link.replace("&amp;", "&") for link in re.findall(r'href="(\?[^"]+)"', filters)]
    assert not re.search(r"<a [^>]*>\s*</a>", filters)  # nothing to click
    assert links or not site._registry[model].list_filter
    for link in links:
        assert as_admin.get(page_address + link).status_code == 200, link


def test_a_code_that_is_read_in_the_admin_is_recorded_but_for_the_admins_own(as_admin: Client, admin: User) -> None:
    for person in (make_person(), admin):
        rental = make_rental(Status.RECEIVED, person=person)
        message = Message.objects.create(
            rental=rental, at=timezone.now(), code="059809", source="poll", fingerprint="1"
        )
        for address in (at("rental_change", rental.pk), at("message_change", message.pk)):
            assert "059809" in as_admin.get(address).content.decode()
        recorded = AuditRecord.objects.filter(action="reveal", target=f"rental {rental.pk}", person=admin)
        assert recorded.count() == (0 if person == admin else 2)
