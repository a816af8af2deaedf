"""The zone in which a person reads times, and the desk's own, Vietnam's, in which the days of money are counted."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from django.conf import settings
from django.utils import timezone

# The regions of zones that are named for a place. The others are abbreviations and old names.
_REGIONS = {"Africa", "America", "Antarctica", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific"}


@cache
def names() -> tuple[str, ...]:
    """Return the zones that a person chooses from, by name: `Europe/Berlin`."""
    return tuple(sorted(name for name in available_timezones() if name.partition("/")[0] in _REGIONS))


@contextmanager
def reading_in(name: str) -> Iterator[None]:
    """Write times in the zone `name` inside the block: in the desk's where it is `""`, or not known to this machine."""
    with timezone.override(ZoneInfo(name) if name in names() else None):
        yield


def is_of_desk() -> bool:
    """Whether times are written in the desk's zone now."""
    return timezone.get_current_timezone_name() == settings.TIME_ZONE


def label() -> str:
    """Return the zone in which times are written now, as it stands beside one: `UTC+7`, or `Europe/Berlin`, whose
    difference to UTC changes with the seasons."""
    return offset() if is_of_desk() else timezone.get_current_timezone_name()


def offset() -> str:
    """Return the present difference to UTC of the zone in which times are written now: `UTC+7`, `UTC+5:30`."""
    text = f"{timezone.localtime():%z}"  # +0530
    minutes = text[3:].replace("00", "")
    return f"UTC{text[0]}{int(text[1:3])}{':' if minutes else ''}{minutes}"


def desk_day(at: datetime | None = None) -> date:
    """Return the day of a moment, by default of now, in the desk's zone, whatever zone times are written in."""
    return timezone.localdate(at, timezone.get_default_timezone())


def desk_time(at: datetime) -> datetime:
    """Return a moment in the desk's zone, whatever zone times are written in."""
    return timezone.localtime(at, timezone.get_default_timezone())
