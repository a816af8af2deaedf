"""Times kept in the database, read by a clock that may be set forward or back by minutes meanwhile."""

from datetime import datetime, timedelta

from django.db.models import Q
from django.utils import timezone


def is_due(field: str, *, within: float) -> Q:
    """Match rows whose time has come, or lies further ahead than the `within` seconds that it is ever set to: that was
    written before the clock was set back. Rows without a time do not match."""
    now = timezone.now()
    return Q(**{f"{field}__lte": now}) | Q(**{f"{field}__gt": now + timedelta(seconds=within)})


def is_ahead(time: datetime | None, *, within: float) -> bool:
    """Whether `time` is still to come, and not further ahead than it is ever set to."""
    return time is not None and timedelta(0) < time - timezone.now() <= timedelta(seconds=within)
