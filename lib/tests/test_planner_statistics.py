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
