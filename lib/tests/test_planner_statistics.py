import pytest
from django.db import connection

from lib import planner_statistics

pytestmark = pytest.mark.django_db


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL gathers them by itself")
def test_sqlite_knows_how_many_rows_an_index_has() -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE words (word TEXT)")
        cursor.execute("CREATE INDEX words_word ON words (word)")
        cursor.execute("INSERT INTO words VALUES ('a'), ('a'), ('b'), ('c')")
        planner_statistics.refresh()
        cursor.execute("SELECT stat FROM sqlite_stat1 WHERE idx = 'words_word'")
        assert cursor.fetchone() == ("4 2",)


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL gathers them by itself")
def test_sqlite_does_not_plan_with_a_table_of_one_row() -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE office (id INTEGER PRIMARY KEY, name TEXT UNIQUE)")
        cursor.execute("CREATE TABLE letter (id INTEGER PRIMARY KEY, office_id INTEGER)")
        cursor.execute("CREATE INDEX letter_office ON letter (office_id)")
        cursor.execute("CREATE INDEX letter_first ON letter (office_id) WHERE id = 1")
        cursor.execute("INSERT INTO office VALUES (1, 'a')")
        cursor.execute("INSERT INTO letter VALUES (1, 1), (2, 1), (3, 1)")
        planner_statistics.refresh()
        cursor.execute("SELECT idx FROM sqlite_stat1 WHERE tbl IN ('office', 'letter')")
        assert {name for (name,) in cursor.fetchall()} == {"letter_office", "letter_first"}
