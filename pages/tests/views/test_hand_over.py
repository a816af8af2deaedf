"""A waiting number handed over to a colleague: who may, what changes, what stays, and who is told."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

import thuesim
from accounts import audit
from accounts.models import AuditRecord, Role, Team, User
from accounts.policy import access_for, people_who_may_rent
from pages.presenters.cards import card_for
from pages.presenters.spend import Period, spending
from rentals import budgets, lifecycle
from rentals.models import LedgerEntry, MessageSource, Rental, Status
from rentals.queries.filters import HistoryFilter
from rentals.tests.factories import make_person, make_rental, make_team, make_token, signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def mai(team: Team) -> User:
    return make_person(team, username="mai")


@pytest.fixture
def rental(team: Team, linh: User) -> Rental:
    rental = make_rental(
        Status.WAITING, team=team, person=linh, token=make_token(team), phone="+84912345678", price=900
    )
    LedgerEntry.objects.create(token=rental.token, rental=rental, kind="rent", amount=-900, at=timezone.now())
    return rental


def hand_over(by: User, rental: Rental, to: User | None) -> int:
    sent = {"person": to.pk} if to else {}
    return signed_in(by).post(reverse("hand_over", args=[rental.pk]), sent).status_code


def test_the_colleague_owns_the_number_and_reads_its_code(linh: User, mai: User, rental: Rental) -> None:
    assert hand_over(linh, rental, mai) == 302
    rental.refresh_from_db()
    assert (rental.person, rental.ordered_by, rental.status) == (mai, linh, Status.WAITING)
    message = thuesim.Message("Ma: 749216", "749216", False, "")
    assert lifecycle.message_arrived(rental, message, source=MessageSource.POLL)
    rental = Rental.objects.for_cards().get()
    cards = {person.username: card_for(rental, access_for(person)) for person in (linh, mai)}
    assert {name: (card.code, card.mine) for name, card in cards.items()} == {
        "linh": ("••••", False),
        "mai": ("749216", True),
    }


def test_it_stands_in_the_timeline_the_audit_log_and_among_those_who_saw_the_code(
    team: Team, linh: User, mai: User, rental: Rental
) -> None:
    manager = make_person(team, Role.MANAGER, username="boss")
    hand_over(manager, rental, mai)
    event = rental.events.get()
    assert (event.kind, event.person, event.before, event.after) == ("handed over", manager, "waiting", "waiting")
    record = AuditRecord.objects.get(action="hand_over")
    assert (record.person, record.team, record.target) == (manager, team, audit.about(rental))
    assert record.detail == {"person": ["linh", "mai"]}
    page = signed_in(mai).get(reverse("rental", args=[rental.pk])).content.decode()
    assert "From linh to mai, who reads the code. The price stays with the person who ordered." in page
    assert "handed the number over to mai" in page
    assert "ordered by linh" in " ".join(page.split())


def test_only_the_owner_and_managers_may_and_only_to_people_who_may_rent(
    team: Team, linh: User, rental: Rental
) -> None:
    other = make_person(team)
    viewer = make_person(team, Role.VIEWER)
    gone = make_person(team, is_active=False)
    stranger = make_person(make_team())
    assert hand_over(other, rental, other) == 403
    for to in (viewer, gone, stranger, None):
        assert hand_over(linh, rental, to) == 422
    assert hand_over(make_person(team, Role.MANAGER), rental, other) == 302
    assert hand_over(linh, rental, linh) == 403  # no longer hers
    rental.refresh_from_db()
    assert rental.person == other


@pytest.mark.parametrize("status", [Status.WAITING, Status.RECEIVED])
def test_a_number_is_not_handed_over_to_the_person_whose_it_is(
    team: Team, linh: User, mai: User, status: Status
) -> None:
    rental = make_rental(status, team=team, person=mai, phone="+84912345678")
    for by, sentence in [
        (mai, "0912 345 678 is yours already."),
        (linh, "0912 345 678 is mai's already."),  # who sent the form twice
        (make_person(team, Role.MANAGER), "0912 345 678 is mai's already."),
    ]:
        client = signed_in(by)
        answer = client.post(reverse("hand_over", args=[rental.pk]), {"person": mai.pk}, follow=True)
        assert [str(message) for message in answer.context["messages"]] == [sentence]
    rental.refresh_from_db()
    assert (rental.person, rental.ordered_by) == (mai, None)
    assert not AuditRecord.objects.filter(action="hand_over").exists()


def test_of_two_managers_the_second_is_told_whose_it_is_now(
    team: Team, linh: User, mai: User, rental: Rental, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager, third = make_person(team, Role.MANAGER), make_person(team)
    hand_over_in_time = lifecycle.hand_over

    def lose(given: Rental, *, to: User, by: User) -> bool:
        assert hand_over_in_time(Rental.objects.for_cards().get(), to=mai, by=linh)
        return hand_over_in_time(given, to=to, by=by)

    monkeypatch.setattr(lifecycle, "hand_over", lose)
    answer = signed_in(manager).post(reverse("hand_over", args=[rental.pk]), {"person": third.pk}, follow=True)
    assert [str(message) for message in answer.context["messages"]] == ["0912 345 678 is mai's already."]


def test_where_the_team_requires_two_factor_authentication_a_colleague_without_it_gets_no_number(
    team: Team, linh: User, mai: User
) -> None:
    assert list(people_who_may_rent(team)) == [linh, mai]
    Team.objects.update(requires_second_step=True)
    team.refresh_from_db()
    assert not people_who_may_rent(team)


@pytest.mark.parametrize("status", sorted(set(Status) - {Status.WAITING}))
def test_only_a_number_that_waits_changes_hands(team: Team, linh: User, mai: User, status: Status) -> None:
    rental = make_rental(status, team=team, person=linh)
    assert hand_over(linh, rental, mai) == 302
    rental.refresh_from_db()
    assert (rental.person, rental.ordered_by) == (linh, None)
    assert not AuditRecord.objects.filter(action="hand_over").exists()
    assert 'id="hand-over-' not in signed_in(linh).get("/").content.decode()


def test_a_number_that_was_rented_elsewhere_is_nobodys_to_give(team: Team, mai: User) -> None:
    rental = make_rental(Status.WAITING, team=team, imported=True)
    assert hand_over(make_person(team, Role.MANAGER), rental, mai) == 403


def test_the_second_of_two_changes_nothing(team: Team, linh: User, mai: User, rental: Rental) -> None:
    other, manager = make_person(team), make_person(team, Role.MANAGER)
    stale = Rental.objects.for_cards().get()
    assert lifecycle.hand_over(Rental.objects.for_cards().get(), to=mai, by=linh)
    assert not lifecycle.hand_over(stale, to=other, by=manager)
    rental.refresh_from_db()
    assert rental.person == mai
    assert rental.events.count() == AuditRecord.objects.filter(action="hand_over").count() == 1


def test_a_code_that_comes_first_stays_with_its_owner(linh: User, mai: User, rental: Rental) -> None:
    read_before = Rental.objects.for_cards().get()
    lifecycle.message_arrived(rental, thuesim.Message("", "749216", False, ""), source=MessageSource.POLL)
    assert not lifecycle.hand_over(read_before, to=mai, by=linh)


def test_what_it_cost_stays_with_the_person_who_ordered(team: Team, linh: User, mai: User, rental: Rental) -> None:
    third = make_person(team, username="third")
    hand_over(linh, rental, mai)
    hand_over(mai, rental, third)
    rental.refresh_from_db()
    assert (rental.person, rental.ordered_by) == (third, linh)
    assert budgets.spent_by_person(budgets.spent_now(team)) == {linh.pk: (900, 900, 1)}
    for person in (linh, mai, third):
        person.memberships.update(budget_day=1000, rentals_per_day=9)
    used = {
        person.username: [budget.used for budget in budgets.remaining_for(access_for(person)).budgets]
        for person in (linh, mai, third)
    }
    assert used == {"linh": [900, 1], "mai": [0, 0], "third": [0, 0]}
    today = timezone.localdate()
    access = access_for(make_person(team, Role.MANAGER))
    by_person = next(g for g in spending(access, Period(today, today)).groupings if g.key == "person")
    assert [(line.label, line.charged) for line in by_person.lines] == [("linh", 900)]


def test_the_history_finds_it_by_whose_it_is_and_by_who_ordered_it(
    team: Team, linh: User, mai: User, rental: Rental
) -> None:
    own = make_rental(Status.WAITING, team=team, person=linh, queued_at=timezone.now() - timedelta(hours=1))
    hand_over(linh, rental, mai)

    def found(**by: str) -> set[Rental]:
        return set(HistoryFilter.from_query(by).apply(Rental.objects.all(), access_for(linh)))

    assert [found(person=str(person.pk)) for person in (linh, mai)] == [{own}, {rental}]
    assert [found(payer=str(person.pk)) for person in (linh, mai)] == [{own, rental}, set()]
    page = signed_in(mai).get(f"{reverse('history')}?payer={linh.pk}").content.decode()
    assert "ordered by linh" in page


def test_the_card_offers_it_without_another_query(
    linh: User, rental: Rental, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    access = access_for(linh)
    shown = Rental.objects.for_cards().get()
    with django_assert_num_queries(0):
        card = card_for(shown, access)
        assert card.may.hand_over
        assert card.ordered_by is None


def test_the_page_says_when_nobody_else_may_rent(linh: User, rental: Rental) -> None:
    page = signed_in(linh).get(reverse("hand_over", args=[rental.pk]))
    assert "Nobody else in your team may rent." in page.content.decode()


@pytest.mark.django_db(transaction=True)
def test_of_two_at_once_one_wins() -> None:
    team = make_team()
    linh, manager = make_person(team), make_person(team, Role.MANAGER)
    takers = [make_person(team), make_person(team)]
    rental = make_rental(Status.WAITING, team=team, person=linh)
    results: list[bool] = []
    start = threading.Barrier(2)

    def work(to: User) -> None:
        read = Rental.objects.for_cards().get(pk=rental.pk)
        start.wait()
        results.append(lifecycle.hand_over(read, to=to, by=manager))
        connection.close()

    threads: list[Any] = [threading.Thread(target=work, args=[to]) for to in takers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [False, True]
    assert rental.events.count() == 1
