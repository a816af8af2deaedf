"""Wake a worker for work that stands in the database already.

A message may be lost, doubled or late: the ticks find the same work by themselves within a second or two. So no caller
waits for the broker: a thread of each process sends, and drops what it cannot send while the broker is away.

The thread is there for the callers that send many in a row: a tick sends one message for each token with work, polling
one for each number. To a broker that accepts a connection and never answers, `send_task(retry=False)` takes 0.26 s with
a socket time-out of 0.25 s, and 6.8 s unless the client's reconnecting is switched off as well (measured). Two hundred
numbers would wait for a minute.
"""

import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from rentals.task_names import TaskName, TaskQueue

MAX_UNSENT = 1000
# A message that waited longer than this has been overtaken by many ticks. A worker compares by the clock of its own machine,
# and drops what it takes for expired: one that is half a minute ahead dropped half of all messages.
EXPIRES_SECONDS = 120

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Wakeup:
    """A task to send: the id of the row that it works on, None where it finds its rows itself, and after how many seconds it
    may begin."""

    task: TaskName
    pk: int | None
    queue: TaskQueue
    countdown: float = 0

    @property
    def ids(self) -> tuple[int, ...]:
        """What the task is called with."""
        return () if self.pk is None else (self.pk,)


def _send(wakeup: Wakeup) -> None:
    """Send one message. Waits as long as the broker's client does."""
    try:
        current_app.send_task(
            wakeup.task,
            args=wakeup.ids,
            queue=wakeup.queue,
            countdown=wakeup.countdown or None,
            expires=wakeup.countdown + EXPIRES_SECONDS,
            retry=False,
        )
    except (OperationalError, RedisError, OSError) as error:  # a full Redis answers with an error of its own
        logger.warning("%s not sent: the broker does not take it (%s)", wakeup.task, type(error).__name__)


@cache
def unsent() -> "queue.Queue[Wakeup]":
    """Return what this process has to send still. The first call starts the thread that sends it."""
    wakeups: queue.Queue[Wakeup] = queue.Queue(MAX_UNSENT)

    def send_all() -> None:
        while True:
            wakeup = wakeups.get()
            try:
                _send(wakeup)
            except Exception:  # else this process would send nothing more until it is started anew
                logger.exception("%s not sent", wakeup.task)
            wakeups.task_done()

    threading.Thread(target=send_all, name="enqueue", daemon=True).start()
    return wakeups


_instead: Callable[[Wakeup], None] | None = None


def put_instead(do: Callable[[Wakeup], None] | None) -> None:
    """Have this process do its messages by `do`, while the broker takes none; None sends them again."""
    global _instead
    _instead = do


def put(wakeup: Wakeup) -> None:
    """Leave a message to the thread that sends, now. Beyond `MAX_UNSENT` it is dropped. Never raises, never waits."""
    if _instead is not None:
        _instead(wakeup)
        return
    try:
        unsent().put_nowait(wakeup)
    except queue.Full:
        logger.warning("%s not sent: the broker has been away for long", wakeup.task)


def _on_commit(task: TaskName, pk: int, queue_name: TaskQueue, countdown: float = 0) -> None:
    transaction.on_commit(partial(put, Wakeup(task, pk, queue_name, countdown)))


def place(token_id: int, *, in_seconds: float = 0) -> None:
    """The token has orders to place, or its turn comes in so many seconds."""
    _on_commit(TaskName.PLACE, token_id, TaskQueue.RENTING, in_seconds)


def poll_token(token_id: int, *, in_seconds: float = 0) -> None:
    """The token has numbers to poll, or will have them in so many seconds."""
    _on_commit(TaskName.POLL_TOKEN, token_id, TaskQueue.POLLING, in_seconds)


def poll_rental(rental_id: int) -> None:
    """One number is to be polled by itself."""
    _on_commit(TaskName.POLL_RENTAL, rental_id, TaskQueue.POLLING)


def callback(callback_id: int) -> None:
    """A callback came."""
    _on_commit(TaskName.CALLBACK, callback_id, TaskQueue.POLLING)


def reconcile(token_id: int, *, in_seconds: float = 0) -> None:
    """The token has orders whose outcome is not known."""
    _on_commit(TaskName.RECONCILE, token_id, TaskQueue.POLLING, in_seconds)


def fetch_recording(message_id: int) -> None:
    """The recording of a voice call is to be fetched."""
    _on_commit(TaskName.FETCH_RECORDING, message_id, TaskQueue.SLOW)


def read_tokens(task: TaskName) -> None:
    """`READ_BALANCES`, `SYNC_CATALOGS` or `RECONCILE_ALL` has tokens to read."""
    put(Wakeup(task, None, TaskQueue.SLOW))


def sync(token_id: int) -> None:
    """The token is new, or its catalog is to be read again."""
    _on_commit(TaskName.SYNC_TOKEN, token_id, TaskQueue.SLOW)


def sync_catalog(token_id: int) -> None:
    """A price of the token's catalog has changed."""
    _on_commit(TaskName.SYNC_CATALOG, token_id, TaskQueue.SLOW)


def background(job_id: int) -> None:
    """A person waits for a background job."""
    _on_commit(TaskName.BACKGROUND_JOB, job_id, TaskQueue.SLOW)


def check_public_url(check_id: int) -> None:
    """An admin wants to know how the public address does."""
    _on_commit(TaskName.CHECK_PUBLIC_URL, check_id, TaskQueue.SLOW)


def deliver(destination_id: int, *, in_seconds: float = 0) -> None:
    """The destination has events to be sent."""
    _on_commit(TaskName.DELIVER, destination_id, TaskQueue.OUTGOING, in_seconds)
