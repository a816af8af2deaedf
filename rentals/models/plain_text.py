"""Texts without accents and in small letters, computed by the database: `text__plain__contains="hieu luc"`.

On PostgreSQL by functions that an index may use, on SQLite by a function of ours. What is compared with is folded by
`thuesim.folding.without_accents`.
"""

import re
import sqlite3
import unicodedata
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.db.models import CharField, TextField, Transform

from thuesim.folding import without_accents

# Every Vietnamese letter with an accent, in both cases, and the plain letter; then the accents that stand by themselves,
# which go. One character each: TRANSLATE takes them one by one.
_BASES = "aăâeêioôơuưy"
_TONES = ("\u0300", "\u0301", "\u0303", "\u0309", "\u0323")
_SMALL = sorted({unicodedata.normalize("NFC", base + tone) for base in _BASES for tone in ("", *_TONES)} | {"đ"})
_ACCENTED = [letter for letter in _SMALL if not letter.isascii()]
FROM = "".join(_ACCENTED) + "".join(letter.upper() for letter in _ACCENTED)
TO = "".join(without_accents(letter) for letter in FROM)
MARKS = "".join((*_TONES, "\u0302", "\u0306", "\u031b"))
# For each form of a letter, the pattern of all its forms.
_FORMS = {plain: plain + "".join(a for a, b in zip(FROM, TO, strict=True) if b == plain) for plain in TO}
_PATTERNS = {form: f"[{forms}][{MARKS}]*" for forms in _FORMS.values() for form in forms}

_TIMES = 4  # that `postgresql_expression` names the column


def pattern(text: str) -> str:
    """Return the regular expression for what contains the text with accents or without: `target__iregex=pattern("hieu")`.

    For a column that no index serves: PostgreSQL folds a value in ten times as long as it matches this.
    """
    letters = unicodedata.normalize("NFC", text)
    return "".join(_PATTERNS.get(letter.lower()) or re.escape(letter) for letter in letters)


def postgresql_expression(column: str) -> str:
    """Return the SQL that folds a column, `_TIMES` in it: an index of exactly this expression serves the search.

    TRANSLATE compares each letter with all that it is given. So letters and their accents are taken apart first: to give it
    every letter that has one takes six times as long. Where all are ASCII, both are spared. In the locale C, LOWER knows
    ASCII letters alone.
    """
    plain = f"TRANSLATE(NORMALIZE({column}, NFD), 'đĐ{MARKS}', 'dd')"
    return f"LOWER(CASE WHEN OCTET_LENGTH({column}) = LENGTH({column}) THEN {column} ELSE {plain} END)"


@CharField.register_lookup
@TextField.register_lookup
class Plain(Transform):
    """The value in small letters without accents."""

    lookup_name = "plain"
    function = "DESK_PLAIN"
    output_field = TextField()

    def as_postgresql(self, compiler: Any, connection: BaseDatabaseWrapper, **context: Any) -> tuple[str, Any]:
        sql, parameters = compiler.compile(self.lhs)
        return postgresql_expression(sql), [*parameters] * _TIMES


def _fold(text: str | bytes | int | float | None) -> str | bytes | int | float | None:
    if not isinstance(text, str):
        return text
    return text.lower() if text.isascii() else without_accents(text)


def _add_function(connection: BaseDatabaseWrapper, **kwargs: object) -> None:
    if isinstance(connection.connection, sqlite3.Connection):
        connection.connection.create_function("DESK_PLAIN", 1, _fold, deterministic=True)


connection_created.connect(_add_function, dispatch_uid="plain_text")
