"""A cache whose rows end with their time: never because others came, never twice for one `add`."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from unittest import mock

import pytest
from django.core.cache import DEFAULT_CACHE_ALIAS, cache, caches
from django.db import DatabaseError, connection
from django.utils import timezone

from lib.lasting_cache import LastingCache, delete_expired

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _empty(db: None) -> None:
    cache.clear()


def rows() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM django_cache")
        return int(cursor.fetchone()[0])


def expire() -> None:
    """Let the time of every row be over."""
    with connection.cursor() as cursor:
        past = connection.ops.adapt_datetimefield_value(timezone.now() - timedelta(seconds=5))
        cursor.execute("UPDATE django_cache SET expires = %s", [past])


def test_it_is_the_cache_of_the_project() -> None:
    assert isinstance(caches[DEFAULT_CACHE_ALIAS], LastingCache)


def test_what_is_set_is_read_until_its_time_is_over() -> None:
    cache.set("failures", [1.5, 2.5], 60)
    assert cache.get("failures") == [1.5, 2.5]
    cache.set("failures", [3.5], 60)
    assert cache.get("failures") == [3.5]
    expire()
    assert cache.get("failures") is None


def test_no_row_is_evicted_by_others() -> None:
    cache.set("a-failure", 1, 600)
    for number in range(700):
        cache.set(f"b-flood-{number}", 1, 600)
    assert cache.get("a-failure") == 1
    assert rows() == 701


def test_add_succeeds_once_while_the_row_lives() -> None:
    assert cache.add("code", "y", 60)
    assert not cache.add("code", "z", 60)
    assert cache.get("code") == "y"
    expire()
    assert cache.add("code", "z", 60)
    assert cache.get("code") == "z"


def test_touch_lengthens_a_live_row_alone() -> None:
    assert not cache.touch("failures", 60)
    cache.set("failures", 1, 60)
    assert cache.touch("failures", 600)
    expire()
    assert not cache.touch("failures", 600)


def test_a_row_without_an_end_stays() -> None:
    cache.set("kept", 1, None)
    delete_expired()
    assert cache.get("kept") == 1


def test_expired_rows_are_deleted_in_batches_and_live_ones_stay() -> None:
    for number in range(25):
        cache.set(f"old-{number}", 1, 60)
    expire()
    cache.set("new", 1, 60)
    with mock.patch("lib.lasting_cache.BATCH", 10):
        assert delete_expired() == 25
    assert (rows(), cache.get("new")) == (1, 1)


def test_a_count_that_cannot_be_written_is_an_error() -> None:
    with mock.patch.object(connection, "cursor", side_effect=DatabaseError), pytest.raises(DatabaseError):
        cache.set("failures", 1, 60)


@pytest.mark.django_db(transaction=True)
def test_of_many_requests_with_one_code_one_is_let_in() -> None:
    def use(_number: int) -> bool:
        try:
            return bool(cache.add("code", "y", 60))
        finally:
            connection.close()

    for _round in range(5):
        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(use, range(8))) == 1
        expire()  # a row of before must let one in again, and no more
