"""Heartbeats of the worker and beat processes, written to the database every ten seconds.

A worker's heartbeat is written by its own pool of threads, so it also says that a thread was free and the database answered.
That of beat says when it last sent a task: a beat that hangs writes no newer one.
"""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

from celery import signals
from django.db import Error, close_old_connections, connection
from django.utils import timezone

from rentals.models import Heartbeat
from rentals.upstream import call_statistics

INTERVAL_SECONDS = 10
STALE_SECONDS = 35
# From its start on, a process looks for the heartbeat of the one that it replaced.
REPLACED_SECONDS = 2 * STALE_SECONDS
# A process that ended without deleting its heartbeat is shown for so long.
RETENTION = timedelta(hours=1)

logger = logging.getLogger(__name__)


class Pulse:
    """One process's heartbeat. `worked` is called whenever it begins or sends a task."""

    def __init__(self, kind: Heartbeat.Kind, name: str, queues: str = "") -> None:
        self.kind, self.name, self.queues = kind, name, queues
        self.started_at = timezone.now()
        self._worked_at: datetime | None = None
        self._written: datetime | None = None
        self._began = time.monotonic()
        self._stop = threading.Event()

    def worked(self, *_: Any, **__: Any) -> None:
        """Note that the process began or sent a task. Cheap: it is called for each."""
        self._worked_at = timezone.now()

    def write(self) -> None:
        """Write the heartbeat, and the call statistics. Never raises if the database is down."""
        if self.kind == Heartbeat.Kind.BEAT and self._worked_at == self._written:
            return
        self._written = self._worked_at
        try:
            close_old_connections()
            if not self._written_again():
                self._write_all()
            if time.monotonic() - self._began < REPLACED_SECONDS:
                self._delete_replaced()
            call_statistics.write()
        except Error as error:
            logger.warning("no heartbeat could be written: %s", type(error).__name__)
        finally:
            close_old_connections()

    def _written_again(self) -> bool:
        """Write the row that is there. In SQL, since each process does this every ten seconds."""
        with connection.cursor() as cursor:
            times = [at and connection.ops.adapt_datetimefield_value(at) for at in (timezone.now(), self._worked_at)]
            cursor.execute("UPDATE rentals_heartbeat SET at = %s, worked_at = %s WHERE name = %s", [*times, self.name])
            return bool(cursor.rowcount)

    def _write_all(self) -> None:
        fields = {"kind": self.kind, "queues": self.queues, "started_at": self.started_at}
        fields |= {"at": timezone.now(), "worked_at": self._worked_at}
        Heartbeat.objects.update_or_create(name=self.name, defaults=fields)

    def _delete_replaced(self) -> None:
        """Delete the heartbeat of the process that this one replaced, which was written until then."""
        prefix = self.name.rpartition("/")[0] + "/"
        stale = timezone.now() - timedelta(seconds=STALE_SECONDS)
        Heartbeat.objects.filter(name__startswith=prefix, at__lt=stale).delete()

    def start(self, run: Callable[[Callable[[], None]], object]) -> None:
        """Hand `write` to `run` now and every ten seconds, from a thread that does nothing else."""

        def beat() -> None:
            while not self._stop.wait(INTERVAL_SECONDS):
                try:
                    run(self.write)
                except RuntimeError:
                    return  # the threads of a worker that stops take nothing more

        run(self.write)
        threading.Thread(target=beat, name="pulse", daemon=True).start()

    def end(self, *_: Any, **__: Any) -> None:
        """Delete the heartbeat: the process ends in order."""
        self._stop.set()
        try:
            call_statistics.write()
            Heartbeat.objects.filter(name=self.name).delete()
        except Error as error:
            logger.warning("a heartbeat stays behind: %s", type(error).__name__)


def _queues(consumer: Any) -> str:
    return ", ".join(sorted(consumer.app.amqp.queues.consume_from))[:120]


@signals.worker_ready.connect
def _worker_is_ready(sender: Any, **_: Any) -> None:
    pulse = Pulse(Heartbeat.Kind.WORKER, f"{sender.hostname}/{os.getpid()}"[:120], _queues(sender))
    signals.task_prerun.connect(pulse.worked, weak=False)
    signals.worker_shutdown.connect(pulse.end, weak=False)
    pulse.start(sender.pool.apply_async)


@signals.beat_init.connect
def _beat_begins(sender: Any, **_: Any) -> None:
    pulse = Pulse(Heartbeat.Kind.BEAT, f"beat@{socket.gethostname()}/{os.getpid()}"[:120])
    signals.before_task_publish.connect(pulse.worked, weak=False)
    # On a thread of its own, since beat must not wait for the database; always the same one, which keeps its connection.
    pulse.start(ThreadPoolExecutor(max_workers=1, thread_name_prefix="heartbeat").submit)


def is_beat_there() -> bool:
    """Whether a beat has sent something lately."""
    recent = connection.ops.adapt_datetimefield_value(timezone.now() - timedelta(seconds=STALE_SECONDS))
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT 1 FROM rentals_heartbeat WHERE kind = 'beat' AND at > %s)", [recent])
        return bool(cursor.fetchone()[0])


def delete_old() -> None:
    """Delete the heartbeats of processes that died a while ago."""
    Heartbeat.objects.filter(at__lt=timezone.now() - RETENTION).delete()
