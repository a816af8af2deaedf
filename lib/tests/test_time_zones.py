"""The reader's zone, and the desk's own, which days of money stay with."""

from datetime import UTC, date, datetime

import pytest
from django.utils import timezone

from lib import time_zones
from lib.web.query_params import desk_midnight, midnight

LATE = datetime(2026, 3, 10, 20, 30, tzinfo=UTC)  # the 11th in Vietnam, the 10th in Berlin


def test_times_are_written_in_the_chosen_zone_and_afterwards_in_the_one_of_before() -> None:
    with time_zones.reading_in("Europe/Berlin"):
        assert f"{timezone.localtime(LATE):%H:%M}" == "21:30"
        assert time_zones.label() == "Europe/Berlin"
        assert not time_zones.is_of_desk()
    assert f"{timezone.localtime(LATE):%H:%M}" == "03:30"
    assert time_zones.label() == "UTC+7"


@pytest.mark.parametrize("name", ["", "Mars/Base", "UTC+99", "../../etc/passwd"])
def test_no_zone_or_one_that_is_not_known_is_the_desk_s(name: str) -> None:
    with time_zones.reading_in("Europe/Berlin"), time_zones.reading_in(name):
        assert time_zones.is_of_desk()


@pytest.mark.parametrize(
    ("name", "offset"), [("Asia/Kolkata", "UTC+5:30"), ("Asia/Tokyo", "UTC+9"), ("America/Caracas", "UTC-4")]
)
def test_an_offset_is_written_as_people_do(name: str, offset: str) -> None:
    with time_zones.reading_in(name):
        assert time_zones.offset() == offset


def test_days_of_money_are_vietnam_s_for_every_reader() -> None:
    with time_zones.reading_in("Europe/Berlin"):
        assert time_zones.desk_day(LATE) == date(2026, 3, 11)
        assert timezone.localdate(LATE) == date(2026, 3, 10)
        assert desk_midnight(date(2026, 3, 11)) == datetime(2026, 3, 10, 17, tzinfo=UTC)
        assert midnight(date(2026, 3, 11)) == datetime(2026, 3, 10, 23, tzinfo=UTC)
        assert time_zones.desk_time(LATE).hour == 3
