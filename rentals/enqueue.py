"""Wake a worker for work that stands in the database already.

A nudge may be lost, doubled or late: the ticks find the same work by themselves within a second or two. So nobody waits
for the broker: a thread of each process sends, and what it cannot send while the broker is away is dropped.
"""

import logging
import queue
import threading
from dataclasses import dataclass
from functools import cache, partial

from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

from rentals.task_names import TaskName, TaskQueue

LONGEST_OUTBOX = 1000

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Nudge:
    task: TaskName
    pk: int
    queue: TaskQueue
    countdown: float


def _send(nudge: _Nudge) -> None:
    """Send one nudge; waits as long as the broker's client does."""
    # A nudge that waited longer than this has been overtaken by a tick.
    expires = nudge.countdown + 30
    try:
        current_app.send_task(
            nudge.task,
            args=(nudge.pk,),
            queue=nudge.queue,
            countdown=nudge.countdown or None,
            expires=expires,
            retry=False,
        )
    except (OperationalError, OSError) as error:
        logger.warning("no nudge for %s: the broker cannot be reached (%s)", nudge.task, type(error).__name__)


@cache
def _outbox() -> "queue.Queue[_Nudge]":
    """The process's outbox, with the thread that empties it."""
    outbox: queue.Queue[_Nudge] = queue.Queue(LONGEST_OUTBOX)

    def empty() -> None:
        while True:
            _send(outbox.get())

    threading.Thread(target=empty, name="nudges", daemon=True).start()
    return outbox


def _put(nudge: _Nudge) -> None:
    try:
        _outbox().put_nowait(nudge)
    except queue.Full:
        logger.warning("no nudge for %s: the broker has been away for long", nudge.task)


def _on_commit(task: TaskName, pk: int, queue_name: TaskQueue, countdown: float = 0) -> None:
    transaction.on_commit(partial(_put, _Nudge(task, pk, queue_name, countdown)))


def place(token_id: int, *, in_seconds: float = 0) -> None:
    """The token has orders to place, or will have its turn then."""
    _on_commit(TaskName.PLACE, token_id, TaskQueue.RENTING, in_seconds)


def poll_token(token_id: int, *, in_seconds: float = 0) -> None:
    """The token has numbers to poll, or will have them then."""
    _on_commit(TaskName.WATCH, token_id, TaskQueue.WATCHING, in_seconds)


def poll_rental(rental_id: int) -> None:
    """One number is to be polled by itself."""
    _on_commit(TaskName.LOOK, rental_id, TaskQueue.WATCHING)


def callback(callback_id: int) -> None:
    """A callback came."""
    _on_commit(TaskName.CALLBACK, callback_id, TaskQueue.WATCHING)


def settle(token_id: int, *, in_seconds: float = 0) -> None:
    """The token has orders whose outcome is not known."""
    _on_commit(TaskName.SETTLE, token_id, TaskQueue.WATCHING, in_seconds)


def fetch_audio(message_id: int) -> None:
    """A call's audio wants to be fetched."""
    _on_commit(TaskName.FETCH_AUDIO, message_id, TaskQueue.SLOW)


def sync(token_id: int) -> None:
    """The token is new, or its catalogue wants to be read again."""
    _on_commit(TaskName.SYNC_TOKEN, token_id, TaskQueue.SLOW)


def background(job_id: int) -> None:
    """Somebody waits for long work."""
    _on_commit(TaskName.BACKGROUND_JOB, job_id, TaskQueue.SLOW)
