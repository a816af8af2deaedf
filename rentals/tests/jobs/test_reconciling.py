"""What is uncertain is settled by evidence, and what was rented elsewhere is taken in, once."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

import thuesim
from accounts.models import Role
from rentals.jobs import background, balances, reconciling
from rentals.lifecycle import reasons
from rentals.models import BackgroundJob, LedgerEntry, Rental, Status, Token
from rentals.tests.factories import make_person, make_rental
from rentals.tests.fixtures import House, later
from rentals.tests.money import rent
from rentals.upstream.client import client_for

pytestmark = pytest.mark.django_db
GIVEN_UP = timedelta(seconds=reconciling.GIVE_UP_SECONDS + 30)


def lost(house: House, fault: str = "lost-reset", **over: object) -> Rental:
    house.upstream.set_fault(fault, count=1)
    rental = rent(house, **over)
    assert rental.status == Status.UNCONFIRMED
    return rental


def test_a_number_whose_reply_was_lost_is_found_in_the_history(house: House) -> None:
    rental = lost(house)
    [there] = house.upstream.books()["rentals"]
    assert reconciling.reconcile(house.token.pk) == 1
    rental.refresh_from_db()
    assert (rental.status, rental.upstream_key) == (Status.WAITING, str(there["number"]))
    assert rental.person == house.person
    assert LedgerEntry.objects.get(rental=rental).amount == -there["price"]
    assert reconciling.reconcile(house.token.pk) == 0
    assert Rental.objects.count() == 1


def test_its_code_comes_along_where_it_is_there_already(house: House) -> None:
    rental = lost(house)
    house.upstream.deliver(house.upstream.books()["rentals"][0]["phone"], "Ma: 654321", "654321")
    reconciling.reconcile(house.token.pk)
    rental.refresh_from_db()
    assert rental.status == Status.RECEIVED
    assert [message.code for message in rental.messages.all()] == ["654321"]


def test_two_lost_orders_for_one_service_are_not_mixed_up(house: House) -> None:
    other = make_person(house.team)
    first = lost(house)
    second = lost(house, person=other)
    there = sorted(house.upstream.books()["rentals"], key=lambda row: row["number"])
    assert reconciling.reconcile(house.token.pk) == 2
    first.refresh_from_db()
    second.refresh_from_db()
    assert [first.upstream_key, second.upstream_key] == [str(row["number"]) for row in there]


def test_two_lost_orders_of_which_one_was_taken_take_one_number(house: House) -> None:
    first, second = lost(house), lost(house, fault="http-500")
    assert reconciling.reconcile(house.token.pk) == 1
    assert Rental.objects.filter(status=Status.WAITING).count() == 1
    with later(GIVEN_UP):
        reconciling.reconcile(house.token.pk)
    assert sorted(Rental.objects.values_list("status", flat=True)) == [Status.REFUSED, Status.WAITING]
    assert len(house.upstream.books()["attempts"]) == 2
    assert len(house.upstream.books()["rentals"]) == 1
    assert {first.pk, second.pk} == set(Rental.objects.values_list("pk", flat=True))


def test_a_re_rent_is_matched_by_its_phone(house: House) -> None:
    earlier = rent(house)
    house.upstream.expire(earlier.upstream_key)
    Rental.objects.filter(pk=earlier.pk).update(status=Status.EXPIRED)
    again = lost(house, again_of=earlier)
    reconciling.reconcile(house.token.pk)
    again.refresh_from_db()
    assert (again.status, again.phone) == (Status.WAITING, earlier.phone)
    assert again.upstream_key != earlier.upstream_key


def test_an_order_never_sent_is_ended_only_after_a_while_and_never_sent_again(house: House) -> None:
    rental = lost(house, fault="http-500")
    reconciling.reconcile(house.token.pk)
    rental.refresh_from_db()
    assert rental.status == Status.UNCONFIRMED
    with later(GIVEN_UP):
        reconciling.reconcile(house.token.pk)
    rental.refresh_from_db()
    assert (rental.status, rental.reason) == (Status.REFUSED, reasons.NOT_TAKEN)
    assert len(house.upstream.books()["attempts"]) == 1
    assert house.upstream.books()["rentals"] == []


def test_a_history_that_does_not_answer_settles_nothing(house: House) -> None:
    rental = lost(house, fault="http-500")
    house.upstream.set_fault("maintenance", endpoint="history")
    with later(GIVEN_UP), pytest.raises(thuesim.Gibberish):
        reconciling.reconcile(house.token.pk)
    rental.refresh_from_db()
    assert rental.status == Status.UNCONFIRMED


def test_while_money_is_missing_an_order_is_not_given_up(house: House) -> None:
    balances.read_balance(house.token)
    rental = lost(house)
    house.upstream.set_fault("history-omits-recent", value=5)
    with later(GIVEN_UP):
        balances.read_balance(house.token)
        reconciling.reconcile(house.token.pk)
    rental.refresh_from_db()
    assert rental.status == Status.UNCONFIRMED
    house.upstream.clear_faults()
    reconciling.reconcile(house.token.pk)
    rental.refresh_from_db()
    assert rental.status == Status.WAITING


def test_a_number_that_turns_up_after_all_goes_to_the_order_given_up(house: House) -> None:
    rental = lost(house)
    house.upstream.set_fault("history-omits-recent", value=5)
    with later(GIVEN_UP):
        reconciling.reconcile(house.token.pk)
    rental.refresh_from_db()
    assert (rental.status, rental.reason) == (Status.REFUSED, reasons.NOT_TAKEN)
    house.upstream.clear_faults()
    reconciling.reconcile(house.token.pk)
    rental.refresh_from_db()
    assert (rental.status, rental.reason) == (Status.WAITING, "")
    assert Rental.objects.count() == 1


def test_a_number_of_an_order_under_way_is_not_imported(house: House) -> None:
    house.upstream.seed_rentals(1)
    make_rental(Status.PLACING, token=house.token, team=house.team, service=house.service, attempt_at=timezone.now())
    reconciling.reconcile(house.token.pk)
    assert not Rental.objects.filter(imported=True).exists()


def test_what_was_rented_elsewhere_appears_once_and_marked(house: House) -> None:
    house.upstream.seed_rentals(5, age=3600.0)
    house.upstream.deliver(str(house.upstream.books()["rentals"][0]["number"]), "Ma: 135790", "135790")
    for _ in range(3):
        reconciling.reconcile(house.token.pk)
    rentals = Rental.objects.filter(imported=True, person=None, team=house.team)
    assert rentals.count() == Rental.objects.count() == 5
    assert rentals.get(messages__code="135790").status == Status.RECEIVED
    assert [event.kind for rental in rentals for event in rental.events.all()] == ["imported"] * 5


def test_a_rental_of_ours_is_not_imported_whatever_form_its_id_comes_in(house: House) -> None:
    rent(house)
    for fault in ("history-bare-id", "history-full-id", "id-drop-zero"):
        house.upstream.clear_faults()
        house.upstream.set_fault(fault)
        reconciling.reconcile(house.token.pk)
    assert Rental.objects.count() == 1


def test_a_late_message_in_the_history_reaches_an_expired_rental(house: House) -> None:
    rental = rent(house)
    house.upstream.expire(rental.upstream_key)
    Rental.objects.filter(pk=rental.pk).update(status=Status.EXPIRED, due_at=None)
    house.upstream.deliver(rental.upstream_key, "Ma: 246802", "246802")
    reconciling.reconcile(house.token.pk)
    rental.refresh_from_db()
    assert rental.status == Status.RECEIVED


def test_an_import_tells_how_far_it_is(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconciling, "AT_ONCE", 2)
    monkeypatch.setattr(reconciling, "AT_ONCE_ON_SQLITE", 2)
    house.upstream.seed_rentals(5)
    told: list[tuple[int, int]] = []
    reconciling.reconcile(house.token.pk, deep=True, progress=lambda done, total: told.append((done, total)))
    assert told == [(0, 5), (2, 5), (4, 5)]
    assert Rental.objects.filter(imported=True).count() == 5


def test_an_import_of_thousands_takes_a_handful_of_queries(
    house: House, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    house.upstream.seed_rentals(3000, age=3600.0)
    # SQLite takes at most 999 values in a statement, and its write lock is held for a few rows only.
    most = 35 if connection.vendor == "postgresql" else 300
    with django_assert_max_num_queries(most):
        reconciling.reconcile(house.token.pk, deep=True)
    assert Rental.objects.filter(imported=True).count() == 3000
    with django_assert_max_num_queries(15):
        reconciling.reconcile(house.token.pk, deep=True)


def test_a_rental_made_elsewhere_again_rents_the_same_number(house: House) -> None:
    house.upstream.seed_rentals(1, age=3600.0)
    reconciling.reconcile(house.token.pk)
    imported = Rental.objects.get()
    again = rent(house, again_of=imported)
    assert (again.status, again.phone) == (Status.WAITING, imported.phone)


def test_the_upstreams_clock_may_be_off(house: House) -> None:
    house.upstream.set_fault("clock-skew", value=420)
    rent(house)
    house.token.refresh_from_db()
    assert house.token.clock_skew == pytest.approx(420, abs=3)
    rental = lost(house)
    reconciling.reconcile(house.token.pk)
    rental.refresh_from_db()
    assert rental.status == Status.WAITING
    assert Token.objects.get().clock_skew is not None


def test_a_manager_has_a_history_imported(client: Client, house: House) -> None:
    manager = make_person(house.team, Role.MANAGER)
    client.force_login(manager)
    client_for(house.token).rent("02.97")  # elsewhere, with the same token
    answer = client.post(reverse("import_history", args=[house.token.pk]))
    assert answer.headers["Location"] == "/background/"
    job = BackgroundJob.objects.get()
    background.work(job.pk)
    assert Rental.objects.get().imported
    assert "1 rental imported" in client.get("/background/").content.decode()


def test_an_import_that_the_upstream_refuses_says_so(client: Client, house: House) -> None:
    client.force_login(make_person(house.team, Role.MANAGER))
    client.post(reverse("import_history", args=[house.token.pk]))
    house.upstream.stop()
    background.work(BackgroundJob.objects.get().pk)
    assert "ThueSim did not answer with its history." in client.get("/background/").content.decode()
