import csv
from io import StringIO

import pytest

from lib.files.spreadsheets import BOM, csv_chunks, guard_formula


def table(text: str) -> list[list[str]]:
    return list(csv.reader(StringIO(text.removeprefix(BOM))))


@pytest.mark.parametrize("formula", ["=1+1", "+84", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"])
def test_a_text_that_a_spreadsheet_takes_for_a_formula_is_guarded(formula: str) -> None:
    assert guard_formula(formula) == f"'{formula}"
    assert table("".join(csv_chunks(["text"], [[formula]])))[1] == [f"'{formula}"]


@pytest.mark.parametrize("cell", ["", "Shop A", "0852222127", -5, None])
def test_every_other_cell_stays_as_it_is(cell: str | int | None) -> None:
    assert guard_formula(cell) == cell


def test_the_file_begins_with_a_byte_order_mark_and_the_headings() -> None:
    text = "".join(csv_chunks(["Number", "Price"], []))
    assert text.startswith(BOM)
    assert table(text) == [["Number", "Price"]]


def test_texts_are_quoted_and_numbers_are_not_so_that_no_leading_zero_is_lost() -> None:
    text = "".join(csv_chunks(["Number", "Price", "Code"], [["0852222127", 1450, None]]))
    assert text.splitlines()[1] == '"0852222127",1450,""'


def test_quotes_commas_and_line_breaks_come_back_as_they_were() -> None:
    row = ['say "hi", twice', "two\nlines"]
    assert table("".join(csv_chunks(["a", "b"], [row])))[1] == row


@pytest.mark.parametrize(
    "cell", ["", "a", 'a "b', '"', '"=1', "=1", "a=1", "a\n", "\r", "@", ",", "%s", "'", 0, -5, None]
)
def test_each_line_is_as_the_csv_module_writes_it(cell: str | int | None) -> None:
    rows: list[list[str | int | None]] = [[cell], [cell, cell], ["a", cell, "b"], [7, cell, None], [cell, 7, ""]]
    expected = StringIO()
    writer = csv.writer(expected, quoting=csv.QUOTE_NONNUMERIC)
    writer.writerows([["a"], *(map(guard_formula, row) for row in rows)])
    assert "".join(csv_chunks(["a"], rows)) == BOM + expected.getvalue()


def test_a_long_table_comes_in_chunks_with_every_row_once() -> None:
    chunks = list(csv_chunks(["n"], ([n] for n in range(250))))
    assert len(chunks) == 4, "the headings come first"
    assert [row[0] for row in table("".join(chunks))] == ["n", *map(str, range(250))]
