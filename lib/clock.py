"""Times in the database that stay right when the machine's clock is set forward or back by minutes."""

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
    """Return the id of this boot: monotonic times compare only within one. `""` where the system gives none."""
    path = Path("/proc/sys/kernel/random/boot_id")
    return path.read_text().strip() if path.exists() else ""


def stamp() -> dict[str, Any]:
    """Return this moment on the machine's monotonic clock, which no clock step moves, ready to be stored as JSON."""
    return {"boot": boot(), "clock": time.monotonic()}


def seconds_since(stamp: Mapping[str, Any], at: datetime) -> float:
    """Return the age of a `stamp` in seconds. One from another machine, or from before a reboot, cannot be read: then
    the wall clock's time `at` counts."""
    if stamp.get("boot") and stamp["boot"] == boot():
        return time.monotonic() - float(stamp["clock"])
    return (timezone.now() - at).total_seconds()


def is_due(field: str, *, within: float) -> Q:
    """Match rows whose time has come. Rows without a time do not match.

    The column is never set further ahead than `within` seconds: a time beyond that was written before the clock was set
    back, and has come too.
    """
    now = timezone.now()
    return Q(**{f"{field}__lte": now}) | Q(**{f"{field}__gt": now + timedelta(seconds=within)})


def is_ahead(time: datetime | None, *, within: float) -> bool:
    """Whether `time` is still to come. One further ahead than `within` seconds counts as past, as for `is_due`."""
    return time is not None and timedelta(0) < time - timezone.now() <= timedelta(seconds=within)
