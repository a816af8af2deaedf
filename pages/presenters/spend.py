"""What a team spent, and on what: by day, service, person, purpose and token; and the money that is not explained yet.

As with budgets, money belongs to the day on which the number was rented, even if it was refunded later. Numbers rented
elsewhere with the same token count too: they were paid from the same balance. All amounts are whole đồng.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db.models import Count, F, FilteredRelation, Q, QuerySet, Sum
from django.db.models.functions import Coalesce, TruncDate
from django.http import QueryDict
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import User
from accounts.policy import Access
from lib import query_params
from lib.query_params import midnight
from rentals import bookkeeping
from rentals.models import BalanceQuestion, LedgerEntry, Rental, Service, Token
from thuesim import phones

MAX_PERIOD = timedelta(days=366)
# The rest of a table is one line.
MAX_LINES = 15
MAX_QUESTIONS = 20
MAX_BOOKED = 50


@dataclass(frozen=True, slots=True)
class Period:
    """Days, both included."""

    since: date
    until: date

    @classmethod
    def from_query(cls, query: Mapping[str, str] | QueryDict) -> "Period":
        """Read `?since=2026-10-01&until=2026-10-31`; what is missing or wrong becomes the last thirty days."""
        today = timezone.localdate()
        until = query_params.day(query.get("until")) or today
        since = query_params.day(query.get("since")) or until - timedelta(days=29)
        return cls(max(min(since, until), until - MAX_PERIOD), until)

    @property
    def start(self) -> datetime:
        return midnight(self.since)

    @property
    def end(self) -> datetime:
        return midnight(self.until + timedelta(days=1))

    @property
    def days(self) -> list[date]:
        return [self.since + timedelta(days=n) for n in range((self.until - self.since).days + 1)]

    def __str__(self) -> str:
        return f"{self.since:%d/%m/%Y} – {self.until:%d/%m/%Y}"

    @property
    def query(self) -> str:
        return f"since={self.since:%Y-%m-%d}&until={self.until:%Y-%m-%d}"


def usual_periods() -> list[tuple[Promise, Period]]:
    """Return the periods that people ask for, with their names."""
    today = timezone.localdate()
    month = today.replace(day=1)
    before = month - timedelta(days=1)
    return [
        (gettext_lazy("Today"), Period(today, today)),
        (gettext_lazy("7 days"), Period(today - timedelta(days=6), today)),
        (gettext_lazy("30 days"), Period(today - timedelta(days=29), today)),
        (gettext_lazy("This month"), Period(month, today)),
        (gettext_lazy("Last month"), Period(before.replace(day=1), before)),
    ]


@dataclass(frozen=True, slots=True)
class Line:
    """What was spent on one thing. `query` is the history's query for it, `""` where it has none."""

    label: str
    rentals: int
    charged: int
    refunded: int
    query: str = ""

    @property
    def spent(self) -> int:
        return self.charged - self.refunded


@dataclass(frozen=True, slots=True)
class Grouping:
    """Spending by one thing, most expensive first."""

    key: str
    label: Promise
    lines: list[Line]


@dataclass(frozen=True, slots=True)
class Question:
    """An open question about a token's balance, with the team's rentals whose refunds it may be about."""

    question: BalanceQuestion
    refunds: list[tuple[Rental, str]]  # with the phone as it is read

    @property
    def may_be_top_up(self) -> bool:
        return self.question.amount > 0


@dataclass(frozen=True, slots=True)
class Spending:
    """All that was spent in a period."""

    total: Line
    days: list[Line]
    groupings: list[Grouping]
    dearer: Line  # what numbers cost beyond the price that was shown at the order


# Where a table is by another column than its name.
_COLUMNS = {"person": "payer"}


def spending(access: Access, period: Period) -> Spending:
    """Return what the person's team spent. Six queries, and one for each table's names."""
    days = _by_day(access, period)
    total = _sum(_("Total"), days)
    labels = (
        ("service", gettext_lazy("Service"), _service_lines),
        ("person", gettext_lazy("Person"), _person_lines),
        ("purpose", gettext_lazy("Purpose"), _purpose_lines),
        ("token", gettext_lazy("Token"), _token_lines),
    )
    groupings = [
        Grouping(key, label, _by(access, period, _COLUMNS.get(key, key), total, naming))
        for key, label, naming in labels
    ]
    return Spending(total, days, groupings, _dearer(access, period))


def _dearer(access: Access, period: Period) -> Line:
    rented = _rented(access, period).filter(price__gt=F("agreed_price"))
    sums = rented.aggregate(n=Count("pk"), more=Coalesce(Sum(F("price") - F("agreed_price")), 0))
    return Line("", sums["n"], sums["more"], 0)


def questions(access: Access) -> list[Question]:
    """Return the open questions on the team's tokens, the oldest first, at most `MAX_QUESTIONS`. One query, and one for
    each of them."""
    found = []
    for question in bookkeeping.open_questions(access)[:MAX_QUESTIONS]:
        rentals = bookkeeping.refundable_for(question, access) if question.amount > 0 else []
        found.append(Question(question, [(rental, phones.pretty(rental.phone)) for rental in rentals]))
    return found


def booked(access: Access, period: Period) -> list[LedgerEntry]:
    """Return the period's refunds, top-ups and corrections on the team's tokens, the newest first, at most `MAX_BOOKED`.
    One query."""
    return list(bookkeeping.lines(access).filter(at__gte=period.start, at__lt=period.end)[:MAX_BOOKED])


def _rented(access: Access, period: Period) -> QuerySet[Rental]:
    refund = FilteredRelation("ledger", condition=Q(ledger__kind=LedgerEntry.Kind.REFUND, ledger__taken_back=False))
    rented = Rental.objects.visible_to(access).filter(placed_at__gte=period.start, placed_at__lt=period.end)
    return rented.with_payer().annotate(refund=refund).order_by()


def _sums() -> dict[str, Any]:
    # A rental has one refund at most, so the join doubles no row.
    return {
        "n": Count("pk"),
        "charged": Coalesce(Sum("price"), 0),
        "refunded": Coalesce(Sum("refund__amount"), 0),
    }


def _by_day(access: Access, period: Period) -> list[Line]:
    rows = _rented(access, period).annotate(day=TruncDate("placed_at")).values_list("day").annotate(**_sums())
    sums = {day: (n, charged, refunded) for day, n, charged, refunded in rows}
    lines = []
    for day in period.days:
        n, charged, refunded = sums.get(day, (0, 0, 0))
        lines.append(Line(day.strftime("%d/%m/%Y"), n, charged, refunded, f"since={day}&until={day}"))
    return lines


# From the keys of a table to the label and the history's query of each.
_Naming = Callable[[list[Any]], dict[Any, tuple[str, str]]]


def _by(access: Access, period: Period, key: str, total: Line, naming: _Naming) -> list[Line]:
    rows = list(
        _rented(access, period)
        .values(key)
        .annotate(**_sums(), spent=F("charged") - F("refunded"))
        .order_by("-spent", "-n", key)[: MAX_LINES + 1]
    )
    names = naming([row[key] for row in rows[:MAX_LINES]])
    lines = []
    for row in rows[:MAX_LINES]:
        label, query = names.get(row[key], ("", ""))
        query = f"{query}&{period.query}" if query else ""
        lines.append(Line(label, row["n"], row["charged"], row["refunded"], query))
    if len(rows) > MAX_LINES:
        shown = _sum("", lines)
        rest = (total.rentals - shown.rentals, total.charged - shown.charged, total.refunded - shown.refunded)
        lines.append(Line(_("all others"), *rest))
    return lines


def _sum(label: str, lines: Iterable[Line]) -> Line:
    lines = list(lines)
    return Line(label, sum(x.rentals for x in lines), sum(x.charged for x in lines), sum(x.refunded for x in lines))


def _service_lines(keys: list[Any]) -> dict[Any, tuple[str, str]]:
    return {s.pk: (f"{s.name} · {s.key}", f"service={s.key}") for s in Service.objects.filter(pk__in=keys)}


def _person_lines(keys: list[Any]) -> dict[Any, tuple[str, str]]:
    named = {person.pk: (str(person), f"payer={person.pk}") for person in User.objects.filter(pk__in=keys)}
    return {None: (_("rented elsewhere (imported)"), ""), **named}


def _purpose_lines(keys: list[Any]) -> dict[Any, tuple[str, str]]:
    query = QueryDict(mutable=True)
    named = {}
    for key in keys:
        query["q"] = key
        named[key] = (key, query.urlencode()) if key else (_("no purpose given"), "")
    return named


def _token_lines(keys: list[Any]) -> dict[Any, tuple[str, str]]:
    return {token.pk: (token.name, f"token={token.pk}") for token in Token.objects.filter(pk__in=keys)}
