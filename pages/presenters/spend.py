"""What a team spent, and on what: by day, service, person, purpose and token; and the money that is not explained yet.

As with budgets, money belongs to the day on which the number was rented, even if it was refunded later. Numbers rented
elsewhere with the same token count too: they were paid from the same balance. All amounts are whole đồng.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import urlencode

from django.db.models import Prefetch
from django.http import QueryDict
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import User
from accounts.policy import Access
from lib.time_zones import desk_day, is_of_desk
from lib.web import query_params
from lib.web.query_params import desk_midnight
from rentals import bookkeeping, sums
from rentals.models import BalanceQuestion, LedgerEntry, Rental, Service, Token
from rentals.queries.filters import DESK_DAYS
from rentals.sums import Kind, Payers, Sum
from thuesim import phones

MAX_PERIOD = timedelta(days=366)
# The rest of a table is one line.
MAX_LINES = 15
# Purposes are ranked up to so many sums of days, months and years: where each is used once, there is one for each rental.
MAX_RANKED = 12_000
MAX_QUESTIONS = 20
MAX_BOOKED = 50
_OF_A_QUESTION = ("since", "until", "amount", "token__name")
# By which people are shown.
_NAMES = ("first_name", "last_name", "username")


@dataclass(frozen=True, slots=True)
class Period:
    """Days, both included. `is_shortened` where more days were asked for than one page adds up."""

    since: date
    until: date
    is_shortened: bool = field(default=False, compare=False)

    @classmethod
    def from_query(cls, query: Mapping[str, str] | QueryDict) -> "Period":
        """Read `?since=2026-10-01&until=2026-10-31`; what is missing or wrong becomes the last thirty days."""
        today = desk_day()
        until = query_params.day(query.get("until")) or today
        since = query_params.day(query.get("since")) or until - timedelta(days=29)
        earliest = until - MAX_PERIOD
        return cls(max(since, earliest), until, is_shortened=since < earliest)

    @property
    def is_backwards(self) -> bool:
        """Whether it has no day, since its first one is after its last."""
        return self.since > self.until

    @property
    def start(self) -> datetime:
        return desk_midnight(self.since)

    @property
    def end(self) -> datetime:
        return desk_midnight(self.until + timedelta(days=1))

    @property
    def days(self) -> list[date]:
        return [self.since + timedelta(days=n) for n in range((self.until - self.since).days + 1)]

    def __str__(self) -> str:
        return f"{self.since:%d/%m/%Y} – {self.until:%d/%m/%Y}"

    @property
    def query(self) -> str:
        return f"since={self.since:%Y-%m-%d}&until={self.until:%Y-%m-%d}"

    @property
    def history_query(self) -> str:
        """The history's query for these days, which are Vietnam's."""
        return self.query if is_of_desk() else f"{self.query}&days={DESK_DAYS}"


def usual_periods() -> list[tuple[Promise, Period]]:
    """Return the periods that people ask for, with their names."""
    today = desk_day()
    month = today.replace(day=1)
    before = month - timedelta(days=1)
    return [
        (gettext_lazy("Today"), Period(today, today)),
        (gettext_lazy("7 days"), Period(today - timedelta(days=6), today)),
        (gettext_lazy("30 days"), Period(today - timedelta(days=29), today)),
        (gettext_lazy("This month"), Period(month, today)),
        (gettext_lazy("Last month"), Period(before.replace(day=1), before)),
    ]


class Line(NamedTuple):
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
    """Spending by one thing, most expensive first. Not `is_ranked` where there are too many to be ranked on a page."""

    key: str
    label: Promise
    lines: list[Line]
    is_ranked: bool = True


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
    by_network: Grouping | None  # and by service and prefix; None for one person
    dearer: Line  # what numbers cost beyond the price that was shown at the order
    tokens: dict[int, str]  # the names of the team's tokens, by key


def headings() -> list[str]:
    """Return the columns' names of the export, in the active language."""
    return [_("Table"), _("Name"), _("Numbers"), _("Charged, đồng"), _("Refunded, đồng"), _("Spent, đồng"), _("Codes")]


def rows(spent: Spending) -> Iterator[list[str | int | None]]:
    """Yield a row for each line of each table, the days first."""
    groupings = [(_("Day"), spent.days), *((str(each.label), each.lines) for each in spent.groupings)]
    if network := spent.by_network:
        groupings.append((str(network.label), network.lines))
    for label, lines in [*groupings, (_("Total"), [spent.total])]:
        for line in lines:
            yield [label, line.label, line.rentals, line.charged, line.refunded, line.spent, line.codes]


def spending(access: Access, period: Period, *, ranks_all: bool = False) -> Spending:
    """Return what the person's team spent. Two queries, and one for each table's names.

    Purposes are left unranked where they are too many, unless it `ranks_all` of them, however long that takes.
    """
    most: dict[Kind | Payers, int | None] = {Kind.DAY: None, Kind.SERVICE: None}
    most |= dict.fromkeys([Payers.PEOPLE, Payers.TOKENS, Kind.PURPOSE], MAX_LINES + 1)
    if not ranks_all and sums.has_more_than(MAX_RANKED, access.team_id, Kind.PURPOSE, period.since, period.until):
        del most[Kind.PURPOSE]
    read = sums.read_kinds(access.team_id, most, period.since, period.until, dearer=[Kind.DAY])
    by_day = read[Kind.DAY]
    days = _days(period, by_day)
    total = _sum(_("Total"), days)
    parts = [(*_service_of(row.name), row) for row in read[Kind.SERVICE]]
    people = [(int(row.name) if row.name else None, row) for row in read[Payers.PEOPLE]]
    by_token = [(int(row.name), row) for row in read[Payers.TOKENS]]
    used = Service.objects.filter(pk__in={key for key, *_rest in parts})
    services = {service.pk: service for service in used.only("name", "sv", "upstream_id")}
    order = {key: (service.name, service.sv, service.upstream_id) for key, service in services.items()}
    tokens = tokens_of(access)

    def grouping(key: str, label: Promise, rows: Iterable[tuple[Any, Sum]], naming: _Naming) -> Grouping:
        return Grouping(key, label, _lines(period, total, rows, naming))

    by_service = [(key, row) for key, _network, _prefix, row in parts]
    by_network = [((order[key], key, network, prefix), row) for key, network, prefix, row in parts]
    purposes = [(row.name, row) for row in read.get(Kind.PURPOSE, [])]
    by_purpose = grouping("purpose", gettext_lazy("Purpose"), purposes, _purpose_lines)
    groupings = [
        grouping("service", gettext_lazy("Service"), by_service, _service_lines(services)),
        grouping("person", gettext_lazy("Person"), people, _person_lines),
        by_purpose if Kind.PURPOSE in read else replace(by_purpose, is_ranked=False),
        grouping("token", gettext_lazy("Token"), by_token, _token_lines(tokens)),
    ]
    in_detail = grouping("network", gettext_lazy("Service, network and prefix"), by_network, _network_lines(services))
    return Spending(total, days, groupings, in_detail, _dearer(by_day), tokens)


def spending_of(person: User, access: Access, period: Period) -> Spending:
    """Return what one person ordered for the team: by day and token alone, which sums are kept of. Three queries."""
    by_day = sums.read_days_of(person.pk, access.team_id, period.since, period.until)
    days = _days(period, by_day, f"payer={person.pk}&")
    total = _sum(_("Total"), days)
    payers = sums.read_payers_of(person.pk, access.team_id, period.since, period.until)
    tokens = [(_token_of(row.name), row) for row in payers]
    team_tokens = tokens_of(access)

    def naming(keys: list[Any]) -> dict[Any, tuple[str, str]]:
        lines = _token_lines(team_tokens)(keys)
        return {key: (label, f"payer={person.pk}&{query}") for key, (label, query) in lines.items()}

    by_token = Grouping("token", gettext_lazy("Token"), _lines(period, total, tokens, naming))
    return Spending(total, days, [by_token], None, _dearer(by_day), team_tokens)


def _dearer(by_day: Iterable[Sum]) -> Line:
    rows = list(by_day)
    return Line("", sum(row.dearer for row in rows), sum(row.more for row in rows), 0)


def questions(access: Access) -> list[Question]:
    """Return the open questions on the team's tokens, the oldest first, at most `MAX_QUESTIONS`. One query, and one for
    each of them."""
    found = []
    for question in bookkeeping.open_questions(access).only(*_OF_A_QUESTION)[:MAX_QUESTIONS]:
        rentals = bookkeeping.refundable_for(question, access) if question.amount > 0 else []
        found.append(Question(question, [(rental, phones.pretty(rental.phone)) for rental in rentals]))
    return found


def booked(access: Access, period: Period, tokens: Mapping[int, str]) -> list[tuple[LedgerEntry, str, bool]]:
    """Return the period's refunds, top-ups and corrections on the team's `tokens`, the newest first, at most `MAX_BOOKED`,
    each with its token's name and whether a person of another team booked it.

    One query, and two where people booked some: few lines have a person, and to plan the joins takes longer than to read
    fifty lines.
    """
    lines = bookkeeping.lines(access).filter(at__gte=period.start, at__lt=period.end)
    shown = ["kind", "amount", "at", "note", "rental", "taken_back", "takes_back", "token", "person"]
    people = Prefetch("person", User.objects.only(*_NAMES))
    entries = list(lines.select_related(None).only(*shown).prefetch_related(people)[:MAX_BOOKED])
    theirs = bookkeeping.by_other_teams(entries, access)
    return [(entry, tokens.get(entry.token_id, ""), entry.pk in theirs) for entry in entries]


def _service_of(name: str) -> tuple[int, str, str]:
    """Return the service's key, the network and the prefix of a sum of `Kind.SERVICE`."""
    service, prefix, network = name.split("|", 2)
    return int(service), network, prefix


def _token_of(name: str) -> int:
    """Return the token's key of a sum of `Kind.PAYER`."""
    return int(name.split(".")[1])


def _days(period: Period, rows: Iterable[Sum], query: str = "") -> list[Line]:
    by_day = {row.name: row for row in rows}
    nothing = Sum("", 0, 0, 0, 0)
    # As `Period.history_query` of each day, of which a year has 366.
    zone = "" if is_of_desk() else f"&days={DESK_DAYS}"
    lines = []
    for day in map(str, period.days):
        label = f"{day[8:]}/{day[5:7]}/{day[:4]}"
        lines.append(_line(label, f"{query}since={day}&until={day}{zone}", by_day.get(day, nothing)))
    return lines


def _line(label: str, query: str, row: Sum) -> Line:
    return Line(label, row.rentals, row.charged, row.refunded, query, row.codes)


# The numbers, codes, charged and refunded đồng of a line that nothing is counted for yet.
_NOTHING = (0, 0, 0, 0)
# From the keys of a table to the label and the history's query of each.
_Naming = Callable[[list[Any]], dict[Any, tuple[str, str]]]


def _lines(period: Period, total: Line, rows: Iterable[tuple[Any, Sum]], naming: _Naming) -> list[Line]:
    """Return the lines of a table, whose rows of the same key are added up, the most expensive first."""
    by_key: dict[Any, tuple[int, int, int, int]] = {}
    for key, (_name, *figures, _dearer, _more) in rows:
        rentals, codes, charged, refunded = by_key.get(key, _NOTHING)
        more_rentals, more_codes, more_charged, more_refunded = figures
        by_key[key] = rentals + more_rentals, codes + more_codes, charged + more_charged, refunded + more_refunded
    # What was undone again is no line.
    ordered = sorted(
        (-(charged - refunded), -rentals, key is None, key)
        for key, (rentals, _codes, charged, refunded) in by_key.items()
        if rentals
    )
    shown, days = [key for *_order, key in ordered[:MAX_LINES]], period.history_query
    names = naming(shown)
    lines = []
    for key in shown:
        rentals, codes, charged, refunded = by_key[key]
        label, query = names.get(key, ("", ""))
        lines.append(Line(label, rentals, charged, refunded, f"{query}&{days}" if query else "", codes))
    return lines + _rest(total, lines) if len(ordered) > MAX_LINES else lines


def _rest(total: Line, shown: Iterable[Line]) -> list[Line]:
    """Return the line of all that the others leave of the total."""
    others = _sum("", shown)
    return [
        Line(
            _("all others"),
            total.rentals - others.rentals,
            total.charged - others.charged,
            total.refunded - others.refunded,
            codes=total.codes - others.codes,
        )
    ]


def _sum(label: str, lines: Iterable[Line]) -> Line:
    columns = ([x.rentals, x.charged, x.refunded, x.codes] for x in lines)
    rentals, charged, refunded, codes = (sum(column) for column in zip([0, 0, 0, 0], *columns, strict=True))
    return Line(label, rentals, charged, refunded, codes=codes)


def _service_lines(services: Mapping[int, Service]) -> _Naming:
    return lambda keys: {
        key: (f"{services[key].name} · {services[key].key}", f"service={services[key].key}") for key in keys
    }


def _network_lines(services: Mapping[int, Service]) -> _Naming:
    """Where codes are cheap, and where they are not: by service, network and prefix."""

    def naming(keys: list[Any]) -> dict[Any, tuple[str, str]]:
        names = {}
        for key in keys:
            _order, service, network, prefix = key
            label = " · ".join(filter(None, [services[service].name, network, f"0{prefix}" if prefix else ""]))
            query = {"service": services[service].key, "network": network, "prefix": prefix}
            names[key] = (label, urlencode(query))
        return names

    return naming


def _person_lines(keys: list[Any]) -> dict[Any, tuple[str, str]]:
    people = User.objects.filter(pk__in=keys).only(*_NAMES)
    named = {person.pk: (str(person), f"payer={person.pk}") for person in people}
    return {None: (_("rented elsewhere (imported)"), ""), **named}


def _purpose_lines(keys: list[Any]) -> dict[Any, tuple[str, str]]:
    query = QueryDict(mutable=True)
    named = {}
    for key in keys:
        query["q"] = key
        named[key] = (key, query.urlencode()) if key else (_("no purpose given"), "")
    return named


def tokens_of(access: Access) -> dict[int, str]:
    """Return the names of the team's tokens, by key. One query."""
    return dict(Token.objects.filter(teams=access.team_id).values_list("pk", "name"))


def _token_lines(tokens: Mapping[int, str]) -> _Naming:
    """As the team's `tokens` are called. One that is no longer the team's is read."""

    def naming(keys: list[Any]) -> dict[Any, tuple[str, str]]:
        former = [key for key in keys if key not in tokens]
        names = dict(Token.objects.filter(pk__in=former).values_list("pk", "name")) if former else {}
        return {pk: (name, f"token={pk}") for pk, name in {**tokens, **names}.items()}

    return naming
