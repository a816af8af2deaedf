"""Read texts, days, row numbers and other whole numbers from the query of an address, where any text may stand."""

from collections.abc import Mapping
from datetime import date, datetime, time, tzinfo

from django.utils import timezone

# A BIGINT holds every number of 18 digits.
MAX_DIGITS = 18
# The first and last days of the calendar have no midnight in every time zone, and no day before or after them.
MIN_DAY, MAX_DAY = date(1970, 1, 1), date(9000, 1, 1)


def whole_number(text: str | None, *, max_digits: int = MAX_DIGITS) -> int | None:
    """Return a number such as a row's; None for what is none, or is larger than a database's."""
    text = text or ""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= max_digits else None


def text(query: Mapping[str, str], name: str) -> str:
    """Return what was typed in a field, without white space around it; `""` for nothing, and at most 80 characters."""
    # PostgreSQL takes no NUL in a text, not even to compare with.
    return (query.get(name) or "").replace("\0", "").strip()[:80]


def day(text: str | None) -> date | None:
    """Return the day of `2026-10-31`; None for what is none, or lies outside `MIN_DAY` to `MAX_DAY`."""
    try:
        parsed = date.fromisoformat(text or "")
    except ValueError:
        return None
    return parsed if MIN_DAY <= parsed <= MAX_DAY else None


def midnight(day: date, zone: tzinfo | None = None) -> datetime:
    """Return the moment at which a day begins, in `zone`, by default the one in which the reader's times are written."""
    return timezone.make_aware(datetime.combine(day, time.min), zone)


def desk_midnight(day: date) -> datetime:
    """Return the moment at which a day begins in the desk's zone, Vietnam's."""
    return midnight(day, timezone.get_default_timezone())
