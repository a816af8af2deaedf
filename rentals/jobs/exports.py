"""The history as a table for spreadsheets: CSV and Excel, masked for the person who asked.

Phone numbers and codes are text in both, so that no leading 0 is lost on the way. In CSV, a text that a spreadsheet would
take for a formula is guarded, since messages and purposes may hold any text.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING

from django.db.models import F, FilteredRelation, Prefetch, Q
from django.utils import timezone
from django.utils.translation import gettext as _
from xlsxwriter import Workbook

from accounts.models import AuditRecord
from accounts.policy import Access
from lib.formats import dong
from lib.spreadsheets import csv_chunks
from rentals import code_access
from rentals.lifecycle import reasons
from rentals.masking import readable
from rentals.models import EventKind, ExportedCode, LedgerEntry, Rental, RentalEvent
from rentals.queries.filters import HistoryFilter
from rentals.queries.warnings import dearer_sentence
from thuesim import phones

if TYPE_CHECKING:
    from rentals.models.rentals import RentalQuerySet

BATCH = 1000
ZONE = " (UTC+7)"  # of all times: Vietnam's, which knows no summer time
# What Excel's XML cannot hold.
_UNWRITABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
_MAX_CELL = 32_767
# Columns wider than 16 characters, or narrower.
_WIDTHS = {3: 24, 8: 48, 18: 40, 21: 48, 22: 24}


def filtered_rentals(access: Access, history_filter: HistoryFilter) -> "RentalQuerySet":
    """Return the rentals that the history shows for this filter, newest first."""
    return history_filter.apply(Rental.objects.all(), access).order_by("-queued_at", "-pk")


def headings() -> list[str]:
    """Return the columns' names in the active language."""
    return [
        _("Rental"),
        _("Ordered at") + ZONE,
        _("Number"),
        _("Service"),
        _("Service ID"),
        _("Network"),
        _("Status"),
        _("Code"),
        _("Message"),
        _("Code at") + ZONE,
        _("Price, đồng"),
        _("Refunded, đồng"),
        _("Person"),
        _("Purpose"),
        _("Token"),
        _("Rented at") + ZONE,
        _("Ended at") + ZONE,
        _("ThueSim's ID"),
        _("Reason"),
        _("Ordered by"),
        _("Price shown, đồng"),
        _("About the price"),
        _("Handed over"),
        _("API key"),
    ]


def rows(rentals: "RentalQuerySet", access: Access, record: AuditRecord | None) -> Iterator[list[str | int | None]]:
    """Yield a row for each rental that is there now. Six queries per thousand.

    No query stays open between two rows: on SQLite it would block every writer, the progress of the export too. With
    `record`, the audit record of the export, it is noted whose codes are handed out, before they are.
    """
    keys = list(rentals.values_list("pk", flat=True))
    for start in range(0, len(keys), BATCH):
        batch = keys[start : start + BATCH]
        rentals_by_key = _read(batch)
        if record is not None:
            _note_codes(rentals_by_key.values(), access, record)
        for pk in batch:
            if pk in rentals_by_key:
                yield _row(rentals_by_key[pk], access)


def _read(keys: list[int]) -> dict[int, Rental]:
    """Read by the primary keys alone: with the filter and its order beside them, SQLite reads the whole history for every
    batch."""
    refund = FilteredRelation("ledger", condition=Q(ledger__kind=LedgerEntry.Kind.REFUND, ledger__taken_back=False))
    batch = (
        Rental.objects.order_by()
        .select_related("service", "token", "person", "ordered_by", "api_key")
        .prefetch_related(Prefetch("messages", to_attr="prefetched_messages"), _events_in_columns())
    )
    return batch.annotate(refund=refund, refunded=F("refund__amount")).in_bulk(keys)


def _events_in_columns() -> "Prefetch[str]":
    """Fetch the lines of the timelines that columns tell: prices put right, and hand-overs."""
    events = RentalEvent.objects.filter(kind__in=[EventKind.PRICE, EventKind.HANDED_OVER])
    return Prefetch("events", events, to_attr="events_in_columns")


def _note_codes(rentals: Iterable[Rental], access: Access, record: AuditRecord) -> None:
    """Note which codes the export hands out in full. An export that is made anew notes them once."""
    shown = [ExportedCode(rental=rental, record=record) for rental in rentals if code_access.shows(rental, access)]
    ExportedCode.objects.bulk_create(shown, ignore_conflicts=True)


def _row(rental: Rental, access: Access) -> list[str | int | None]:
    read, number = readable(rental, access), phones.forms(rental.phone)
    return [
        rental.pk,
        _local(rental.queued_at),
        number.digits if number else "",
        rental.service.name,
        rental.service.key,
        rental.network,
        rental.status_label,
        read.code,
        read.text,
        _local(rental.received_at),
        rental.price,
        rental.refunded,  # type: ignore[attr-defined]
        str(rental.person) if rental.person else _("imported"),
        rental.purpose,
        rental.token.name,
        _local(rental.placed_at),
        _local(rental.ended_at),
        rental.upstream_id,
        reasons.sentence(rental.reason),
        str(rental.ordered_by or rental.person or _("imported")),
        rental.agreed_price,
        _about_the_price(rental),
        ", ".join(f"{event.detail['from']} → {event.detail['to']}" for event in _events(rental, EventKind.HANDED_OVER)),
        rental.api_key.name if rental.api_key else "",
    ]


def _about_the_price(rental: Rental) -> str:
    """Return what the history marks at the price, and whether it was learned later than from the reply to the order."""
    sentences = [dearer_sentence(rental)] if rental.is_dearer else []
    for event in _events(rental, EventKind.PRICE):
        prices = {"before": dong(event.detail["before"]), "price": dong(event.detail["price"])}
        sentences.append(_("ThueSim's reply gave no price: booked at %(before)s, put right to %(price)s.") % prices)
    return " ".join(sentences)


def _events(rental: Rental, kind: EventKind) -> list[RentalEvent]:
    return [event for event in rental.events_in_columns if event.kind == kind]  # type: ignore[attr-defined]


def _local(at: datetime | None) -> str:
    return timezone.localtime(at).strftime("%Y-%m-%d %H:%M:%S") if at else ""


def write_csv(table: Iterable[list[str | int | None]], path: Path) -> None:
    """Write the CSV file."""
    with path.open("w", encoding="utf-8", newline="") as file:
        file.writelines(csv_chunks(headings(), table))


def write_xlsx(
    table: Iterable[list[str | int | None]],
    file: "Path | IO[bytes]",
    *,
    scratch: Path,
    title: str = "",
    columns: Sequence[str] = (),
) -> None:
    """Write the Excel file row by row. It is never in memory as a whole, but its parts are for a while in `scratch`.

    `title` and `columns` name the sheet and its columns; by default they are the history's.
    """
    widths = {} if columns else _WIDTHS
    with Workbook(file, {"constant_memory": True, "tmpdir": str(scratch)}) as book:
        sheet = book.add_worksheet(title or _("History"))
        bold, text = book.add_format({"bold": True}), book.add_format({"num_format": "@"})
        sheet.freeze_panes(1, 0)
        for column, name in enumerate(columns or headings()):
            sheet.set_column(column, column, widths.get(column, 16))
            sheet.write_string(0, column, name, bold)
        for number, row in enumerate(table, start=1):
            for column, value in enumerate(row):
                if isinstance(value, int):
                    sheet.write_number(number, column, value)
                elif value:  # a text is a text, whatever it looks like
                    sheet.write_string(number, column, _UNWRITABLE.sub("\ufffd", value)[:_MAX_CELL], text)
