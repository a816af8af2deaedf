"""The ticks: each second one worker process of the desk finds in the database what is due, and wakes workers for it.

The process that ticked last goes on. The others look now and then how long ago that was, and one of them takes over as soon
as it is too long; that two tick for a moment does no harm. A tick of its own wakes one thread each second, where one that is
sent through Redis wakes beat, Redis, a worker and its thread.

While Redis is down or full, threads here do what would have been sent through it, and the other recurring work, too. They
also do that where beat has stopped, and go on after an outage until a message comes: Redis takes messages before Celery's
workers are connected again, which may be half a minute later.
"""

import logging
import threading
import time
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from celery import current_app, signals
from django.db import Error, close_old_connections
from django.utils import timezone

from lib.deduplicating_threads import DeduplicatingThreads
from lib.redis_access.redis_state import Store, redis_state
from rentals import enqueue, tasks
from rentals.enqueue import Wakeup
from rentals.jobs import runs
from rentals.jobs.upkeep import heartbeats
from rentals.models import JobName
from rentals.task_names import TaskName

STALE = timedelta(seconds=4)
TICK_SECONDS = 1.0
PROBE_SECONDS = 2.0  # how often Redis is asked whether it takes messages
RECONNECT_SECONDS = 35.0  # in which Celery's workers are surely connected: they try each 32 s at the latest
BEAT_SECONDS = 10.0  # how often it is asked whether there is a beat
THREADS = 8

logger = logging.getLogger(__name__)


class Ticker:
    """One per worker process."""

    def __init__(self) -> None:
        self._threads = DeduplicatingThreads(THREADS, "without-broker")
        self._ran_at: dict[str, float] = {}
        self._probed_at = self._away_at = self._message_at = float("-inf")  # monotonic
        # A beat that starts together with this process has time to write its first heartbeat.
        self._beat_asked_at = time.monotonic()
        self._ticked_at: datetime | None = None  # as this process noted it
        self._without_redis = self._without_beat = False

    def start(self) -> None:
        """Look again and again, from a thread of its own, until the process ends."""
        # Sent for what comes by a message, and not for what is called here.
        signals.task_prerun.connect(self.message_came, weak=False)
        threading.Thread(target=self._watch, name="ticks", daemon=True).start()

    def message_came(self, **_: Any) -> None:
        """Note that this process reads what is sent."""
        self._message_at = time.monotonic()

    def _watch(self) -> None:
        pause = TICK_SECONDS
        while True:
            time.sleep(pause)
            began, pause = time.monotonic(), TICK_SECONDS
            try:
                close_old_connections()
                pause = self.look()
            except Error as error:
                logger.warning("the database does not say what is due: %s", type(error).__name__)
            except Exception:  # the edge of a worker: the next tick finds the same work
                logger.exception("a tick failed")
            pause = max(0.0, pause - (time.monotonic() - began))

    def look(self) -> float:
        """Tick, unless another process does. Returns the seconds until the next look."""
        self._ask_redis()
        before = self._ticked_at or runs.last_run(JobName.TICK)
        age = abs(timezone.now() - before) if before is not None else STALE
        ticks = self._ticked_at is not None or age >= STALE
        if ticks:
            self._tick(before)
            self._ask_for_beat()
        if self._without_redis or (ticks and self._without_beat):
            self._recurring_work()
        return TICK_SECONDS if ticks or self._without_redis else max(TICK_SECONDS, (STALE - age).total_seconds())

    def _tick(self, before: datetime | None) -> None:
        """Find what is due, and note that it was looked for, unless another process has since `before`."""
        tasks.wake_workers()
        self._ticked_at = runs.note_run_after(JobName.TICK, before) if before else runs.note_run(JobName.TICK)

    def _ask_redis(self) -> None:
        """Find out whether messages go through Redis, and have them done here while they do not."""
        if time.monotonic() - self._probed_at < PROBE_SECONDS:
            return
        self._probed_at = time.monotonic()
        away = redis_state() != Store.UP
        if away:
            self._away_at = self._probed_at
        connecting = self._message_at <= self._away_at and self._probed_at - self._away_at < RECONNECT_SECONDS
        without = away or (self._without_redis and connecting)
        if without != self._without_redis:
            logger.warning(
                "Redis takes no messages: work goes on without it." if without else "Messages come from Redis again."
            )
        self._without_redis = without
        enqueue.put_instead(self.do if without else None)

    def _ask_for_beat(self) -> None:
        if time.monotonic() - self._beat_asked_at > BEAT_SECONDS:
            self._beat_asked_at = time.monotonic()
            self._without_beat = not heartbeats.is_beat_there()

    def _recurring_work(self) -> None:
        now = time.monotonic()
        for entry in current_app.conf.beat_schedule.values():
            name, seconds = str(entry["task"]), float(entry["schedule"])
            if name != TaskName.TICK and now - self._ran_at.get(name, float("-inf")) >= seconds * 0.9:
                self._ran_at[name] = now
                self._submit(name)

    def do(self, wakeup: Wakeup) -> None:
        """Do what Redis did not take, at once. What was to wait a little is left to a tick."""
        if not wakeup.countdown:
            self._submit(wakeup.task, *wakeup.ids)

    def _submit(self, name: str, *ids: int) -> None:
        self._threads.submit((name, *ids), partial(current_app.tasks[TaskName(name)], *ids))
