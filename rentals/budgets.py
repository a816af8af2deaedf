"""What a team, its people and their API keys may spend and order: budgets per day and month, allowed services, and a rate
limit.

Against a budget counts what was charged and not refunded, on the day when the number was rented, and the price of every
order under way. So people who order at once cannot exceed it together. Days and months are those of the desk's time zone. A
number rented elsewhere with the same token counts for no budget; one that was handed over, for that of the person who
ordered it. Money is whole đồng.

Both checks lock the team's row (on SQLite the database, for writing) until their transaction ends, so that orders of a
team are counted one after the other. They take that lock before the token's, never after it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from operator import add

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import ApiKey, Membership, Role, Team, User
from accounts.policy import Access
from lib.formats import dong
from rentals import outbox, sums
from rentals.lifecycle import reasons
from rentals.models import Rental, Service, Status, Token

# The rate limit of one person: above what a person types, below what a runaway script sends.
MAX_ORDERS_PER_MINUTE = 60
NEAR_PERCENT = 80

UNDER_WAY = (Status.QUEUED, Status.PLACING, Status.UNCONFIRMED)
SENT = (Status.PLACING, Status.UNCONFIRMED)


@dataclass(frozen=True, slots=True)
class Budget:
    """One budget that is set: `most` allowed and `used` so far, in đồng, or in rentals where `is_money` is false."""

    label: str
    most: int
    used: int
    is_money: bool
    of_team: bool
    name: str  # as in the event `budget.warning`
    of_key: bool = False

    @property
    def remaining(self) -> int:
        return max(0, self.most - self.used)

    def is_exceeded_by(self, price: int) -> bool:
        """Whether one more rental at this price, in đồng, would exceed the budget."""
        return self.used + (price if self.is_money else 1) > self.most

    @property
    def percent(self) -> int:
        return 100 if self.used >= self.most else 100 * self.used // self.most

    @property
    def level(self) -> str:
        """`""`, `"near"` from 80 % on, `"reached"` where nothing remains."""
        return "reached" if self.used >= self.most else "near" if self.percent >= NEAR_PERCENT else ""

    @property
    def amount_remaining(self) -> str:
        return dong(self.remaining) if self.is_money else str(self.remaining)

    @property
    def amount_most(self) -> str:
        return dong(self.most) if self.is_money else str(self.most)


@dataclass(frozen=True, slots=True)
class RemainingBudgets:
    """What remains before an order: the budgets of the person and of their team, and the tokens that run low."""

    budgets: tuple[Budget, ...]
    low_tokens: tuple[Token, ...]

    @property
    def warns(self) -> bool:
        return bool(self.low_tokens) or any(budget.level for budget in self.budgets)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an order is refused: a key of `lifecycle.reasons`, a sentence for the person, the form's field or `""`."""

    reason: str
    sentence: str
    field: str = ""


@dataclass(frozen=True, slots=True)
class _Used:
    """Money spent since the day and the month began, in đồng, and the person's and the key's rentals since the day began."""

    team_day: int
    team_month: int
    person_day: int
    person_month: int
    rentals: int
    key_day: int
    key_month: int
    key_rentals: int


def services_of(team: Team | None) -> QuerySet[Service]:
    """Return the services that the team may order: all on offer, or those among them that were chosen for the team."""
    offered = Service.objects.filter(active=True)
    if team is None:
        return offered.none()
    chosen = team.services.values("pk")
    return offered.filter(pk__in=chosen) if chosen.exists() else offered


def why_not_taken(*, team: Team, person: User, service: Service, api_key: ApiKey | None = None) -> Refusal | None:
    """Return why the person may not order this now, with the API key if any; None where they may.

    Call it in the transaction that writes the order: where this order brings a budget near its end, an event goes out
    with it.
    """
    team = _lock(team.pk)
    if not _allows(team, service):
        return _refusal(reasons.NOT_ALLOWED, field="service")
    recent = Rental.objects.paid_by(person.pk).filter(team=team, queued_at__gt=timezone.now() - timedelta(minutes=1))
    if recent.count() >= MAX_ORDERS_PER_MINUTE:
        return _refusal(reasons.TOO_MANY)
    price = service.price or 0
    if team.max_price is not None and price > team.max_price:
        values = {"price": dong(price), "most": dong(team.max_price)}
        sentence = (
            _("It costs %(price)s, and your team allows %(most)s for one number. Ask a manager of your team.") % values
        )
        return Refusal(reasons.TEAM_PRICE, sentence, "service")
    budgets = _budgets(team, _membership(team, person.pk), UNDER_WAY, api_key)
    exceeded = next((budget for budget in budgets if budget.is_exceeded_by(price)), None)
    if exceeded is None:
        _warn(team, person, budgets, price)
        return None
    sentence = _("%(budget)s: %(left)s of %(most)s left, and this order costs %(price)s. Ask a manager of your team.")
    if not exceeded.is_money:
        sentence = _("%(budget)s: all %(most)s are used. Order again tomorrow, or ask a manager of your team.")
    values = {
        "budget": exceeded.label,
        "left": exceeded.amount_remaining,
        "most": exceeded.amount_most,
        "price": dong(price),
    }
    return Refusal(_reason(exceeded), sentence % values)


def _warn(team: Team, person: User, budgets: list[Budget], price: int) -> None:
    """Tell the team's destinations of the budgets that this order, at `price` đồng, brings near their end or to it."""
    for budget in budgets:
        then = replace(budget, used=budget.used + (price if budget.is_money else 1))
        if then.level and then.level != budget.level:
            whose = None if budget.of_team else person
            outbox.about_budget(team.pk, whose, budget=budget.name, level=then.level, used=then.used, most=then.most)


def why_not_placed(rental: Rental) -> str:
    """Return the key of the reason why a queued order may no longer be sent, `""` where it may.

    Call it in the transaction that claims the order, before the token's turn is claimed. The other orders in the queue
    do not count: each is checked at its own turn. The team of `rental` is then read anew.
    """
    team = rental.team = _lock(rental.team_id)
    membership = _membership(team, rental.person_id)
    if not _may_still_rent(rental.person, membership):
        return reasons.NO_RIGHT
    if not _allows(team, rental.service):
        return reasons.NOT_ALLOWED
    if rental.api_key is not None and rental.api_key.revoked_at is not None:
        return reasons.KEY_REVOKED
    price = rental.service.price or 0
    if rental.price_limit is not None and price > rental.price_limit:
        return reasons.PRICE_ROSE
    if team.max_price is not None and price > team.max_price:
        return reasons.TEAM_PRICE
    for budget in _budgets(team, membership, SENT, rental.api_key):
        if budget.is_exceeded_by(price):
            return _reason(budget)
    return ""


def remaining_for(
    access: Access, api_key: ApiKey | None = None, *, spent: list[sums.Spent] | None = None
) -> RemainingBudgets:
    """Return what remains for the person in the team they work in, and for the API key. Two queries at most, one where
    what the team `spent_now` is known."""
    team = access.team
    if team is None:
        return RemainingBudgets((), ())
    low = Token.objects.filter(teams=team, balance__lt=team.low_balance) if team.low_balance is not None else ()
    membership = access.membership if access.may_rent else None
    return RemainingBudgets(tuple(_budgets(team, membership, UNDER_WAY, api_key, spent)), tuple(low))


def spent_now(team: Team, people: Sequence[int] | None = None) -> list[sums.Spent]:
    """Return what was spent today and this month, by everybody, or by some people and by the others together: for
    `spent_by_person`, and for `remaining_for` where the person is among them. One query."""
    return sums.spent(team.pk, UNDER_WAY, people=people)


def spent_by_person(spent: list[sums.Spent]) -> dict[int, tuple[int, int, int]]:
    """Return by person id: đồng spent today, đồng spent this month, rentals today."""
    by_person: dict[int, list[int]] = {}
    for row in spent:
        if row.person_id is not None:
            counted = by_person.setdefault(row.person_id, [0, 0, 0])
            by_person[row.person_id] = list(map(add, counted, (row.day, row.month, row.day_rentals)))
    return {person_id: (day, month, rentals) for person_id, (day, month, rentals) in by_person.items()}


def spent_by(person_id: int, team: Team) -> tuple[int, int, int]:
    """Return of one person, as `spent_by_person` does: đồng spent today, đồng spent this month, rentals today. One query."""
    return spent_by_person(spent_now(team, [person_id])).get(person_id, (0, 0, 0))


def _lock(team_id: int) -> Team:
    # `no_key`: rows that refer to the team, as every order does, can still be written meanwhile.
    return Team.objects.select_for_update(no_key=True).get(pk=team_id)


def _membership(team: Team, person_id: int | None) -> Membership | None:
    return Membership.objects.filter(team=team, user=person_id).first() if person_id is not None else None


def _may_still_rent(person: User | None, membership: Membership | None) -> bool:
    if person is None or not person.is_active:
        return False
    return person.is_staff or (membership is not None and membership.role in {Role.OPERATOR, Role.MANAGER})


def chosen_services(team: Team) -> frozenset[int]:
    """Return the keys of the services that were chosen for the team; none where it may order all on offer. One query."""
    return frozenset(team.services.values_list("pk", flat=True))


def _allows(team: Team, service: Service) -> bool:
    chosen = chosen_services(team)
    return not chosen or service.pk in chosen


def _refusal(reason: str, field: str = "") -> Refusal:
    return Refusal(reason, str(reasons.SENTENCES[reason]), field)


def _reason(exceeded: Budget) -> str:
    if exceeded.of_key:
        return reasons.KEY_BUDGET if exceeded.is_money else reasons.KEY_RENTALS
    if not exceeded.is_money:
        return reasons.OWN_RENTALS
    return reasons.TEAM_BUDGET if exceeded.of_team else reasons.OWN_BUDGET


def _budgets(
    team: Team,
    membership: Membership | None,
    under_way: Sequence[Status],
    api_key: ApiKey | None = None,
    spent: list[sums.Spent] | None = None,
) -> list[Budget]:
    """Return the budgets that are set, with what is used of each. No query where none is set or what was `spent` is known,
    else one."""
    own, of_key = membership or Membership(), api_key or ApiKey()
    if all(most is None for most in (team.budget_day, team.budget_month, *_own_budgets(own), *_own_budgets(of_key))):
        return []
    person_id = membership.user_id if membership else None
    if spent is None:
        spent = sums.spent(team.pk, under_way, only=(person_id, api_key.pk if api_key else None))
    used = _used(spent, person_id, api_key)
    all_budgets = (
        (_("Your budget for today"), own.budget_day, used.person_day, True, False, "person_day"),
        (_("Your budget for this month"), own.budget_month, used.person_month, True, False, "person_month"),
        (_("Your rentals for today"), own.rentals_per_day, used.rentals, False, False, "person_rentals"),
        (_("The key's budget for today"), of_key.budget_day, used.key_day, True, False, "key_day"),
        (_("The key's budget for this month"), of_key.budget_month, used.key_month, True, False, "key_month"),
        (_("The key's rentals for today"), of_key.rentals_per_day, used.key_rentals, False, False, "key_rentals"),
        (_("The team's budget for today"), team.budget_day, used.team_day, True, True, "team_day"),
        (_("The team's budget for this month"), team.budget_month, used.team_month, True, True, "team_month"),
    )
    return [
        Budget(label, most, used_of_it, is_money, of_team, name, of_key=name.startswith("key_"))
        for label, most, used_of_it, is_money, of_team, name in all_budgets
        if most is not None
    ]


def _own_budgets(own: Membership | ApiKey) -> tuple[int | None, int | None, int | None]:
    return own.budget_day, own.budget_month, own.rentals_per_day


def _used(rows: list[sums.Spent], person_id: int | None, api_key: ApiKey | None) -> _Used:
    own = [row for row in rows if row.person_id == person_id and person_id is not None]
    of_key = [row for row in rows if api_key is not None and row.key_id == api_key.pk]
    return _Used(
        team_day=sum(row.day for row in rows),
        team_month=sum(row.month for row in rows),
        person_day=sum(row.day for row in own),
        person_month=sum(row.month for row in own),
        rentals=sum(row.day_rentals for row in own),
        key_day=sum(row.day for row in of_key),
        key_month=sum(row.month for row in of_key),
        key_rentals=sum(row.day_rentals for row in of_key),
    )
