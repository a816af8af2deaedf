"""Budgets, rentals per day and services: what may be ordered, what is left, what counts."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.utils import timezone

from accounts import api_keys
from accounts.models import AuditRecord, Membership, Role, Team, User
from accounts.policy import access_for
from rentals import budgets, lifecycle, orders
from rentals.lifecycle import reasons
from rentals.models import LedgerEntry, Rental, Service, Status, Token
from rentals.tests.factories import make_person, make_rental, make_service, make_team, make_token
from rentals.tests.fixtures import House, place

pytestmark = pytest.mark.django_db


@pytest.fixture
def team() -> Team:
    return make_team("Support")


@pytest.fixture
def person(team: Team) -> User:
    return make_person(team, username="linh")


@pytest.fixture
def token(team: Team) -> Token:
    return make_token(team)


@pytest.fixture
def service() -> Service:
    return make_service(price=1000)


def order(team: Team, person: User, service: Service) -> Rental:
    return orders.take_order(orders.Order(person=person, team=team, service=service))


def refused(team: Team, person: User, service: Service) -> str:
    with pytest.raises(orders.OrderRefused) as caught:
        order(team, person, service)
    return caught.value.sentence


def set_own_budgets(person: User, **budgets_: int) -> None:
    Membership.objects.filter(user=person).update(**budgets_)


def set_team_budgets(team: Team, **budgets_: int) -> None:
    Team.objects.filter(pk=team.pk).update(**budgets_)


def charged(team: Team, person: User, token: Token, *, price: int, at: datetime | None = None) -> Rental:
    at = at or timezone.now()
    rental = make_rental(Status.RECEIVED, team=team, person=person, token=token, price=price, placed_at=at)
    LedgerEntry.objects.create(token=token, rental=rental, kind="rent", amount=-price, at=at)
    return rental


def refunded(rental: Rental) -> None:
    LedgerEntry.objects.create(
        token=rental.token, rental=rental, kind="refund", amount=rental.price or 0, at=timezone.now()
    )


@pytest.mark.parametrize("field", ["budget_day", "budget_month"])
def test_a_team_orders_up_to_its_budget_and_not_past_it(
    team: Team, person: User, token: Token, service: Service, field: str
) -> None:
    set_team_budgets(team, **{field: 2500})
    order(team, person, service)
    order(team, make_person(team), service)
    assert "500 ₫ of 2.500 ₫ left, and this order costs 1.000 ₫" in refused(team, person, service)


@pytest.mark.parametrize("field", ["budget_day", "budget_month"])
def test_a_person_orders_up_to_their_budget_and_their_colleagues_go_on(
    team: Team, person: User, token: Token, service: Service, field: str
) -> None:
    set_own_budgets(person, **{field: 1999})
    order(team, person, service)
    assert refused(team, person, service).startswith("Your budget for")
    order(team, make_person(team), service)


def test_a_person_rents_so_many_numbers_a_day(team: Team, person: User, token: Token, service: Service) -> None:
    set_own_budgets(person, rentals_per_day=2)
    charged(team, person, token, price=1)
    charged(team, person, token, price=1, at=timezone.now() - timedelta(days=1))
    order(team, person, service)
    assert refused(team, person, service).startswith("Your rentals for today: all 2 are used.")


def test_an_admin_who_is_no_member_keeps_to_the_teams_budget(team: Team, token: Token, service: Service) -> None:
    set_team_budgets(team, budget_day=1000)
    admin = make_person(is_staff=True)
    order(team, admin, service)
    assert refused(team, admin, service).startswith("The team's budget for today")


def test_what_is_spent_is_what_was_charged_and_not_given_back(
    team: Team, person: User, token: Token, service: Service
) -> None:
    set_team_budgets(team, budget_day=3000)
    charged(team, person, token, price=2000)
    back = charged(team, person, token, price=1000)
    refused(team, person, service)
    refunded(back)
    order(team, person, service)
    refused(team, person, service)


@pytest.mark.parametrize("status", [Status.CANCELLED, Status.REFUSED])
def test_orders_that_got_no_number_cost_nothing(
    team: Team, person: User, token: Token, service: Service, status: Status
) -> None:
    set_team_budgets(team, budget_day=1000)
    rental = order(team, person, service)
    Rental.objects.filter(pk=rental.pk).update(status=status)
    order(team, person, service)


@pytest.mark.parametrize("status", [Status.QUEUED, Status.PLACING, Status.UNCONFIRMED])
def test_orders_under_way_count_as_spent(
    team: Team, person: User, token: Token, service: Service, status: Status
) -> None:
    set_team_budgets(team, budget_day=1999)
    make_rental(status, team=team, person=person, token=token, service=service)
    refused(team, person, service)


def test_what_was_rented_elsewhere_counts_for_no_budget(
    team: Team, person: User, token: Token, service: Service
) -> None:
    set_team_budgets(team, budget_day=1000)
    make_rental(Status.RECEIVED, team=team, token=token, price=1000, imported=True)
    order(team, person, service)


def test_a_budget_is_fresh_at_midnight_of_the_desks_own_time_zone(
    team: Team, person: User, token: Token, service: Service
) -> None:
    set_team_budgets(team, budget_day=1000, budget_month=2000)
    with time_machine.travel(datetime(2026, 3, 30, 16, 59, tzinfo=UTC), tick=False):  # 23:59 in Vietnam
        charged(team, person, token, price=1000)
        refused(team, person, service)
    with time_machine.travel(datetime(2026, 3, 30, 17, 1, tzinfo=UTC), tick=False):
        charged(team, person, token, price=1000)
        assert refused(team, person, service).startswith("The team's budget for today")
    with time_machine.travel(datetime(2026, 3, 31, 16, 59, tzinfo=UTC), tick=False):
        refused(team, person, service)
    with time_machine.travel(datetime(2026, 3, 31, 17, 1, tzinfo=UTC), tick=False):
        order(team, person, service)


def test_another_team_has_a_budget_of_its_own(team: Team, person: User, token: Token, service: Service) -> None:
    set_team_budgets(team, budget_day=1000)
    other = make_team()
    token.teams.add(other)
    Membership.objects.create(user=person, team=other, role=Role.OPERATOR)
    order(other, person, service)
    order(team, person, service)


def test_a_team_orders_the_services_that_were_chosen_for_it(
    team: Team, person: User, token: Token, service: Service
) -> None:
    assert list(budgets.services_of(team)) == [service]
    team.services.add(make_service(active=False))
    assert "may not rent" in refused(team, person, service)
    assert not budgets.services_of(team).exists()
    team.services.add(service)
    order(team, person, service)
    assert list(budgets.services_of(team)) == [service]


def test_a_person_orders_sixty_numbers_a_minute_at_most(
    team: Team, person: User, token: Token, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budgets, "MAX_ORDERS_PER_MINUTE", 2)
    now = timezone.now()
    with time_machine.travel(now, tick=False):
        order(team, person, service)
        order(team, person, service)
        assert "Wait a minute" in refused(team, person, service)
        order(team, make_person(team), service)
    with time_machine.travel(now + timedelta(seconds=61), tick=False):
        order(team, person, service)


def test_an_order_that_is_taken_is_an_audit_record(team: Team, person: User, token: Token, service: Service) -> None:
    rental = order(team, person, service)
    record = AuditRecord.objects.get(action="order")
    assert (record.person, record.team, record.target) == (person, team, f"rental {rental.pk}")
    assert record.detail["price"] == 1000


def test_a_budget_that_was_cut_meanwhile_lets_the_first_orders_through(house: House) -> None:
    orders = [order(house.team, house.person, house.service) for _ in range(3)]
    set_team_budgets(house.team, budget_day=2 * (house.service.price or 0))
    placed = [place(rental) for rental in orders]
    assert [rental.status for rental in placed] == [Status.WAITING, Status.WAITING, Status.REFUSED]
    assert placed[2].reason == reasons.TEAM_BUDGET


@pytest.mark.parametrize("word", [reasons.OWN_BUDGET, reasons.OWN_RENTALS, reasons.NOT_ALLOWED, reasons.NO_RIGHT])
def test_what_may_no_longer_be_ordered_is_refused_at_its_turn(house: House, word: str) -> None:
    rental = order(house.team, house.person, house.service)
    if word == reasons.OWN_BUDGET:
        set_own_budgets(house.person, budget_month=0)
    elif word == reasons.OWN_RENTALS:
        set_own_budgets(house.person, rentals_per_day=0)
    elif word == reasons.NOT_ALLOWED:
        house.team.services.add(make_service())
    else:
        User.objects.filter(pk=house.person.pk).update(is_active=False)
    assert place(rental).status == Status.REFUSED
    assert rental.reason == word
    house.token.refresh_from_db()
    assert house.token.next_turn_at is None  # no turn was used up


def test_who_is_made_a_viewer_no_longer_gets_what_they_ordered(house: House) -> None:
    rental = order(house.team, house.person, house.service)
    Membership.objects.filter(user=house.person).update(role=Role.VIEWER)
    assert place(rental).reason == reasons.NO_RIGHT


def test_what_is_left_is_said_with_a_warning_from_80_percent_on(
    team: Team, person: User, token: Token, service: Service
) -> None:
    set_team_budgets(team, budget_day=10_000)
    set_own_budgets(person, rentals_per_day=9)

    def levels() -> list[str]:
        return [budget.level for budget in budgets.remaining_for(access_for(person)).budgets]

    assert levels() == ["", ""]
    charged(team, person, token, price=7999)
    assert levels() == ["", ""]
    assert not budgets.remaining_for(access_for(person)).warns
    charged(team, make_person(team), token, price=1)
    assert levels() == ["", "near"]
    assert budgets.remaining_for(access_for(person)).warns
    charged(team, make_person(team), token, price=2000)
    assert levels() == ["", "reached"]
    own, teams = budgets.remaining_for(access_for(person)).budgets
    assert (own.amount_remaining, own.amount_most, teams.amount_remaining, teams.percent) == ("8", "9", "0 ₫", 100)


def test_a_budget_of_nothing_is_reached(team: Team, person: User) -> None:
    set_team_budgets(team, budget_day=0)
    [budget] = budgets.remaining_for(access_for(person)).budgets
    assert (budget.level, budget.percent) == ("reached", 100)


def test_a_token_that_runs_low_is_named(team: Team, person: User, token: Token) -> None:
    token.balance = 4999
    token.save()
    assert budgets.remaining_for(access_for(person)).low_tokens == ()
    set_team_budgets(team, low_balance=5000)
    make_token(make_team(), balance=0)
    assert budgets.remaining_for(access_for(person)).low_tokens == (token,)


def test_a_viewer_is_told_of_the_team_alone(team: Team, token: Token) -> None:
    viewer = make_person(team, Role.VIEWER)
    set_team_budgets(team, budget_month=5)
    set_own_budgets(viewer, budget_month=5)
    assert [budget.of_team for budget in budgets.remaining_for(access_for(viewer)).budgets] == [True]


def test_without_budgets_nothing_is_counted(team: Team, person: User, django_assert_num_queries: object) -> None:
    access = access_for(person)
    with django_assert_num_queries(0):  # type: ignore[operator]
        assert not budgets.remaining_for(access).warns


def test_each_persons_spending_is_known(team: Team, person: User, token: Token, service: Service) -> None:
    charged(team, person, token, price=700)
    order(team, person, service)
    assert budgets.spent_by_person(budgets.spent_now(team)) == {person.pk: (1700, 1700, 2)}
    assert budgets.spent_by(person.pk, team) == (1700, 1700, 2)
    assert budgets.spent_by(make_person(team).pk, team) == (0, 0, 0)
    lifecycle.cancel(Rental.objects.get(status=Status.QUEUED), person=person)
    assert budgets.spent_by_person(budgets.spent_now(team)) == {person.pk: (700, 700, 1)}


def test_cancelling_is_an_audit_record(team: Team, person: User, token: Token, service: Service) -> None:
    rental = order(team, person, service)
    colleague = make_person(team, Role.MANAGER)
    assert lifecycle.cancel(rental, person=colleague)
    assert not lifecycle.cancel(rental, person=colleague)
    record = AuditRecord.objects.get(action="cancel")
    assert (record.person, record.team, record.target) == (colleague, team, f"rental {rental.pk}")


def test_a_key_keeps_to_its_own_budget_and_ends_its_queued_orders(house: House) -> None:
    key, _secret = api_keys.make(
        house.person,
        access_for(house.person, team_id=house.team.pk),
        name="CI",
        scopes=["rentals:write"],
        bounds={"rentals_per_day": 1},
    )
    order = {"person": house.person, "team": house.team, "service": house.service}
    rental = orders.take_order(orders.Order(**order, api_key=key))  # type: ignore[arg-type]
    with pytest.raises(orders.OrderRefused) as refused:
        orders.take_order(orders.Order(**order, api_key=key))  # type: ignore[arg-type]
    assert refused.value.reason == "key_rentals"
    orders.take_order(orders.Order(**order))  # type: ignore[arg-type]
    assert budgets.why_not_placed(rental) == ""
    key.revoked_at = timezone.now()
    key.save()
    assert budgets.why_not_placed(Rental.objects.get(pk=rental.pk)) == "key_revoked"
