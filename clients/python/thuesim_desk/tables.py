"""Tables for people on a terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return rows under a head, columns aligned, numbers to the right. Control characters are replaced."""
    written = [[_cell(value) for value in row] for row in rows]
    widths = [max(_width(cell) for cell in column) for column in zip(head, *written)]
    right = [bool(written) and all(_is_amount(row[index]) for row in written) for index in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        padded = (
            " " * (width - _width(cell)) + cell if at_right else cell + " " * (width - _width(cell))
            for cell, width, at_right in zip(cells, widths, right)
        )
        return "  ".join(padded).rstrip()

    return "\n".join(line(cells) for cells in [list(head), *written])


def dong(amount: object) -> str:
    """Write an amount in đồng: `1.450 ₫`; empty where it is unknown."""
    return f"{amount:,} ₫".replace(",", ".") if isinstance(amount, int) else ""


def clean(text: str) -> str:
    """Replace what would steer a terminal: a message's text comes from strangers."""
    return "".join(
        " " if char in "\n\t" else "\ufffd" if unicodedata.category(char)[0] == "C" else char for char in text
    )


def _cell(value: object) -> str:
    return clean("" if value is None else str(value))


def _width(text: str) -> int:
    """Return how many columns it takes: marks take none, East Asian wide characters two."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def _is_amount(cell: str) -> bool:
    return not cell or cell.endswith("₫") or cell.isdigit()
