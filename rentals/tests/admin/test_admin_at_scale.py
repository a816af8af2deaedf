"""The Django admin over tens of thousands of rentals: every list and every page in as many queries as over ten, and none of
them counts or reads a whole table."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, models
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts import audit
from accounts.admin.base import BoundedPaginator
from accounts.models import AuditRecord, User
from rentals.models import (
    BalanceReading,
    Callback,
    LedgerEntry,
    Message,
    Rental,
    RentalEvent,
    Service,
    Status,
)
from rentals.tests.factories import make_person, make_rental, make_service, make_team

pytestmark = pytest.mark.django_db

# More than are counted, where counting costs; on SQLite it would test the same code for minutes.
MANY = 2 * BoundedPaginator.MAX_COUNT if connection.vendor == "postgresql" else 2_000
LISTS = ("rental", "message", "ledgerentry", "balancereading", "callback", "service", "token", "jobrun", "network")
PEOPLE = ("user", "team", "invitation", "auditrecord")


def multiply(model: type[models.Model], count: int, **over: str) -> None:
    """Copy the table's newest row so many times; `over` says in SQL what differs, `i` being the copy's number."""
    quote = connection.ops.quote_name
    names = [str(f.column) for f in model._meta.concrete_fields if not f.primary_key]
    values = [over.get(name, f"t.{quote(name)}") for name in names]
    table = quote(model._meta.db_table)
    columns = ", ".join(map(quote, names))
    numbers = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})"
    newest = f"(SELECT * FROM {table} ORDER BY id DESC LIMIT 1) AS t"
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {table} ({columns}) {numbers} SELECT {', '.join(values)} FROM {newest}, n")


@pytest.fixture
def first() -> dict[str, Any]:
    """A few rows of everything."""
    now = timezone.now()
    team = make_team()
    person = make_person(team)
    old = make_rental(Status.RECEIVED, team=team, person=person)
    rental = make_rental(Status.RECEIVED, team=team, person=person, token=old.token, again_of=old, service=old.service)
    for n in range(3):
        RentalEvent.objects.create(rental=rental, at=now, kind="seen", person=person)
        Message.objects.create(rental=rental, at=now, source="poll", fingerprint=str(n))
    return {
        "rental": rental,
        "message": rental.messages.latest("pk"),
        "ledgerentry": LedgerEntry.objects.create(token=rental.token, rental=rental, kind="rent", amount=-1, at=now),
        "balancereading": BalanceReading.objects.create(token=rental.token, at=now, balance=5),
        "callback": Callback.objects.create(token=rental.token, at=now, body=b"{}", rental=rental),
        "service": rental.service,
        "token": rental.token,
        "user": person,
        "team": team,
        "auditrecord": audit.record("reveal", person=person, team=team, target="rental 1"),
    }


def grow(count: int) -> None:
    """Let everything that grows with the work grow."""
    multiply(Rental, count, upstream_key="'k' || i", upstream_id="'k' || i", phone="'+8490' || i")
    newest = Rental.objects.latest("pk").pk
    multiply(Message, count, rental_id=f"{newest} - i + 1", fingerprint="'f' || i")
    multiply(RentalEvent, count, rental_id=f"{newest} - i + 1")
    multiply(LedgerEntry, count, rental_id=f"{newest} - i + 1")
    multiply(BalanceReading, count)
    multiply(Callback, count, rental_id=f"{newest} - i + 1")
    multiply(AuditRecord, count)
    make_service()
    multiply(Service, 300, upstream_id="'s' || i")
    multiply(User, 300, username="'user' || i")
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")


def pages(first: dict[str, Any]) -> list[str]:
    """The lists, plain, filtered and searched; the page of one row of each; what select boxes ask."""
    found = [reverse(f"admin:rentals_{name}_changelist") for name in LISTS]
    found += [reverse(f"admin:accounts_{name}_changelist") for name in PEOPLE]
    rentals, records = reverse("admin:rentals_rental_changelist"), reverse("admin:accounts_auditrecord_changelist")
    token, team = first["token"].pk, first["team"].pk
    yesterday = (timezone.now() - timedelta(days=1)).isoformat()
    found += [
        f"{rentals}?status__exact=received&team__id__exact={team}&token__id__exact={token}",
        f"{rentals}?q=0900000042",
        f"{rentals}?queued_at__gte={yesterday.partition('+')[0]}%2B00%3A00",
        f"{records}?q=reveal",
        f"{reverse('admin:autocomplete')}?app_label=accounts&model_name=team&field_name=services&term=a",
        f"{reverse('admin:autocomplete')}?app_label=accounts&model_name=membership&field_name=user&term=s",
    ]
    for name, row in first.items():
        app = "accounts" if name in PEOPLE else "rentals"
        found.append(reverse(f"admin:{app}_{name}_change", args=[row.pk]))
    return found


def asked(client: Client, where: str) -> tuple[int, list[dict[str, str]]]:
    """How large the page is, and what it asked the database."""
    with CaptureQueriesContext(connection) as queries:
        answer = client.get(where)
    assert answer.status_code == 200, where
    return len(answer.content), queries.captured_queries


def test_no_page_takes_more_queries_or_much_more_room_for_many_rows(as_admin: Client, first: dict[str, Any]) -> None:
    addresses = pages(first)
    few = {where: asked(as_admin, where) for where in addresses}
    grow(MANY)
    assert Rental.objects.count() > MANY
    far_down = f"{addresses[0]}?p={min(BoundedPaginator.MAX_COUNT, MANY) // 50}"
    assert len(asked(as_admin, far_down)[1]) <= 20
    for where in addresses:
        size, queries = asked(as_admin, where)
        assert len(queries) <= len(few[where][1]) + 1, where  # a list of several pages may count once more
        assert len(queries) <= 20, where
        assert size < 400_000, where


def test_no_list_counts_past_its_bound(
    as_admin: Client, first: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BoundedPaginator, "MAX_COUNT", 200)
    multiply(Rental, 400, upstream_key="'k' || i", upstream_id="'k' || i")
    for where in (reverse("admin:rentals_rental_changelist"), reverse("admin:rentals_rental_changelist") + "?p=4"):
        answer = as_admin.get(where)
        assert answer.context["cl"].result_count == 200
        _size, queries = asked(as_admin, where)
        counting = [query["sql"] for query in queries if "COUNT(" in query["sql"] and "rentals_rental" in query["sql"]]
        assert counting
        assert all("LIMIT 200" in sql for sql in counting)


@pytest.mark.parametrize("name", [*LISTS[:5], "auditrecord"])
def test_no_filter_beside_a_long_list_reads_all_of_it(as_admin: Client, first: dict[str, Any], name: str) -> None:
    app = "accounts" if name in PEOPLE else "rentals"
    _size, queries = asked(as_admin, reverse(f"admin:{app}_{name}_changelist"))
    assert not [query["sql"] for query in queries if "DISTINCT" in query["sql"] or "GROUP BY" in query["sql"]]


@pytest.mark.parametrize("source", ["poll", "callback", "nonsense"])
def test_messages_are_filtered_by_how_they_came(as_admin: Client, first: dict[str, Any], source: str) -> None:
    answer = as_admin.get(reverse("admin:rentals_message_changelist"), {"source": source})
    assert answer.context["cl"].result_count == (3 if source == "poll" else 0)


def test_no_select_box_offers_every_row(as_admin: Client, first: dict[str, Any]) -> None:
    grow(10)
    for name in ("team", "user"):
        page = as_admin.get(reverse(f"admin:accounts_{name}_change", args=[first[name].pk])).content.decode()
        assert page.count("<option") < 60
