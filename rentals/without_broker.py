"""Work that goes on while Redis is down or full, or beat has stopped: workers then find and do it by themselves.

Each worker process looks how long ago the last tick was, as soon as that may be too long. If it is, it ticks itself each
second, and does the other recurring work too; what a tick would have sent through Redis is done by threads here. As with
Redis, all of it may be done twice or at once in several processes.
"""

import logging
import threading
import time
from datetime import timedelta
from functools import partial

from celery import current_app
from django.db import Error, close_old_connections
from django.utils import timezone

from lib.each_once import EachOnce
from lib.redis_state import Store, redis_state
from rentals import enqueue
from rentals.enqueue import Wakeup
from rentals.models import JobName, JobRun
from rentals.task_names import TaskName

STALE = timedelta(seconds=4)
TICK_SECONDS = 1.0
THREADS = 8

logger = logging.getLogger(__name__)


class WithoutBroker:
    """One per worker process."""

    def __init__(self) -> None:
        self._threads = EachOnce(THREADS, "without-broker")
        self._ran_at: dict[str, float] = {}
        self._active = False

    def start(self) -> None:
        """Look again and again, from a thread of its own, until the process ends."""
        threading.Thread(target=self._watch, name="without-broker", daemon=True).start()

    def _watch(self) -> None:
        pause = TICK_SECONDS
        while True:
            time.sleep(pause)
            pause = TICK_SECONDS
            try:
                close_old_connections()
                pause = self.look()
            except Error as error:
                logger.warning("the database does not say what is due: %s", type(error).__name__)

    def look(self) -> float:
        """Do the recurring work if nobody else does. Returns the seconds until that may be so."""
        ticked = JobRun.objects.filter(name=JobName.TICK).values_list("at", flat=True).first()
        age = abs(timezone.now() - ticked) if ticked is not None else STALE
        recent = age < STALE
        if recent and not self._active:
            return max(TICK_SECONDS, (STALE - age).total_seconds())
        active = redis_state() != Store.UP
        if active != self._active:
            logger.warning(
                "Redis takes no messages: work goes on without it." if active else "Redis takes messages again."
            )
        self._active = active
        enqueue.put_instead(self.do if active else None)
        if active or not recent:
            self._recurring_work()
        return TICK_SECONDS

    def _recurring_work(self) -> None:
        now = time.monotonic()
        for entry in current_app.conf.beat_schedule.values():
            name, seconds = str(entry["task"]), float(entry["schedule"])
            if now - self._ran_at.get(name, float("-inf")) >= seconds * 0.9:
                self._ran_at[name] = now
                self._submit(name)

    def do(self, wakeup: Wakeup) -> None:
        """Do what Redis did not take, at once. What was to wait a little is left to a tick."""
        if not wakeup.countdown:
            self._submit(wakeup.task, wakeup.pk)

    def _submit(self, name: str, *ids: int) -> None:
        self._threads.submit((name, *ids), partial(current_app.tasks[TaskName(name)], *ids))
