"""Tables as Excel files (ECMA-376, SpreadsheetML), written row by row into the ZIP file: nothing of them stays in memory.

Texts stand in their cells (`inlineStr`) in the format "@", so that a number with a leading 0 and a formula stay texts.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape
from zipfile import ZIP_DEFLATED, ZipFile

from lib.files.growing_files import Appendable
from lib.files.spreadsheets import Cell

MAX_ROWS = 1_048_576
MAX_TEXT = 32_767  # characters of a cell
_LEVEL = 3  # of compression: 6 takes twice as long for a tenth less
_ROWS_AT_ONCE = 100
_WIDTH = 16  # characters of a column
# With more rows, the sheet may grow past the 2 GB that a ZIP file holds without its extension ZIP64.
_MANY_ROWS = 500_000

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_PARTS: Mapping[str, str] = {
    "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/>'
    f'<Override PartName="/xl/styles.xml" ContentType="{_TYPE}.styles+xml"/>'
    f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{_TYPE}.worksheet+xml"/></Types>',
    "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">'
    f'<Relationship Id="rId1" Type="{_RELATIONS}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">'
    f'<Relationship Id="rId1" Type="{_RELATIONS}/worksheet" Target="worksheets/sheet1.xml"/>'
    f'<Relationship Id="rId2" Type="{_RELATIONS}/styles" Target="styles.xml"/></Relationships>',
    # The formats of cells: 0 plain, 1 text, 2 bold.
    "xl/styles.xml": f'<styleSheet xmlns="{_MAIN}"><fonts count="2"><font><sz val="11"/><name val="Calibri"/></font>'
    '<font><b/><sz val="11"/><name val="Calibri"/></font></fonts><fills count="2"><fill><patternFill'
    ' patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill></fills><borders count="1"><border>'
    '<left/><right/><top/><bottom/><diagonal/></border></borders><cellStyleXfs count="1"><xf numFmtId="0"'
    ' fontId="0" fillId="0" borderId="0"/></cellStyleXfs><cellXfs count="3">'
    '<xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>'
    '<xf numFmtId="49" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>'
    '<xf numFmtId="0" fontId="1" fillId="0" borderId="0" xfId="0" applyFont="1"/></cellXfs>'
    '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>',
}
# What XML cannot hold.
_UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
_ENCODED = re.compile("_(?=x[0-9A-Fa-f]{4}_)")


def write(
    file: Path | Appendable,
    title: str,
    headings: Sequence[str],
    rows: Iterable[Sequence[Cell]],
    *,
    widths: Mapping[int, int] | None = None,
    count: int = 0,
) -> None:
    """Write a file of one sheet, `title`, whose first row stays in sight. `widths` are those of columns, in characters,
    that differ from the usual; `count` is how many rows there are, roughly. A file without `seek` is written in sequence."""
    letters = [_letters(number) for number in range(len(headings))]
    with ZipFile(file, "w", ZIP_DEFLATED, compresslevel=_LEVEL) as book:
        for name, text in {**_PARTS, "xl/workbook.xml": _workbook(title)}.items():
            book.writestr(name, _XML + text)
        with book.open("xl/worksheets/sheet1.xml", "w", force_zip64=count > _MANY_ROWS) as sheet:
            sheet.write(_head(len(headings), widths or {}).encode())
            lines = [_row(1, letters, headings, text_format=2)]
            for number, row in enumerate(rows, start=2):
                lines.append(_row(number, letters, row))
                if len(lines) == _ROWS_AT_ONCE:
                    sheet.write("".join(lines).encode())
                    lines.clear()
            sheet.write(f"{''.join(lines)}</sheetData></worksheet>".encode())


def _letters(column: int) -> str:
    """Return a column's name: `A`, …, `Z`, `AA`, …"""
    before, last = divmod(column, 26)
    return (_letters(before - 1) if before else "") + chr(ord("A") + last)


def _workbook(title: str) -> str:
    return (
        f'<workbook xmlns="{_MAIN}" xmlns:r="{_RELATIONS}"><sheets>'
        f'<sheet name="{escape(title, {chr(34): "&quot;"})}" sheetId="1" r:id="rId1"/></sheets></workbook>'
    )


def _head(columns: int, widths: Mapping[int, int]) -> str:
    described = "".join(
        f'<col min="{number + 1}" max="{number + 1}" width="{widths.get(number, _WIDTH)}" customWidth="1"/>'
        for number in range(columns)
    )
    return (
        f'{_XML}<worksheet xmlns="{_MAIN}"><sheetViews><sheetView tabSelected="1" workbookViewId="0">'
        '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/></sheetView></sheetViews>'
        f"<cols>{described}</cols><sheetData>"
    )


def _row(number: int, letters: Sequence[str], cells: Sequence[Cell], *, text_format: int = 1) -> str:
    """Return a row in XML. Empty cells are left out; a text that is too long for a cell is cut."""
    parts = [f'<row r="{number}">']
    of_text = f'{number}" s="{text_format}" t="inlineStr"><is>'
    for letter, cell in zip(letters, cells, strict=True):
        if isinstance(cell, int):
            parts.append(f'<c r="{letter}{number}"><v>{cell}</v></c>')
        elif cell:
            # Most texts may stand as they are. A regular expression that finds out takes as long as all else in a row.
            is_plain = (
                cell.isprintable()  # so no white space but spaces
                and cell[0] != " " != cell[-1]
                and "&" not in cell
                and "<" not in cell
                and ">" not in cell
                and "_x" not in cell
                and len(cell) <= MAX_TEXT
            )
            parts.append(f'<c r="{letter}{of_text}{f"<t>{cell}</t>" if is_plain else _text(cell)}</is></c>')
    parts.append("</row>")
    return "".join(parts)


def _text(text: str) -> str:
    """Return a text that may hold anything. Excel reads `_x0041_` as `A`, and drops spaces at an end that are not marked."""
    writable = _ENCODED.sub("_x005F_", _UNWRITABLE.sub("\ufffd", text[:MAX_TEXT]))
    return f'<t xml:space="preserve">{escape(writable, {chr(13): "_x000D_"})}</t>'
