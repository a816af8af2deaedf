"""The history as a table for spreadsheets: CSV and Excel, masked for the person who asked.

Phone numbers and codes are text in both, so that no leading 0 is lost on the way. In CSV, a text that a spreadsheet would
take for a formula is guarded, since messages and purposes may hold any text.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from django.db.models import BooleanField, CharField, F, Func, Q, TextField
from django.db.models.functions import Cast
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from accounts.models import AuditRecord, User
from accounts.policy import Access
from lib import time_zones
from lib.files import xlsx
from lib.files.spreadsheets import csv_chunks
from lib.formats import dong
from rentals.lifecycle import reasons
from rentals.masking import chosen, mask, newer_without_code, voiding
from rentals.models import EventKind, ExportedCode, Message, Rental, RentalEvent, Status, equal_codes
from rentals.queries.filters import HistoryFilter
from rentals.queries.warnings import not_as_requested, price_sentence
from thuesim import codes, phones

if TYPE_CHECKING:
    from rentals.models.rentals import RentalQuerySet

BATCH = 1000
MAX_KEYS = 20 * BATCH  # in memory at once
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
        template = f"to_char(%(expressions)s AT TIME ZONE '{_zone()}', 'YYYY-MM-DD HH24:MI:SS')"
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
    """The names of people, the sentences of reasons and the labels of statuses, each put together once for all rows."""

    def __init__(self) -> None:
        self.void = _("ThueSim's sender says that this code no longer holds.")
        self.newer = _("A newer message came at %(at)s; it has no clear code.")
        self.imported, self.without_code = _("imported"), _("no code recognised: read the message")
        self.statuses = {str(value): str(label) for value, label in Status.choices}
        self.reason = cache(reasons.sentence)
        self.person = cache(lambda first, last, username: User.named(f"{first} {last}".strip(), username))


def rows(rentals: "RentalQuerySet", access: Access, record: AuditRecord | None) -> Iterator[list[str | int | None]]:
    """Yield a row for each rental of `filtered_rentals` that is there now. Three queries per thousand.

    No query stays open between two rows: on SQLite it would block every writer, the progress of the export too. With
    `record`, the audit record of the export, it is noted whose codes are handed out, before they are.
    """
    words = _Words()
    for batch in _batches_of_keys(rentals):
        rentals_by_key = {row.pk: row for row in _read(batch)}
        messages, events = _messages_of(batch), _events_of(batch)
        if record is not None:
            _note_codes((row for row in rentals_by_key.values() if row.pk in messages), access, record)
        for pk in batch:
            if pk in rentals_by_key:
                yield _row(rentals_by_key[pk], messages.get(pk, ()), events.get(pk, ()), access, words)


def _batches_of_keys(rentals: "RentalQuerySet") -> Iterator[list[int]]:
    """Yield the keys of the rentals, a thousand at a time. One query for the first thousand, so that a row comes at once,
    and one for each `MAX_KEYS` that follow."""
    rest, size = rentals, BATCH
    while rows := list(rest.values_list("queued_at", "pk")[:size]):
        for start in range(0, len(rows), BATCH):
            yield [pk for _at, pk in rows[start : start + BATCH]]
        if len(rows) < size:
            return
        at, last = rows[-1]
        # The first condition alone lets an index start there; the second leaves out what was yielded of the same moment.
        rest = rentals.filter(queued_at__lte=at).filter(Q(queued_at__lt=at) | Q(pk__lt=last))
        size = MAX_KEYS


class _OneOf(Func):
    """Whether a key is one of a list, which is one value of the query: to prepare a thousand takes longer than a row."""

    output_field = BooleanField()

    def __init__(self, key: str, keys: list[int]) -> None:
        super().__init__(F(key))
        self._keys = keys

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> tuple[str, Any]:
        sql, values = compiler.compile(self.source_expressions[0])
        return f"{sql} = ANY(%s::bigint[])", [*values, f"{{{','.join(map(str, self._keys))}}}"]

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> tuple[str, Any]:
        sql, values = compiler.compile(self.source_expressions[0])
        return f"{sql} IN (SELECT value FROM json_each(%s))", [*values, str(self._keys)]  # noqa: S608 - no text of others


def _read(keys: list[int]) -> Iterable[Any]:
    """Read by the primary keys alone: with the filter and its order beside them, SQLite reads the whole history for every
    batch."""
    times = {f"{name}_text": _Local(f"{name}_at") for name in ("queued", "received", "placed", "ended")}
    columns = ["pk", "team_id", "person_id", "ordered_by_id", "status", "phone", "network", "price", "agreed_price"]
    columns += [
        "max_price",
        "team_max_price",
        "team__max_price",
        "refunded",
        "purpose",
        "upstream_id",
        "reason",
        "unasked_text",
        *times,
        "received_at",
    ]
    columns += ["service__name", "service__sv", "service__upstream_id", "token__name", "api_key__name"]
    columns += [
        f"{who}__{name}" for who in ("person", "ordered_by") for name in ("first_name", "last_name", "username")
    ]
    batch = Rental.objects.order_by().filter(_OneOf("pk", keys)).with_refund().annotate(**times)
    # As text, since it is empty but for one in many, and reading JSON takes a tenth of a row's time.
    return batch.annotate(unasked_text=Cast("unasked", TextField())).values_list(*columns, named=True)


def _messages_of(keys: list[int]) -> dict[int, list[_Message]]:
    """Return the messages of each rental that has some, the newest first."""
    messages: dict[int, list[_Message]] = {}
    rows = Message.objects.filter(_OneOf("rental", keys)).order_by("-at", "-pk").annotate(at_text=_Local("at"))
    columns = ("rental", "code", "second_code", "text", "is_earlier", "several_codes", "at_text")
    for row in map(_Message._make, rows.values_list(*columns)):
        messages.setdefault(row.rental, []).append(row)
    return messages


def _events_of(keys: list[int]) -> dict[int, list[_Event]]:
    """Return the lines of the timelines that columns tell: prices put right, and hand-overs."""
    events: dict[int, list[_Event]] = {}
    rows = RentalEvent.objects.filter(_OneOf("rental", keys), kind__in=[EventKind.PRICE, EventKind.HANDED_OVER])
    for row in map(_Event._make, rows.values_list("rental", "kind", "detail")):
        events.setdefault(row.rental, []).append(row)
    return events


def _note_codes(rentals: Iterable[Any], access: Access, record: AuditRecord) -> None:
    """Note which codes the export hands out in full. An export that is made anew notes them once."""
    shown = [ExportedCode(rental_id=rental.pk, record=record) for rental in rentals if access.sees_code(rental)]
    ExportedCode.objects.bulk_create(shown, ignore_conflicts=True)


def _row(
    rental: Any, messages: Sequence[_Message], events: Sequence[_Event], access: Access, words: _Words
) -> list[str | int | None]:
    number, status = phones.forms(rental.phone), words.statuses[rental.status]
    code = text = other = about_code = ""
    at = rental.received_text or ""  # where the messages are deleted
    if messages:
        message, shows = chosen(messages), access.sees_code(rental)
        code, text, at = mask(message.code, shows), mask(message.text, shows), message.at
        other = mask(", ".join(_other_codes(message, messages)), shows)
        about_code = _about_the_code(message, messages, words, shows=shows)
        if rental.status == Status.RECEIVED and not message.code and not message.equal_codes:
            status = words.without_code
    person = orderer = words.imported
    if rental.person_id is not None:
        person = orderer = words.person(rental.person__first_name, rental.person__last_name, rental.person__username)
    if rental.ordered_by_id is not None:
        orderer = words.person(rental.ordered_by__first_name, rental.ordered_by__last_name, rental.ordered_by__username)
    server, service = rental.service__sv, rental.service__upstream_id
    return [
        rental.pk,
        rental.queued_text,
        number.digits if number else "",
        rental.service__name,
        f"{server}.{service}" if server else service,
        rental.network,
        status,
        code,
        text,
        at,
        rental.price,
        rental.refunded,
        person,
        rental.purpose,
        rental.token__name,
        rental.placed_text or "",
        rental.ended_text or "",
        rental.upstream_id,
        words.reason(rental.reason),
        orderer,
        rental.agreed_price,
        _about_the_price(rental, events),
        ", ".join(f"{e.detail['from']} → {e.detail['to']}" for e in events if e.kind == EventKind.HANDED_OVER),
        rental.api_key__name or "",
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
    others = [message for message in messages if message is not shown]
    found = [code for each in (shown, *others) for code in (each.code, *each.equal_codes, each.second_code) if code]
    return [code for code in dict.fromkeys(map(codes.copied, found)) if code != codes.copied(shown.code)]


def _about_the_price(rental: Any, events: Sequence[_Event]) -> str:
    """Return what the history marks at the price, and whether it was learned later than from the reply to the order."""
    is_dearer = rental.price is not None and rental.agreed_price is not None and rental.price > rental.agreed_price
    limits = (rental.max_price, rental.team_max_price, rental.team__max_price)
    sentences = [price_sentence(rental.price, rental.agreed_price, *limits)] if is_dearer else []
    for event in events:
        if event.kind == EventKind.PRICE:
            prices = {"before": dong(event.detail["before"]), "price": dong(event.detail["price"])}
            sentences.append(_("ThueSim's reply gave no price: booked at %(before)s, put right to %(price)s.") % prices)
    return " ".join(sentences)


def write_csv(table: Iterable[list[str | int | None]], file: IO[bytes]) -> None:
    """Write the CSV file."""
    file.writelines(chunk.encode() for chunk in csv_chunks(headings(), table))


def write_xlsx(
    table: Iterable[list[str | int | None]],
    file: IO[bytes],
    *,
    title: str = "",
    columns: Sequence[str] = (),
    count: int = 0,
) -> None:
    """Write the Excel file. `title` and `columns` name the sheet and its columns; by default they are the history's."""
    widths = {} if columns else _WIDTHS
    rows = ([cell[: xlsx.MAX_TEXT] if isinstance(cell, str) else cell for cell in row] for row in table)
    xlsx.write(file, title or _("History"), columns or headings(), rows, widths=widths, count=count)
