"""Machines that start together on one PostgreSQL prepare it one after the other, whatever the first one does meanwhile."""

import threading

import pytest
from django.db import connection

from lib import advisory_lock
from thuesim_site.testing import wait_until

pytestmark = pytest.mark.django_db(transaction=True)
NUMBER = 7_304_899


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite is one machine's own")
def test_an_index_is_made_concurrently_while_others_wait_for_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(advisory_lock, "RETRY_SECONDS", 0.0001)  # so that the index meets them in a statement
    asked, entered = threading.Event(), threading.Event()

    def wait_for_a_turn() -> None:
        asked.set()
        with advisory_lock.advisory_lock(NUMBER):
            entered.set()
        connection.close()

    others = [threading.Thread(target=wait_for_a_turn, daemon=True) for _ in range(2)]
    with advisory_lock.advisory_lock(NUMBER):
        for other in others:
            other.start()
        asked.wait(60)
        wait_until(lambda: connections_of_all() >= 4, "the others have asked for their turn")
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = '60s'")
            cursor.execute("CREATE INDEX CONCURRENTLY of_a_test ON django_migrations (app)")
            cursor.execute("DROP INDEX of_a_test")
            cursor.execute("RESET statement_timeout")
        assert not entered.is_set()
    for other in others:
        other.join(60)
    assert entered.is_set()


def connections_of_all() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
        return int(cursor.fetchone()[0])


def test_on_sqlite_nothing_is_locked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "vendor", "sqlite")
    with advisory_lock.advisory_lock(NUMBER), advisory_lock.advisory_lock(NUMBER):
        pass
