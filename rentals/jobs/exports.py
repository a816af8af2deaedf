"""The history as a table for spreadsheets: CSV and Excel, masked for the person who asked.

Phone numbers and codes are text in both, so that no leading 0 is lost on the way. In CSV, a text that a spreadsheet would
take for a formula is guarded, since messages and purposes may hold any text.
"""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from django.db.models import BooleanField, CharField, DateTimeField, F, Func, Model, Q, TextField, Value
from django.db.models.functions import Cast
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from accounts.models import ApiKey, AuditRecord, User
from accounts.policy import Access
from lib import time_zones
from lib.files import xlsx
from lib.files.growing_files import Appendable
from lib.files.spreadsheets import csv_chunks
from lib.formats import dong
from rentals import exported_codes
from rentals.lifecycle import reasons
from rentals.masking import chosen, mask, newer_without_code, voiding
from rentals.models import EventKind, Message, Rental, RentalEvent, Service, Status, Token, equal_codes
from rentals.queries.filters import HistoryFilter
from rentals.queries.warnings import not_as_requested, price_sentence
from thuesim import codes, phones

if TYPE_CHECKING:
    from rentals.models.rentals import RentalQuerySet

T = TypeVar("T")
FIRST = 1000  # rows of the first batch, so that one comes at once
BATCH = 4000  # of each other: with a thousand, putting its queries together takes a fifth of Django's time
MAX_KEYS = 5 * BATCH  # in memory at once
MAX_SPREAD = 3  # rows that are read for each row of the export, where they stand in sequence
# Columns wider than 16 characters, or narrower.
_WIDTHS = {3: 24, 8: 48, 18: 40, 21: 48, 22: 24, 25: 40, 26: 40}


def filtered_rentals(access: Access, history_filter: HistoryFilter) -> "RentalQuerySet":
    """Return the rentals that the history shows for this filter, newest first."""
    return history_filter.apply(Rental.objects.all(), access).order_by("-queued_at", "-pk")


def headings() -> list[str]:
    """Return the columns' names in the active language, and in which zone their times are."""
    zone = f" ({time_zones.label()})"
    return [
        _("Rental"),
        _("Ordered at") + zone,
        _("Number"),
        _("Service"),
        _("Service ID"),
        _("Network"),
        _("Status"),
        _("Code"),
        _("Message"),
        _("Code at") + zone,
        _("Price, đồng"),
        _("Refunded, đồng"),
        _("Person"),
        _("Purpose"),
        _("Token"),
        _("Rented at") + zone,
        _("Ended at") + zone,
        _("ThueSim's ID"),
        _("Reason"),
        _("Ordered by"),
        _("Price shown, đồng"),
        _("About the price"),
        _("Handed over"),
        pgettext("heading", "API key"),
        _("Other codes"),
        _("About the code"),
        _("Not as requested"),
    ]


class _Local(Func):
    """A time as the export writes it, in the reader's zone, by the database: to make a datetime of each takes longer than
    all else in a row."""

    output_field = CharField()

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> tuple[str, Any]:
        # `to_char` takes twice as long.
        template = f"date_trunc('second', %(expressions)s AT TIME ZONE '{_zone()}')::text"
        return super().as_sql(compiler, connection, template=template, **context)

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> tuple[str, Any]:
        if time_zones.is_of_desk():
            template = "datetime(substr(%(expressions)s, 1, 19), '+7 hours')"  # which knows no summer time
        else:
            template = f"django_datetime_trunc('second', %(expressions)s, '{_zone()}', 'UTC')"
        return super().as_sql(compiler, connection, template=template, **context)


def _zone() -> str:
    """Return the reader's zone, for use in SQL."""
    name = timezone.get_current_timezone_name()
    return name if name in time_zones.names() else "UTC"


class _Rental(NamedTuple):
    """What a row reads of a rental: plain columns, without a join, whose plan would take longer than the rows."""

    pk: int
    team_id: int | None
    person_id: int | None
    ordered_by_id: int | None
    service_id: int
    token_id: int
    api_key_id: int | None
    status: str
    phone: str
    network: str
    price: int | None
    agreed_price: int | None
    max_price: int | None
    team_max_price: int | None
    refunded: int | None
    purpose: str
    upstream_id: str
    reason: str
    unasked_text: str
    queued_text: str
    received_text: str | None
    placed_text: str | None
    ended_text: str | None
    received_at: datetime | None


class _Message(NamedTuple):
    rental: int
    code: str
    second_code: str
    text: str
    is_earlier: bool
    several_codes: str | None
    at: str

    @property
    def equal_codes(self) -> tuple[str, ...]:
        return equal_codes(self.code, self.text, self.several_codes)


class _Event(NamedTuple):
    rental: int
    kind: str
    detail: Any


class _Words:
    """The names of people and things, the sentences of reasons and the labels of statuses, each put together once for all
    rows."""

    def __init__(self) -> None:
        self.services: dict[int | None, tuple[str, str]] = {}
        self.people: dict[int | None, str] = {}
        self.tokens: dict[int | None, str] = {}
        self.api_keys: dict[int | None, str] = {}
        self.void = _("ThueSim's sender says that this code no longer holds.")
        self.newer = _("A newer message came at %(at)s; it has no clear code.")
        self.imported, self.without_code = _("imported"), _("no code recognised: read the message")
        self.statuses = {str(value): str(label) for value, label in Status.choices}
        self.reason = cache(reasons.sentence)

    def learn(self, rentals: Collection[_Rental]) -> None:
        """Read the names that these rentals have and none before had."""
        people = {key for rental in rentals for key in (rental.person_id, rental.ordered_by_id)}
        _learn(self.people, people, User, _person, "first_name", "last_name", "username")
        _learn(self.services, {r.service_id for r in rentals}, Service, _service, "name", "sv", "upstream_id")
        _learn(self.tokens, {r.token_id for r in rentals}, Token, str, "name")
        _learn(self.api_keys, {r.api_key_id for r in rentals}, ApiKey, str, "name")


def _learn(
    names: dict[int | None, T], keys: set[Any], model: type[Model], put: Callable[..., T], *columns: str
) -> None:
    if new := keys - names.keys() - {None}:
        for key, *values in model._default_manager.filter(pk__in=new).values_list("pk", *columns):
            names[key] = put(*values)


def _person(first: str, last: str, username: str) -> str:
    return User.named(f"{first} {last}".strip(), username)


def _service(name: str, server: str, key: str) -> tuple[str, str]:
    return name, f"{server}.{key}" if server else key


def rows(rentals: "RentalQuerySet", access: Access, record: AuditRecord | None) -> Iterator[list[str | int | None]]:
    """Yield a row for each rental of `filtered_rentals` that is there now. Three queries per batch.

    No query stays open between two rows: on SQLite it would block every writer, the progress of the export too. With
    `record`, the audit record of the export, it is noted whose codes are handed out, before they are.
    """
    words = _Words()
    for batch in _batches_of_keys(rentals):
        rentals_by_key = {row.pk: row for row in _read(batch, access)}
        words.learn(rentals_by_key.values())
        messages, events = _messages_of(batch), _events_of(batch)
        shown = {pk for pk, row in rentals_by_key.items() if pk in messages and access.sees_code(row)}
        if record is not None:
            exported_codes.note(record.pk, shown)
        for pk in batch:
            if pk in rentals_by_key:
                row = rentals_by_key[pk]
                yield _row(row, messages.get(pk, ()), events.get(pk, ()), access, words, shows=pk in shown)


def _batches_of_keys(rentals: "RentalQuerySet") -> Iterator[list[int]]:
    """Yield the keys of the rentals, the `FIRST` and then a `BATCH` at a time. One query for the `FIRST`, and one for each
    `MAX_KEYS` that follow."""
    rest, size = rentals, FIRST
    # As text, of which only the last one is read.
    while rows := list(rest.annotate(at=Cast("queued_at", TextField())).values_list("at", "pk")[:size]):
        for start in range(0, len(rows), BATCH):
            yield [pk for _at, pk in rows[start : start + BATCH]]
        if len(rows) < size:
            return
        text, last = rows[-1]
        at = datetime.fromisoformat(text)
        at = at.replace(tzinfo=at.tzinfo or UTC)  # SQLite has it in UTC without saying so
        # The first condition alone lets an index start there; the second leaves out what was yielded of the same moment.
        rest = rentals.filter(queued_at__lte=at).filter(Q(queued_at__lt=at) | Q(pk__lt=last))
        size = MAX_KEYS


class _OneOf(Func):
    """Whether a key is one of a list, which is one value of the query: to prepare a thousand takes longer than a row. Where
    the keys lie close together, PostgreSQL reads all from the first to the last one, in place of a look-up for each."""

    output_field = BooleanField()

    def __init__(self, key: str, keys: list[int]) -> None:
        super().__init__(F(key))
        self._keys = keys

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> tuple[str, Any]:
        sql, values = compiler.compile(self.source_expressions[0])
        listed = f"{{{','.join(map(str, self._keys))}}}"
        first, last = min(self._keys), max(self._keys)
        if last - first > MAX_SPREAD * len(self._keys):
            return f"{sql} = ANY(%s::bigint[])", [*values, listed]
        # The sum keeps the index from being asked for single keys.
        return f"{sql} BETWEEN %s AND %s AND {sql} + 0 = ANY(%s::bigint[])", [*values, first, last, *values, listed]

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> tuple[str, Any]:
        sql, values = compiler.compile(self.source_expressions[0])
        return f"{sql} IN (SELECT value FROM json_each(%s))", [*values, str(self._keys)]  # noqa: S608 - no text of others


def _read(keys: list[int], access: Access) -> Iterable[_Rental]:
    """Read by the primary keys alone: with the filter and its order beside them, SQLite reads the whole history for every
    batch."""
    fades = access.team is not None and access.team.codes_fade_minutes is not None
    columns: dict[str, Any] = {
        f"{name}_text": _Local(f"{name}_at") for name in ("queued", "received", "placed", "ended")
    }
    # As text, since it is empty but for one in many, and reading JSON takes a tenth of a row's time. So does a time.
    columns["unasked_text"] = Cast("unasked", TextField())
    columns["seen_at"] = F("received_at") if fades else Value(None, DateTimeField())
    # So PostgreSQL reads the refunds in sequence, too.
    limits = {"ledger__rental__gte": min(keys), "ledger__rental__lte": max(keys)}
    batch = Rental.objects.order_by().filter(_OneOf("pk", keys)).with_refund(**limits).annotate(**columns)
    return map(partial(tuple.__new__, _Rental), batch.values_list(*_Rental._fields[:-1], "seen_at"))


def _messages_of(keys: list[int]) -> dict[int, list[_Message]]:
    """Return the messages of each rental that has some, the newest first."""
    messages: dict[int, list[_Message]] = {}
    rows = Message.objects.filter(_OneOf("rental", keys)).order_by("-at", "-pk").annotate(at_text=_Local("at"))
    columns = ("rental", "code", "second_code", "text", "is_earlier", "several_codes", "at_text")
    for row in map(partial(tuple.__new__, _Message), rows.values_list(*columns)):
        messages.setdefault(row.rental, []).append(row)
    return messages


def _events_of(keys: list[int]) -> dict[int, list[_Event]]:
    """Return the lines of the timelines that columns tell: prices put right, and hand-overs."""
    events: dict[int, list[_Event]] = {}
    rows = RentalEvent.objects.filter(_OneOf("rental", keys), kind__in=[EventKind.PRICE, EventKind.HANDED_OVER])
    for row in map(_Event._make, rows.values_list("rental", "kind", "detail")):
        events.setdefault(row.rental, []).append(row)
    return events


def _row(
    rental: _Rental,
    messages: Sequence[_Message],
    events: Sequence[_Event],
    access: Access,
    words: _Words,
    *,
    shows: bool,
) -> list[str | int | None]:
    status = words.statuses[rental.status]
    code = text = other = about_code = ""
    at = rental.received_text or ""  # where the messages are deleted
    if messages:
        message = messages[0] if len(messages) == 1 else chosen(messages)
        code, text, at = mask(message.code, shows), mask(message.text, shows), message.at
        other = mask(", ".join(_other_codes(message, messages)), shows)
        if len(messages) > 1:
            about_code = _about_the_code(message, messages, words, shows=shows)
        if rental.status == Status.RECEIVED and not message.code and not message.equal_codes:
            status = words.without_code
    person = words.imported if rental.person_id is None else words.people.get(rental.person_id, "")
    is_dearer = rental.price is not None and rental.agreed_price is not None and rental.price > rental.agreed_price
    return [
        rental.pk,
        rental.queued_text,
        phones.digits(rental.phone),
        *words.services.get(rental.service_id, ("", "")),
        rental.network,
        status,
        code,
        text,
        at,
        rental.price,
        rental.refunded,
        person,
        rental.purpose,
        words.tokens.get(rental.token_id, ""),
        rental.placed_text or "",
        rental.ended_text or "",
        rental.upstream_id,
        words.reason(rental.reason),
        person if rental.ordered_by_id is None else words.people.get(rental.ordered_by_id, ""),
        rental.agreed_price,
        _about_the_price(rental, events, access, is_dearer=is_dearer) if is_dearer or events else "",
        _handed_over(events) if events else "",
        words.api_keys.get(rental.api_key_id, ""),
        other,
        about_code,
        "" if rental.unasked_text == "[]" else " ".join(not_as_requested(json.loads(rental.unasked_text))),
    ]


def _about_the_code(shown: _Message, messages: Sequence[_Message], words: _Words, *, shows: bool) -> str:
    """Return whether the code no longer holds, or a newer message without a clear code came, as on its card."""
    if shows and voiding(messages, shown.code):
        return words.void
    newer = newer_without_code(messages, shown)
    return words.newer % {"at": newer.at} if newer else ""


def _other_codes(shown: _Message, messages: Sequence[_Message]) -> list[str]:
    """Return the codes of a rental beside the shown one, as they are pasted: those of its message first, each once."""
    if len(messages) == 1 and not shown.second_code and not shown.equal_codes:
        return []
    others = [message for message in messages if message is not shown]
    found = [code for each in (shown, *others) for code in (each.code, *each.equal_codes, each.second_code) if code]
    return [code for code in dict.fromkeys(map(codes.copied, found)) if code != codes.copied(shown.code)]


def _handed_over(events: Sequence[_Event]) -> str:
    """Return from whom to whom a number went."""
    return ", ".join([f"{e.detail['from']} → {e.detail['to']}" for e in events if e.kind == EventKind.HANDED_OVER])


def _about_the_price(rental: _Rental, events: Sequence[_Event], access: Access, *, is_dearer: bool) -> str:
    """Return what the history marks at the price, and whether it was learned later than from the reply to the order."""
    limits = (rental.max_price, rental.team_max_price, access.team.max_price if access.team else None)
    sentences = [price_sentence(rental.price, rental.agreed_price, *limits)] if is_dearer else []
    for event in events:
        if event.kind == EventKind.PRICE:
            prices = {"before": dong(event.detail["before"]), "price": dong(event.detail["price"])}
            sentences.append(_("ThueSim's reply gave no price: booked at %(before)s, put right to %(price)s.") % prices)
    return " ".join(sentences)


def write_csv(table: Iterable[list[str | int | None]], file: Appendable) -> None:
    """Write the CSV file."""
    for chunk in csv_chunks(headings(), table):
        file.write(chunk.encode())


def write_xlsx(
    table: Iterable[list[str | int | None]],
    file: Appendable,
    *,
    title: str = "",
    columns: Sequence[str] = (),
    count: int = 0,
) -> None:
    """Write the Excel file. `title` and `columns` name the sheet and its columns; by default they are the history's."""
    widths = {} if columns else _WIDTHS
    xlsx.write(file, title or _("History"), columns or headings(), table, widths=widths, count=count)
