from datetime import UTC, date, datetime, timedelta

import pytest
from django.utils import timezone

from lib.web.query_params import MAX_DAY, MIN_DAY, day, midnight, whole_number


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("12", 12), ("007", 7), ("9" * 18, 10**18 - 1)])
def test_a_whole_number_is_read(text: str, number: int) -> None:
    assert whole_number(text) == number


@pytest.mark.parametrize("text", [None, "", " 1", "-1", "+1", "1.0", "1e3", "x", "9" * 19, "²", "٣", "\x00"])
def test_what_is_no_row_number_is_none(text: str | None) -> None:
    assert whole_number(text) is None


def test_a_number_may_be_bounded_to_fewer_digits() -> None:
    assert whole_number("1234", max_digits=4) == 1234
    assert whole_number("12345", max_digits=4) is None


def test_a_day_is_read() -> None:
    assert day("2026-10-31") == date(2026, 10, 31)


@pytest.mark.parametrize("text", [None, "", "soon", "2026-99-99", "31/10/2026", "0001-01-01", "9999-12-31"])
def test_what_is_no_day_or_far_from_today_is_none(text: str | None) -> None:
    assert day(text) is None


def test_a_day_begins_at_its_midnight_in_vietnam() -> None:
    with timezone.override("Asia/Ho_Chi_Minh"):
        assert midnight(date(2026, 10, 31)) == datetime(2026, 10, 30, 17, tzinfo=UTC)


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Etc/GMT+12"])
def test_the_first_and_the_last_day_have_a_midnight_and_neighbours_in_every_zone(zone: str) -> None:
    with timezone.override(zone):
        for edge in (MIN_DAY, MAX_DAY):
            for neighbour in (edge - timedelta(days=366), edge + timedelta(days=1)):
                assert midnight(neighbour).astimezone(UTC)
