"""Pages of the history. By keyset: the thousandth page costs what the first one does."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from django.db.models import F, IntegerField, Q, Subquery
from django.db.models.functions import Coalesce
from django.http import QueryDict
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.policy import Access
from lib.web.query_params import whole_number
from pages.presenters.options import Kind, Options
from rentals.models import Rental, Status
from rentals.queries.filters import DESK_DAYS, HistoryFilter

if TYPE_CHECKING:
    from rentals.models.rentals import RentalQuerySet

PAGE_SIZE = 50
# The values of `?refund=` in words.
REFUNDS: Mapping[str, Promise] = {
    "yes": gettext_lazy("refunded"),
    "missing": gettext_lazy("expired, not refunded"),
}
# The filters by their names in the address, as the form names them.
FILTERS: Mapping[str, Promise] = {
    "status": gettext_lazy("Status"),
    "service": gettext_lazy("Service"),
    "person": gettext_lazy("Person"),
    "payer": gettext_lazy("Ordered by"),
    "network": gettext_lazy("Network"),
    "prefix": gettext_lazy("Prefix"),
    "token": gettext_lazy("Token"),
    "refund": gettext_lazy("Refund"),
    "since": gettext_lazy("From"),
    "until": gettext_lazy("To"),
}
# Counting stops here: whether it is 31,000 or 32,000 helps no reader, and the count would cost more than the page.
MAX_COUNTED = 1000


@dataclass(frozen=True, slots=True)
class Sorting:
    """An order of the history: by one expression, then by the rental's id."""

    key: str
    label: Promise
    expression: Any
    descending: bool


SORTINGS: Mapping[str, Sorting] = {
    sorting.key: sorting
    for sorting in (
        Sorting("newest", gettext_lazy("newest first"), F("queued_at"), descending=True),
        Sorting("oldest", gettext_lazy("oldest first"), F("queued_at"), descending=False),
        Sorting("dearest", gettext_lazy("most expensive first"), Coalesce("price", 0), descending=True),
        Sorting("cheapest", gettext_lazy("cheapest first"), Coalesce("price", 0), descending=False),
    )
}


@dataclass(frozen=True, slots=True)
class Page:
    """A page of rentals. `after` and `before` are the cursors of the next and the previous page, `""` where there is
    none; `count` is how many there are in all, up to `MAX_COUNTED`, and `more_than_counted` says that there are more."""

    rentals: list[Rental]
    after: str
    before: str
    count: int
    more_than_counted: bool


@dataclass(frozen=True, slots=True)
class _Cursor:
    """A position in the order: the value that is sorted by, then the rental's id. In the address as `VALUE-ID`."""

    value: datetime | int
    rental_id: int

    def __str__(self) -> str:
        number = round(self.value.timestamp() * 1_000_000) if isinstance(self.value, datetime) else self.value
        return f"{number}-{self.rental_id}"

    @classmethod
    def of(cls, rental: Rental) -> "_Cursor":
        return cls(rental.sort_value, rental.pk)  # type: ignore[attr-defined]

    @classmethod
    def parse(cls, text: str, sorting: Sorting) -> "_Cursor | None":
        """Read a cursor; None where the text is none, as in an address typed by hand."""
        value_text, _dash, pk_text = text.partition("-")
        value, pk = whole_number(value_text, max_digits=17), whole_number(pk_text)
        if value is None or pk is None:
            return None
        if isinstance(sorting.expression, F):
            return cls(datetime.fromtimestamp(value / 1_000_000, tz=UTC), pk)
        return cls(value, pk)


class _Count(Subquery):
    """How many rows a query has, as a column of another one."""

    template = "(SELECT COUNT(*) FROM (%(subquery)s) counted)"
    output_field = IntegerField()


def page_of(
    access: Access, history_filter: HistoryFilter, *, sort: str = "newest", after: str = "", before: str = ""
) -> Page:
    """Return one page: the rentals past the cursor `after`, or those up to the cursor `before`.

    Two queries, and one more where a text is searched for.
    """
    sorting = SORTINGS.get(sort, SORTINGS["newest"])
    rentals = history_filter.apply(Rental.objects.all(), access)
    # In the order of the filters' indexes: else PostgreSQL collects all that one filter finds before it counts.
    counting = rentals.order_by("-queued_at").values("pk")[: MAX_COUNTED + 1]
    cursor = _Cursor.parse(after or before, sorting)
    backwards = bool(before) and not after and cursor is not None
    sortable = rentals.for_rows().annotate(sort_value=sorting.expression, counted=_Count(counting))
    rows = _past(sortable, cursor, descending=sorting.descending ^ backwards)
    # Past the last row there is none to carry the count.
    counted: int = rows[0].counted if rows else counting.count() if cursor else 0  # type: ignore[attr-defined]
    has_more = len(rows) > PAGE_SIZE
    rows = rows[:PAGE_SIZE]
    if backwards:
        rows.reverse()
    has_next, has_previous = (True, has_more) if backwards else (has_more, cursor is not None)
    return Page(
        rentals=rows,
        after=str(_Cursor.of(rows[-1])) if rows and has_next else "",
        before=str(_Cursor.of(rows[0])) if rows and has_previous else "",
        count=min(counted, MAX_COUNTED),
        more_than_counted=counted > MAX_COUNTED,
    )


def _past(rentals: "RentalQuerySet", cursor: _Cursor | None, *, descending: bool) -> list[Rental]:
    sign, than = ("-", "lt") if descending else ("", "gt")
    if cursor is not None:
        # The first condition alone lets an index start at the cursor; the second leaves out what ties with it.
        rentals = rentals.filter(Q(**{f"sort_value__{than}e": cursor.value})).filter(
            Q(**{f"sort_value__{than}": cursor.value}) | Q(sort_value=cursor.value, **{f"pk__{than}": cursor.rental_id})
        )
    return list(rentals.order_by(f"{sign}sort_value", f"{sign}pk")[: PAGE_SIZE + 1])


def chosen(history_filter: HistoryFilter, offered: Mapping[Kind, Options], query: QueryDict) -> list[tuple[str, str]]:
    """Return each filter that is set: its label, and the address's query without it."""
    filters: list[tuple[str, str, str]] = []
    if history_filter.q:
        filters.append(("q", history_filter.q, f"“{history_filter.q}”"))
    filters.extend(("status", status, str(Status(status).label)) for status in history_filter.statuses)
    for kind, offers in offered.items():
        if value := getattr(history_filter, kind):
            filters.append((kind, value, dict(offers.pairs).get(value, value)))
    if payer := history_filter.payer:
        name = dict(offered[Kind.PERSON].pairs).get(payer, payer)
        filters.append(("payer", payer, _("ordered by %(person)s") % {"person": name}))
    if history_filter.prefix:
        filters.append(("prefix", history_filter.prefix, f"0{history_filter.prefix}"))
    if history_filter.refund:
        filters.append(("refund", history_filter.refund, str(REFUNDS[history_filter.refund])))
    if since := history_filter.since:
        filters.append(("since", str(since), _("from %(day)s") % {"day": f"{since:%d/%m/%Y}"}))
    if until := history_filter.until:
        filters.append(("until", str(until), _("to %(day)s") % {"day": f"{until:%d/%m/%Y}"}))
    if history_filter.of_desk_days and (since or until):
        filters.append(("days", DESK_DAYS, _("days of Vietnam")))
    return [(label, _without(query, name, value)) for name, value, label in filters]


def unmatched(
    access: Access, history_filter: HistoryFilter, offered: Mapping[Kind, Options], query: QueryDict
) -> list[str]:
    """Return the sentences that name what the address asks for and cannot mean anything. No query where the filters offer
    all that it asks for."""
    people = dict(offered[Kind.PERSON].pairs)
    known: dict[str, Any] = {
        kind: "" for kind, offers in offered.items() if getattr(history_filter, kind) in dict(offers.pairs)
    }
    known |= {"payer": ""} if history_filter.payer in people else {}
    unknown = replace(history_filter, **known).unknown(access)
    sentences = {
        _("Your team has no such thing, so no rental matches: %(values)s."): [
            (name, str(getattr(history_filter, name))) for name in unknown
        ],
        _("Not understood, so left out: %(values)s."): HistoryFilter.ignored(query),
    }
    return [
        sentence % {"values": ", ".join(f"{FILTERS[name]} “{value[:40]}”" for name, value in values)}
        for sentence, values in sentences.items()
        if values
    ]


def _without(query: QueryDict, name: str, value: str) -> str:
    """Return the query without one filter, from its first page on. Of several statuses, the others stay."""
    others = query.copy()
    others.setlist(name, [other for other in others.getlist(name) if name == "status" and other != value])
    for cursor in ("after", "before"):
        others.pop(cursor, None)
    return others.urlencode()
