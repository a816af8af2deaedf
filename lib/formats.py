"""How money, numbers and durations are written, on the pages, in the admin and in exports."""

from datetime import timedelta
from functools import lru_cache

from django.utils.translation import ngettext


# Four of five amounts on a page of cards or of the history are others' as well; a year of spending has 1,500.
@lru_cache(maxsize=4000)
def dong(amount: int | None) -> str:
    """Write an amount as Vietnam does, in every language of the desk: `1.450 ₫`."""
    if amount is None:
        return ""
    sign = "−" if amount < 0 else ""
    return f"{sign}{abs(amount):,} ₫".replace(",", ".")


def grouped(number: int) -> str:
    """Write a number in groups of three, `1.450`, in every language: beside amounts it has the same form as they."""
    return f"{number:,}".replace(",", ".")


def span(duration: timedelta | int | None) -> str:
    """Write a duration, an `int` being seconds, in words: `45 seconds`, `5 minutes`, `2 hours`."""
    if duration is None:
        return ""
    seconds = round(duration.total_seconds() if isinstance(duration, timedelta) else duration)
    if seconds < 60:
        return ngettext("%(n)s second", "%(n)s seconds", seconds) % {"n": seconds}
    minutes = round(seconds / 60)
    if minutes < 120:
        return ngettext("%(n)s minute", "%(n)s minutes", minutes) % {"n": minutes}
    hours = round(minutes / 60)
    return ngettext("%(n)s hour", "%(n)s hours", hours) % {"n": hours}
