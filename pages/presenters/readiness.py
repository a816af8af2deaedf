"""Whether the desk can work: its database takes writes, its scheduler runs, Redis takes messages.

`/readyz`, `/metrics` and the system page say the same of it. Without Redis the workers go on by themselves
(`rentals.without_broker`), so that alone does not make the desk unready.
"""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.models import F
from django.utils import timezone

from lib import disk
from lib.redis_state import Store, redis_state
from rentals.models import JobName, JobRun

# The tick runs each second. Before it counts as late, whether the database takes writes is tried.
TRY_SECONDS, LATE_SECONDS = 5.0, 30.0
# Small writes still fit into SQLite's log then, and an order does not.
SQLITE_FULL_BYTES = 1_000_000
_began = time.monotonic()


@dataclass(frozen=True, slots=True)
class Readiness:
    """`tick_age` is in seconds, None where the scheduler never ran."""

    database: Store
    redis: Store
    tick_age: float | None
    disk_free_bytes: int

    @property
    def is_late(self) -> bool:
        """Whether the scheduler has not run for too long."""
        age = time.monotonic() - _began if self.tick_age is None else self.tick_age
        return age > LATE_SECONDS

    @property
    def disk_is_low(self) -> bool:
        return self.disk_free_bytes < disk.MIN_FREE_BYTES

    @property
    def is_ready(self) -> bool:
        return self.database == Store.UP and not self.is_late

    @property
    def reasons(self) -> list[str]:
        """Why it is not ready, for an operator's monitor."""
        found = []
        if self.database == Store.DOWN:
            found.append("the database does not answer")
        if self.database == Store.FULL:
            found.append("the database takes no writes: its disk is full")
        elif self.is_late:
            found.append("the scheduler has not run: look at the workers and at beat")
        return found


def readiness() -> Readiness:
    """Ask the database and Redis. Never raises; takes as long as they do."""
    try:
        connection.ensure_connection()
        ticked = JobRun.objects.filter(name=JobName.TICK).values_list("at", flat=True).first()
    except DatabaseError:
        return Readiness(Store.DOWN, redis_state(), None, disk.free_bytes(settings.DATA_DIR))
    return readiness_at(ticked)


def readiness_at(ticked: datetime | None) -> Readiness:
    """Return the readiness of a desk whose database answers, and whose scheduler ran last at `ticked`."""
    age = None if ticked is None else (timezone.now() - ticked) / timedelta(seconds=1)
    late = age is not None and age > TRY_SECONDS
    free = disk.free_bytes(settings.DATA_DIR)
    full = (connection.vendor == "sqlite" and free < SQLITE_FULL_BYTES) or (late and not _takes_writes())
    return Readiness(Store.FULL if full else Store.UP, redis_state(), age, free)


def _takes_writes() -> bool:
    """Whether a write is taken. The tick writes each second, so this is asked only when it seems not to."""
    try:
        with transaction.atomic():
            JobRun.objects.filter(name=JobName.TICK).update(fault=F("fault"))
    except DatabaseError as error:
        return not disk.refuses_writes(error)
    return True
