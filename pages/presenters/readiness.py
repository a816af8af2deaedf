"""Whether the desk can work, asked in two ways.

`/readyz` is for monitors: would an order go out? The database takes writes and has this version's tables, the scheduler
and a worker for orders run, a key decrypts the API tokens, the clock is right. `/readyz/web` is for load balancers: can this
process serve pages, and take an order into the queue? A silent worker must not take every web machine out, whose pages say
that it is silent. Without Redis the workers go on by themselves (`rentals.ticking`), so that alone makes nothing
unready.
"""

import time
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

from django.apps import apps
from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import F
from django.utils import timezone

from lib.files import disk
from lib.redis_access.redis_state import Store, redis_state
from lib.web import leaving
from rentals.jobs.upkeep import heartbeats, machines
from rentals.jobs.upkeep.machines import Difference
from rentals.models import Heartbeat, JobName, JobRun, Token
from rentals.task_names import TaskQueue

# The tick runs each second. Before it counts as late, whether the database takes writes is tried.
TRY_SECONDS, LATE_SECONDS = 5.0, 30.0
# Small writes still fit into SQLite's log then, and an order does not.
SQLITE_FULL_BYTES = 1_000_000
MAX_CLOCK_SECONDS = 60.0  # between this machine and the database's; waits are minutes long
MAX_TOKENS = 20  # whose values are decrypted
_began = time.monotonic()


@dataclass(frozen=True, slots=True)
class Readiness:
    """`tick_age` is in seconds, None where the scheduler never ran. `clock_ahead` is by how many seconds this machine's
    clock is ahead of the database's; `differences` between machines make none unready. What `with_all` finds out is False,
    0 or empty where it was not asked."""

    database: Store
    redis: Store
    tick_age: float | None
    disk_free_bytes: int
    lacks_migrations: bool = False
    workers_are_silent: bool = False
    lacks_key: bool = False
    clock_ahead: float = 0.0
    differences: tuple[Difference, ...] = ()

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
        return not self.reasons

    @property
    def web_reasons(self) -> list[str]:
        """Why this process serves no pages, or takes no orders into the queue."""
        found = {
            "this process is about to leave": leaving.has_begun(),
            "the database does not answer": self.database == Store.DOWN,
            "the database takes no writes: its disk is full": self.database == Store.FULL,
            "the database lacks migrations of this version: start ./run, or restore": self.lacks_migrations,
        }
        return [reason for reason, holds in found.items() if holds]

    @property
    def reasons(self) -> list[str]:
        """Why an order would not go out, for an operator's monitor."""
        found = {
            "no worker has ticked: look at the workers": self.database == Store.UP and self.is_late,
            "no worker for orders has been heard of lately": self.workers_are_silent,
            "no key decrypts the API tokens: see DESK_SECRET_KEYS": self.lacks_key,
            "this machine's clock is not the database's": abs(self.clock_ahead) > MAX_CLOCK_SECONDS,
        }
        return self.web_reasons + [reason for reason, holds in found.items() if holds]


def readiness(*, asks_redis: bool = True) -> Readiness:
    """Ask the database and Redis. Never raises; takes as long as they do. Redis is taken to be up where it is not asked."""
    try:
        connection.ensure_connection()
        ticked = JobRun.objects.filter(name=JobName.TICK).values_list("at", flat=True).first()
    except DatabaseError:
        return _without_database(asks_redis=asks_redis)
    return with_all(readiness_at(ticked, asks_redis=asks_redis))


def readiness_at(ticked: datetime | None, *, asks_redis: bool = True) -> Readiness:
    """Return the readiness of a desk whose database answers, and whose scheduler ran last at `ticked`."""
    age = None if ticked is None else (timezone.now() - ticked) / timedelta(seconds=1)
    late = age is not None and age > TRY_SECONDS
    free = disk.free_bytes(settings.DATA_DIR)
    full = (connection.vendor == "sqlite" and free < SQLITE_FULL_BYTES) or (late and not _takes_writes())
    return Readiness(Store.FULL if full else Store.UP, redis_state() if asks_redis else Store.UP, age, free)


def with_all(now: Readiness) -> Readiness:
    """Add what takes four or five more queries. Never raises."""
    try:
        return replace(
            now,
            lacks_migrations=_lacks_migrations(),
            workers_are_silent=_workers_are_silent(),
            lacks_key=_lacks_key(),
            clock_ahead=_clock_ahead(),
            differences=tuple(machines.settled_differences(machines.running())),
        )
    except DatabaseError:
        return _without_database()


def _without_database(*, asks_redis: bool = True) -> Readiness:
    return Readiness(Store.DOWN, redis_state() if asks_redis else Store.UP, None, disk.free_bytes(settings.DATA_DIR))


def _takes_writes() -> bool:
    """Whether a write is taken. The tick writes each second, so this is asked only when it seems not to."""
    try:
        with transaction.atomic():
            JobRun.objects.filter(name=JobName.TICK).update(fault=F("fault"))
    except DatabaseError as error:
        return not disk.refuses_writes(error)
    return True


@cache
def _migrations() -> frozenset[tuple[str, str]]:
    """The migrations of this version, by their files' names: loading them all would cost each web process megabytes."""
    folders = {config.label: Path(config.path) / "migrations" for config in apps.get_app_configs()}
    return frozenset((app, file.stem) for app, folder in folders.items() for file in folder.glob("[0-9]*.py"))


def _lacks_migrations() -> bool:
    return not _migrations() <= set(MigrationRecorder.Migration.objects.values_list("app", "name"))


def _workers_are_silent() -> bool:
    """Whether workers have served the queue of orders, and none has written its heartbeat lately. Those that end in order
    leave no heartbeat: then the tick is late."""
    beats = Heartbeat.objects.filter(kind=Heartbeat.Kind.WORKER, queues__contains=TaskQueue.RENTING)
    last = beats.order_by("-at").values_list("at", flat=True).first()
    return last is not None and timezone.now() - last > timedelta(seconds=heartbeats.STALE_SECONDS)


def _lacks_key() -> bool:
    in_use = Token.objects.filter(paused=False, teams__isnull=False).order_by("pk")
    values = list(in_use.values_list("value", flat=True)[:MAX_TOKENS])
    return bool(values) and not any(values)


def _clock_ahead() -> float:
    if connection.vendor != "postgresql":
        return 0.0
    with connection.cursor() as cursor:
        cursor.execute("SELECT extract(epoch FROM clock_timestamp())::float8")
        return time.time() - float(cursor.fetchone()[0])
