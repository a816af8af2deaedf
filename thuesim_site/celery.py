"""The Celery application. Its settings are those of Django that begin with CELERY_."""

import logging
import os
import time
import warnings
from datetime import timedelta
from typing import Any

from celery import Celery, signals
from celery.beat import Scheduler, SchedulingError
from celery.fixups.django import DjangoWorkerFixup  # type: ignore[attr-defined]
from django.db import close_old_connections

from rentals.task_names import TaskName, TaskQueue

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "thuesim_site.settings")

SAY_SECONDS = 60.0
# Celery says it at each start as root; with JSON messages alone it does not apply.
warnings.filterwarnings("ignore", "You're running the worker with superuser privileges")
logger = logging.getLogger(__name__)

# Celery closes a thread's connection around each task. Opening SQLite's file anew costs as much as a short task, so it stays
# open as long as a page's; PostgreSQL's goes back to its pool as before.
DjangoWorkerFixup.close_database = lambda self, **_: close_old_connections()

app = Celery("thuesim_site")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


class SteadyScheduler(Scheduler):
    """Beat that goes on when the clock is set back: Celery's own waits until the clock has caught up.

    It keeps nothing on disk. At a start every entry is due at once, so that the catalog is there for the first person.
    """

    max_interval = 5  # seconds that it may sleep

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._offset = time.time() - time.monotonic()
        self._said_at = float("-inf")
        super().__init__(*args, **kwargs)

    def setup_schedule(self) -> None:
        super().setup_schedule()
        for entry in self.schedule.values():
            entry.last_run_at = entry.default_now() - timedelta(days=1)

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Send what is due; returns how many seconds to sleep."""
        offset = time.time() - time.monotonic()
        if offset < self._offset - 0.5:
            for entry in self.schedule.values():
                entry.last_run_at = entry.default_now()
            self._heap = None
        self._offset = offset
        return float(super().tick(*args, **kwargs))

    def apply_entry(self, entry: Any, producer: Any = None) -> None:
        """Send a due task. What Redis does not take is said once a minute, in one line: workers tick by themselves."""
        try:
            self.apply_async(entry, producer=producer, advance=False)
        except SchedulingError as error:
            now = time.monotonic()
            if now - self._said_at > SAY_SECONDS:
                self._said_at = now
                cause = error.__cause__ or error.__context__ or error
                logger.warning("the broker takes no messages: %s", type(cause).__name__)


@signals.worker_init.connect
def _tick(**_: Any) -> None:
    from rentals.ticking import Ticker  # its models want Django to be set up

    Ticker().start()


@signals.worker_shutting_down.connect
def _send_no_more(**_: Any) -> None:
    from rentals.jobs import delivering  # as above

    delivering.stop()


def _every(seconds: float, task: TaskName, queue: TaskQueue = TaskQueue.SLOW) -> dict[str, object]:
    # A run that could not start before the next one is due is dropped: the next one does its work. Some seconds at least,
    # since a worker on another machine compares by a clock of its own.
    return {"task": task, "schedule": seconds, "options": {"queue": queue, "expires": max(5.0, seconds * 0.9)}}


app.conf.beat_scheduler = "thuesim_site.celery:SteadyScheduler"
app.conf.beat_schedule = {
    # Workers tick by themselves each second. Should the threads that do so be gone from all of them, what no message told of
    # is still found.
    "tick": _every(15.0, TaskName.TICK, TaskQueue.TICKS),
    "upkeep": _every(15.0, TaskName.UPKEEP),
    "statistics": _every(60.0, TaskName.REFRESH_STATISTICS),
    "tidy": _every(600.0, TaskName.TIDY),
    "retention": _every(600.0, TaskName.APPLY_RETENTION),
    "storage": _every(60.0, TaskName.CHECK_STORAGE),
}
