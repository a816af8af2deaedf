"""What a team spent, and on what: by day, service, person, purpose and token; and the money that is not explained yet.

As with budgets, money belongs to the day on which the number was rented, even if it was refunded later. Numbers rented
elsewhere with the same token count too: they were paid from the same balance. All amounts are whole đồng.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.db.models import Count, F, FilteredRelation, Q, QuerySet, Sum
from django.db.models.functions import Coalesce, Substr, TruncDate
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
from rentals.models import BalanceQuestion, LedgerEntry, Rental, Service, Status, Token
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
    """What was spent on one thing, and how many codes came for it. `query` is the history's query for it, `""` where it has
    none."""

    label: str
    rentals: int
    charged: int
    refunded: int
    query: str = ""
    codes: int = 0

    @property
    def spent(self) -> int:
        return self.charged - self.refunded

    @property
    def cost_per_code(self) -> int | None:
        """What one code cost in the end, in đồng; None where none came."""
        return round(self.spent / self.codes) if self.codes else None


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
    by_network: Grouping  # and by service and prefix
    dearer: Line  # what numbers cost beyond the price that was shown at the order


def headings() -> list[str]:
    """Return the columns' names of the export, in the active language."""
    return [_("Table"), _("Name"), _("Numbers"), _("Charged, đồng"), _("Refunded, đồng"), _("Spent, đồng"), _("Codes")]


def rows(spent: Spending) -> Iterator[list[str | int | None]]:
    """Yield a row for each line of each table, the days first."""
    groupings = [(_("Day"), spent.days), *((str(each.label), each.lines) for each in spent.groupings)]
    network = spent.by_network
    for label, lines in [*groupings, (str(network.label), network.lines), (_("Total"), [spent.total])]:
        for line in lines:
            yield [label, line.label, line.rentals, line.charged, line.refunded, line.spent, line.codes]


# Where a table is by another column than its name.
_COLUMNS = {"person": "payer"}


def spending(access: Access, period: Period) -> Spending:
    """Return what the person's team spent. Six queries, and one for each table's names."""
    days, dearer = _by_day(access, period)
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
    by_network = _by_network_and_prefix(access, period, total)
    in_detail = Grouping("network", gettext_lazy("Service, network and prefix"), by_network)
    return Spending(total, days, groupings, in_detail, dearer)


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
        "codes": Count("pk", filter=Q(status=Status.RECEIVED)),
        "charged": Coalesce(Sum("price"), 0),
        "refunded": Coalesce(Sum("refund__amount"), 0),
    }


def _by_day(access: Access, period: Period) -> tuple[list[Line], Line]:
    """Return a line for each day, and one for what numbers cost beyond the price that was shown. One query."""
    dearer = Q(price__gt=F("agreed_price"))
    more = Coalesce(Sum(F("price") - F("agreed_price"), filter=dearer), 0)
    by_day: Any = _rented(access, period).annotate(day=TruncDate("placed_at")).values("day")
    rows = {row["day"]: row for row in by_day.annotate(**_sums(), dearer=Count("pk", filter=dearer), more=more)}
    lines = []
    for day in period.days:
        row = rows.get(day, {"n": 0, "codes": 0, "charged": 0, "refunded": 0})
        query = f"since={day}&until={day}"
        lines.append(Line(f"{day:%d/%m/%Y}", row["n"], row["charged"], row["refunded"], query, row["codes"]))
    return lines, Line("", sum(row["dearer"] for row in rows.values()), sum(row["more"] for row in rows.values()), 0)


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
        lines.append(Line(label, row["n"], row["charged"], row["refunded"], query, row["codes"]))
    return lines + _rest(total, lines) if len(rows) > MAX_LINES else lines


def _rest(total: Line, shown: Iterable[Line]) -> list[Line]:
    """Return the line of all that the others leave of the total."""
    sums = _sum("", shown)
    return [
        Line(
            _("all others"),
            total.rentals - sums.rentals,
            total.charged - sums.charged,
            total.refunded - sums.refunded,
            codes=total.codes - sums.codes,
        )
    ]


def _by_network_and_prefix(access: Access, period: Period, total: Line) -> list[Line]:
    """Return what was spent by service, network and prefix: where codes are cheap, and where they are not. One query."""
    columns = ["service__name", "service__sv", "service__upstream_id", "network", "prefix"]
    rows = list(
        _rented(access, period)
        .annotate(prefix=Substr("phone", 4, 2))
        .values(*columns)
        .annotate(**_sums(), spent=F("charged") - F("refunded"))
        .order_by("-spent", "-n", *columns)[: MAX_LINES + 1]
    )
    lines = []
    for row in rows[:MAX_LINES]:
        key = ".".join(filter(None, [row["service__sv"], row["service__upstream_id"]]))
        digits = f"0{row['prefix']}" if row["prefix"] else ""
        label = " · ".join(filter(None, [row["service__name"], row["network"], digits]))
        query = urlencode({"service": key, "network": row["network"], "prefix": row["prefix"]})
        query = f"{query}&{period.query}"
        lines.append(Line(label, row["n"], row["charged"], row["refunded"], query, row["codes"]))
    return lines + _rest(total, lines) if len(rows) > MAX_LINES else lines


def _sum(label: str, lines: Iterable[Line]) -> Line:
    sums = ([x.rentals, x.charged, x.refunded, x.codes] for x in lines)
    rentals, charged, refunded, codes = (sum(column) for column in zip([0, 0, 0, 0], *sums, strict=True))
    return Line(label, rentals, charged, refunded, codes=codes)


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
