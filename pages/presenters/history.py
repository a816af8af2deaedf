"""Pages of the history. By keyset: the thousandth page costs what the first one does."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from django.db.models import F, IntegerField, Q, Subquery, Value
from django.db.models.functions import Coalesce
from django.http import QueryDict
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import User
from accounts.policy import Access
from lib.query_params import whole_number
from rentals.models import Network, Rental, Service, Status, Token
from rentals.models.catalog import searchable
from rentals.queries.filters import HistoryFilter

if TYPE_CHECKING:
    from rentals.models.rentals import RentalQuerySet

PAGE = 50
# Counting stops here: nobody needs to know whether it is 31,000 or 32,000, and the count would cost more than the page.
COUNTED = 1000


@dataclass(frozen=True, slots=True)
class Sorting:
    """An order of the history: by one expression, then by the row's number."""

    key: str
    label: Promise
    expression: Any
    descending: bool


SORTINGS: Mapping[str, Sorting] = {
    sorting.key: sorting
    for sorting in (
        Sorting("newest", gettext_lazy("newest first"), F("queued_at"), descending=True),
        Sorting("oldest", gettext_lazy("oldest first"), F("queued_at"), descending=False),
        Sorting("dearest", gettext_lazy("dearest first"), Coalesce("price", 0), descending=True),
        Sorting("cheapest", gettext_lazy("cheapest first"), Coalesce("price", 0), descending=False),
    )
}


@dataclass(frozen=True, slots=True)
class Page:
    """A page of rentals. `after` and `before` are the marks for the next and the previous page, `""` where there is
    none; `count` is how many there are in all, up to `COUNTED`, and `more_than_counted` says that there are more."""

    rentals: list[Rental]
    after: str
    before: str
    count: int
    more_than_counted: bool


class _Count(Subquery):
    """How many rows a query has, as a column of another one."""

    template = "(SELECT COUNT(*) FROM (%(subquery)s) counted)"
    output_field = IntegerField()


def page(access: Access, wanted: HistoryFilter, *, sort: str = "newest", after: str = "", before: str = "") -> Page:
    """Return one page: the rentals past the mark `after`, or those up to the mark `before`. Two queries, and one more
    where a text is searched for."""
    sorting = SORTINGS.get(sort, SORTINGS["newest"])
    found = wanted.apply(Rental.objects.all(), access)
    counting = found.order_by().values("pk")[: COUNTED + 1]
    mark = _read_mark(after or before, sorting)
    backwards = bool(before) and not after and mark is not None
    placed = found.for_rows().annotate(place=sorting.expression, counted=_Count(counting))
    rows = _past(placed, mark, descending=sorting.descending ^ backwards)
    # Past the last row there is none to carry the count.
    counted: int = rows[0].counted if rows else counting.count() if mark else 0  # type: ignore[attr-defined]
    more = len(rows) > PAGE
    rows = rows[:PAGE]
    if backwards:
        rows.reverse()
    has_next, has_previous = (True, more) if backwards else (more, mark is not None)
    return Page(
        rentals=rows,
        after=_mark(rows[-1]) if rows and has_next else "",
        before=_mark(rows[0]) if rows and has_previous else "",
        count=min(counted, COUNTED),
        more_than_counted=counted > COUNTED,
    )


def _past(found: "RentalQuerySet", mark: "tuple[datetime | int, int] | None", *, descending: bool) -> list[Rental]:
    sign, than = ("-", "lt") if descending else ("", "gt")
    if mark is not None:
        place, pk = mark
        # The first condition alone lets an index start at the mark; the second leaves out what ties with it.
        found = found.filter(Q(**{f"place__{than}e": place})).filter(
            Q(**{f"place__{than}": place}) | Q(place=place, **{f"pk__{than}": pk})
        )
    return list(found.order_by(f"{sign}place", f"{sign}pk")[: PAGE + 1])


def _mark(rental: Rental) -> str:
    """Return the place of a row in the order, as it stands in the address."""
    place: datetime | int = rental.place  # type: ignore[attr-defined]
    number = round(place.timestamp() * 1_000_000) if isinstance(place, datetime) else place
    return f"{number}-{rental.pk}"


def _read_mark(text: str, sorting: Sorting) -> "tuple[datetime | int, int] | None":
    """Return the place that a mark names; None where it names none, as in an address typed by hand."""
    number_text, _dash, pk_text = text.partition("-")
    number, pk = whole_number(number_text, max_digits=17), whole_number(pk_text)
    if number is None or pk is None:
        return None
    if isinstance(sorting.expression, F):
        return datetime.fromtimestamp(number / 1_000_000, tz=UTC), pk
    return number, pk


def options(access: Access) -> dict[str, list[tuple[str, str]]]:
    """Return what the history's filters offer: `service`, `person`, `token` and `network`, by name. One query."""
    people = User.objects.filter(Q(memberships__team=access.team_id) | Q(is_staff=True)).distinct()
    rows = _texts("service", Service.objects.all(), "sv", "upstream_id", "name").union(
        _texts("person", people, "first_name", "last_name", "username"),
        _texts("token", Token.objects.filter(teams=access.team_id), "name"),
        _texts("network", Network.objects.all(), "name"),
        all=True,
    )
    found: dict[str, list[tuple[str, str]]] = {"service": [], "person": [], "token": [], "network": []}
    for kind, pk, first, second, third in rows:
        if kind == "service":
            option = (f"{first}.{second}" if first else second, third)
        elif kind == "person":
            option = (str(pk), f"{first} {second}".strip() or third)
        else:
            option = (str(pk) if kind == "token" else first, first)
        found[kind].append(option)
    return {kind: sorted(pairs, key=lambda pair: searchable(pair[1])) for kind, pairs in found.items()}


def _texts(kind: str, rows: Any, *texts: str) -> Any:
    nothing = {f"nothing_{n}": Value("") for n in range(3 - len(texts))}
    return rows.order_by().annotate(kind=Value(kind), **nothing).values_list("kind", "pk", *texts, *nothing)


def chosen(
    wanted: HistoryFilter, offered: Mapping[str, list[tuple[str, str]]], query: QueryDict
) -> list[tuple[str, str]]:
    """Return what each filter that is set says, with the address's query without it."""
    names = {kind: dict(pairs) for kind, pairs in offered.items()}
    said = [
        ("q", wanted.q, f"“{wanted.q}”"),
        *(("status", status, str(Status(status).label)) for status in wanted.statuses),
        *((kind, word, names[kind].get(word, word)) for kind in names if (word := getattr(wanted, kind))),
        ("prefix", wanted.prefix, f"0{wanted.prefix}"),
        ("since", wanted.since, _("from %(day)s") % {"day": f"{wanted.since:%d/%m/%Y}"} if wanted.since else ""),
        ("until", wanted.until, _("to %(day)s") % {"day": f"{wanted.until:%d/%m/%Y}"} if wanted.until else ""),
    ]
    return [(says, _without(query, name, str(value))) for name, value, says in said if value]


def _without(query: QueryDict, name: str, value: str) -> str:
    left = query.copy()
    left.setlist(name, [other for other in left.getlist(name) if name == "status" and other != value])
    for mark in ("after", "before"):
        left.pop(mark, None)
    return left.urlencode()
