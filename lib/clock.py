"""Times in the database that stay right when the machine's clock is set forward or back by minutes."""

import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.db import connection
from django.db.models import DateTimeField, ExpressionWrapper, Func, Value
from django.db.models.expressions import Combinable
from django.utils import timezone


@lru_cache
def boot() -> str:
    """Return the id of this boot: monotonic times compare only within one. `""` where the system gives none."""
    path = Path("/proc/sys/kernel/random/boot_id")
    return path.read_text().strip() if path.exists() else ""


def steady() -> float:
    """Return the machine's monotonic clock in seconds, with the time of a suspension if the system counts it."""
    boot_time = getattr(time, "CLOCK_BOOTTIME", None)  # of Linux
    if boot_time is None:
        return time.monotonic()
    return time.monotonic() + time.clock_gettime(boot_time) - time.clock_gettime(time.CLOCK_MONOTONIC)


def offset() -> float:
    """Return the wall clock minus `steady`, in seconds: it changes when the wall clock is set, and is slewed slowly."""
    return time.time() - steady()


def database_now(*, plus: timedelta = timedelta(0)) -> Combinable:
    """Return the time at which a statement runs, and `plus`, for use in a query: by the database's clock, which machines
    that share it have in common. On SQLite that is this machine's own."""
    if connection.vendor != "postgresql":
        return Value(timezone.now() + plus)
    clock = Func(function="clock_timestamp", output_field=DateTimeField())
    return ExpressionWrapper(clock + plus, output_field=DateTimeField())


def stamp() -> dict[str, Any]:
    """Return this moment on the machine's monotonic clock, which no clock step moves, ready to be stored as JSON."""
    return {"boot": boot(), "clock": time.monotonic()}


def seconds_since(stamp: Mapping[str, Any], at: datetime) -> float:
    """Return the age of a `stamp` in seconds. One from another machine, or from before a reboot, cannot be read: then
    the wall clock's time `at` counts."""
    if stamp.get("boot") and stamp["boot"] == boot():
        return time.monotonic() - float(stamp["clock"])
    return (timezone.now() - at).total_seconds()
