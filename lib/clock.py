"""Times in the database that stay right when the machine's clock is set forward or back by minutes."""

import time
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

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
