from io import BytesIO
from typing import Any
from zipfile import ZipFile

import pytest
from openpyxl import load_workbook

from lib.files import xlsx
from lib.files.spreadsheets import Cell


def written(*rows: list[Cell], headings: tuple[str, ...] = ("Number", "Text"), **options: Any) -> bytes:
    file = BytesIO()
    xlsx.write(file, "Sheet & <one>", headings, rows, **options)
    return file.getvalue()


def sheet_of(body: bytes) -> Any:
    return load_workbook(BytesIO(body)).active


def test_numbers_are_numbers_and_texts_are_texts() -> None:
    sheet = sheet_of(written([1450, "0852222127"], [None, ""], [-7, "=1+1"]))
    assert [[cell.value for cell in row] for row in sheet.iter_rows()] == [
        ["Number", "Text"],
        [1450, "0852222127"],
        [None, None],
        [-7, "=1+1"],
    ]
    number, text = sheet[2]
    assert (number.data_type, text.data_type, text.number_format) == ("n", "s", "@")


def test_the_first_row_is_bold_stays_in_sight_and_columns_have_widths() -> None:
    sheet = sheet_of(written([1, "a"], widths={1: 40}))
    assert [cell.font.b for cell in sheet[1]] == [True, True]
    assert not sheet[2][1].font.b
    assert sheet.freeze_panes == "A2"
    assert (sheet.title, sheet.column_dimensions["A"].width, sheet.column_dimensions["B"].width) == (
        "Sheet & <one>",
        16,
        40,
    )


@pytest.mark.parametrize(
    "text",
    ["a<b", "]]>", "a&b", " with spaces ", " ", "\u3000", "two\nlines", "mã 🙂", '"quoted"', "soft\xadhyphen", "_x"],
)
def test_a_text_comes_back_as_it_was(text: str) -> None:
    assert sheet_of(written([1, text]))[2][1].value == text


@pytest.mark.parametrize("character", ["\x00", "\x08", "\x1b", "\uffff", "\ud800"])
def test_what_xml_cannot_hold_is_replaced(character: str) -> None:
    assert sheet_of(written([1, f"a{character}b"]))[2][1].value == "a\ufffdb"


def test_what_looks_like_an_encoded_character_is_written_as_text() -> None:
    with ZipFile(BytesIO(written([1, "_x0041_ and _xyz"]))) as book:
        xml = book.read("xl/worksheets/sheet1.xml").decode()
    assert "_x005F_x0041_ and _xyz" in xml


@pytest.mark.parametrize("text", [" before", "behind ", "line\n"])
def test_white_space_at_an_end_is_marked_since_excel_drops_it_else(text: str) -> None:
    with ZipFile(BytesIO(written([1, text]))) as book:
        assert f'<t xml:space="preserve">{text}</t>' in book.read("xl/worksheets/sheet1.xml").decode()


def test_a_text_that_is_too_long_for_a_cell_is_cut() -> None:
    longest = "đ" * xlsx.MAX_TEXT
    sheet = sheet_of(written([1, longest], [2, f"{longest}more"], [3, f"{longest[:-1]}<more"]))
    assert [sheet[row][1].value for row in (2, 3, 4)] == [longest, longest, f"{longest[:-1]}<"]


def test_columns_past_z_have_two_letters() -> None:
    headings = tuple(str(number) for number in range(30))
    sheet = sheet_of(written(list(range(30)), headings=headings))
    assert (sheet["Z2"].value, sheet["AA2"].value, sheet["AD2"].value) == (25, 26, 29)


def test_a_file_of_many_rows_opens_too() -> None:
    rows: list[list[Cell]] = [[number, f"row {number}"] for number in range(250)]
    sheet = sheet_of(written(*rows, count=1_000_000))
    assert [sheet[251][0].value, sheet[251][1].value] == [249, "row 249"]
