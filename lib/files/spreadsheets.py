"""Tables as CSV, as spreadsheets open them without harm."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from io import StringIO

Cell = str | int | None

# Excel reads a CSV file as UTF-8 where it begins with this byte order mark.
BOM = "\ufeff"
_FORMULA_STARTS = frozenset("=+-@\t\r\n")
_ROWS_PER_CHUNK = 100


def guard_formula(cell: Cell) -> Cell:
    """Return a cell that no spreadsheet takes for a formula: such a text gets an apostrophe before it."""
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in _FORMULA_STARTS else cell


def csv_chunks(headings: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Iterator[str]:
    """Yield a CSV file: its headings, then a hundred rows at a time. Texts are quoted and guarded against formulas, numbers
    stand bare."""
    buffer = StringIO()
    writer = csv.writer(buffer, quoting=csv.QUOTE_NONNUMERIC)
    buffer.write(BOM)
    writer.writerow(headings)
    yield _drained(buffer)
    for number, row in enumerate(rows, start=1):
        # As `guard_formula`, without a call for each cell.
        writer.writerow([f"'{cell}" if isinstance(cell, str) and cell[:1] in _FORMULA_STARTS else cell for cell in row])
        if number % _ROWS_PER_CHUNK == 0:
            yield _drained(buffer)
    yield _drained(buffer)


def _drained(buffer: StringIO) -> str:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text
