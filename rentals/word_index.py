"""An index of parts of words for SQLite, as PostgreSQL has them by pg_trgm: what the search box looks up.

Two FTS5 tables of trigrams, whose `rowid` is the key of a message or rental, kept by triggers. They hold no texts: to take a
row out, FTS5 is told what it was put in with. So a change of how texts are folded needs a migration, after which the tables
are made anew.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, TypeVar

from django.db import connections
from django.db.models import QuerySet
from django.db.models.expressions import RawSQL

Rows = TypeVar("Rows", bound=QuerySet[Any])
# Each table's words, of a row `{row}`. In small letters without accents, by our function: see `rentals.models.plain_text`.
_WORDS = {
    "rentals_message": "DESK_PLAIN({row}.code || char(10) || {row}.text)",
    "rentals_rental": "{row}.phone || char(10) || DESK_PLAIN({row}.purpose)",
}
_COLUMNS = {"rentals_message": "code, text", "rentals_rental": "phone, purpose"}
# What MATCH looks for is a sequence of trigrams.
MIN_LENGTH = 3


def _triggers() -> Iterator[tuple[str, str]]:
    """Yield each trigger's name and its SQL past the name."""
    for table, words in _WORDS.items():
        add = f"INSERT INTO {table}_words (rowid, words) VALUES (NEW.id, {words.format(row='NEW')});"
        remove = (
            f"INSERT INTO {table}_words ({table}_words, rowid, words)"
            f" VALUES ('delete', OLD.id, {words.format(row='OLD')});"
        )
        differ = f"{words.format(row='NEW')} <> {words.format(row='OLD')}"
        yield f"{table}_words_insert", f"AFTER INSERT ON {table} BEGIN {add} END"
        yield f"{table}_words_delete", f"AFTER DELETE ON {table} BEGIN {remove} END"
        event = f"AFTER UPDATE OF {_COLUMNS[table]} ON {table} WHEN {differ}"
        yield f"{table}_words_update", f"{event} BEGIN {remove} {add} END"


def remove(execute: Callable[[str], Any]) -> None:
    """Drop the triggers."""
    for name, _sql in _triggers():
        execute(f"DROP TRIGGER IF EXISTS {name}")


def make(execute: Callable[[str], Any]) -> None:
    """Make the tables anew from the rows that are there, and the triggers."""
    remove(execute)
    for table, words in _WORDS.items():
        execute(f"DROP TABLE IF EXISTS {table}_words")
        execute(f"CREATE VIRTUAL TABLE {table}_words USING fts5(words, content='', tokenize='trigram')")
        execute(f"INSERT INTO {table}_words (rowid, words) SELECT id, {words.format(row='x')} FROM {table} x")
    for name, sql in _triggers():
        execute(f"CREATE TRIGGER {name} {sql}")


def before_migrations(*, using: str, plan: Sequence[Any] = (), **_others: Any) -> None:
    """Drop the triggers: SQLite changes a table by making it anew, and refuses where a trigger names the old one."""
    if plan and _has_words(using):
        with connections[using].cursor() as cursor:
            remove(cursor.execute)


def after_migrations(*, using: str, plan: Sequence[Any] = (), **_others: Any) -> None:
    """Make everything anew where migrations ran, which may have changed texts without triggers."""
    if plan and _has_words(using):
        with connections[using].cursor() as cursor:
            make(cursor.execute)


def _has_words(using: str) -> bool:
    database = connections[using]
    return database.vendor == "sqlite" and "rentals_message_words" in database.introspection.table_names()


def narrowed(rows: Rows, parts: Collection[str]) -> Rows:
    """Return the messages or rentals of `rows` with a word that contains one of the folded `parts`; all of them if a
    part is too short for the index.
    """
    if min(map(len, parts)) < MIN_LENGTH:
        return rows
    table = rows.model._meta.db_table
    phrases = " OR ".join('"{}"'.format(part.replace('"', '""')) for part in parts)
    keys = RawSQL(f"SELECT rowid FROM {table}_words WHERE {table}_words MATCH %s", [phrases])  # noqa: S611
    return rows.filter(pk__in=keys)
