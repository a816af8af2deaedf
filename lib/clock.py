"""Times kept in the database, read by a clock that may be set forward or back by minutes meanwhile."""

import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.db.models import Q
from django.utils import timezone


@lru_cache
def boot() -> str:
    """Return what tells this machine's monotonic clock from another's; `""` where nothing does."""
    path = Path("/proc/sys/kernel/random/boot_id")
    return path.read_text().strip() if path.exists() else ""


def mark() -> dict[str, Any]:
    """Return this moment on the machine's monotonic clock, which no step moves, for keeping as JSON."""
    return {"boot": boot(), "clock": time.monotonic()}


def seconds_since(mark: Mapping[str, Any], at: datetime) -> float:
    """How long ago a `mark` was made; by the wall clock, as `at`, where it is from another machine or before a boot."""
    if mark.get("boot") and mark["boot"] == boot():
        return time.monotonic() - float(mark["clock"])
    return (timezone.now() - at).total_seconds()


def is_due(field: str, *, within: float) -> Q:
    """Match rows whose time has come, or lies further ahead than the `within` seconds that it is ever set to: that was
    written before the clock was set back. Rows without a time do not match."""
    now = timezone.now()
    return Q(**{f"{field}__lte": now}) | Q(**{f"{field}__gt": now + timedelta(seconds=within)})


def is_ahead(time: datetime | None, *, within: float) -> bool:
    """Whether `time` is still to come, and not further ahead than it is ever set to."""
    return time is not None and timedelta(0) < time - timezone.now() <= timedelta(seconds=within)
