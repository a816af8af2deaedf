"""The Celery tasks: ids in, one call. Each is safe to run twice, at the same time as another, or never.

A tick finds due work in the database each second, so a message that Redis loses costs a second or two. The other tasks
are sent by ticks and by `rentals.enqueue`; each claims its work in the database before it does it. Redis holds ids only.
"""

import logging
from collections.abc import Callable, Iterable
from typing import Any

from celery import shared_task
from django.db import DatabaseError

import thuesim
from accounts import audit, one_time_keys
from accounts.sign_in import sessions
from accounts.single_sign_on import groups
from lib import log_lines, planner_statistics
from lib.files import shared_files
from lib.lasting_cache import delete_expired as delete_expired_counts
from rentals import enqueue, sums
from rentals.jobs import (
    background,
    balances,
    callbacks,
    catalog,
    delivering,
    placing,
    polling,
    reconciling,
    recordings,
    runs,
    statistics,
)
from rentals.jobs.upkeep import clock_steps, heartbeats, public_url, retention, storage
from rentals.models import Callback, JobName, Token
from rentals.queries.due import is_anything_due
from rentals.task_names import TaskName
from rentals.upstream import call_statistics

logger = logging.getLogger(__name__)


def _each(what: str, ids: Iterable[int], do: Callable[[int], Any]) -> None:
    """Call `do` for each id. An error of the database or the upstream is logged, and the next id follows."""
    for pk in ids:
        try:
            do(pk)
        except (DatabaseError, thuesim.ThueSimError):
            logger.exception("%s failed for %s", what, pk)


@shared_task(name=TaskName.TICK, ignore_result=True)
def tick() -> None:
    """Every 15 s, and each second by an older version's beat: what `rentals.ticking` does. It is not noted: that says which
    process ticks."""
    wake_workers()


def wake_workers() -> None:
    """Wake a worker for every token with something due, and apply the callbacks that are still pending.

    Two processes that do so at the same time do no harm: they only send messages, and apply what can be applied only once.
    """
    clock_steps.bring_back_in_turn()
    if not is_anything_due():
        return
    placing.sweep()
    for token_id in placing.due_tokens():
        enqueue.place(token_id)
    for token_id in polling.due_tokens():
        enqueue.poll_token(token_id)
    for token_id in reconciling.due_tokens():
        enqueue.reconcile(token_id)
    _each("callback", callbacks.due_callbacks(), _apply_callback)
    for message_id in recordings.due_recordings():
        enqueue.fetch_recording(message_id)
    for destination_id in delivering.due_destinations():
        enqueue.deliver(destination_id)


def _apply_callback(pk: int) -> None:
    callback = Callback.objects.filter(pk=pk).exclude(state=Callback.State.APPLIED).first()
    if callback is not None:
        callbacks.apply_callback(callback)


@shared_task(name=TaskName.PLACE, ignore_result=True)
def place(token_id: int) -> None:
    """Place the token's next order."""
    with log_lines.about(token=token_id):
        placing.place_next(token_id)


@shared_task(name=TaskName.POLL_TOKEN, ignore_result=True)
def poll_token(token_id: int) -> None:
    """Poll the token's numbers, and come again after the poll interval while any wait."""
    with log_lines.about(token=token_id):
        wait = polling.poll_token(token_id)
    if wait is not None:
        enqueue.poll_token(token_id, in_seconds=wait)


@shared_task(name=TaskName.POLL_RENTAL, ignore_result=True)
def poll_rental(rental_id: int) -> None:
    """Poll one number."""
    with log_lines.about(rental=rental_id):
        polling.poll_rental(rental_id)


@shared_task(name=TaskName.CALLBACK, ignore_result=True)
def callback(callback_id: int) -> None:
    """Apply one callback."""
    _apply_callback(callback_id)


@shared_task(name=TaskName.RECONCILE, ignore_result=True)
def reconcile(token_id: int) -> None:
    """Read the token's history at ThueSim, for orders whose outcome is not known."""
    with runs.noted_at_end(JobName.RECONCILE, token_id):
        reconciling.reconcile(token_id)


@shared_task(name=TaskName.FETCH_RECORDING, ignore_result=True)
def fetch_recording(message_id: int) -> None:
    """Fetch the recording of a voice call."""
    recordings.fetch_recording(message_id)


@shared_task(name=TaskName.DELIVER, ignore_result=True)
def deliver(destination_id: int) -> None:
    """Send to a destination what is due, on a thread apart."""
    delivering.deliver_soon(destination_id)


@shared_task(name=TaskName.SYNC_TOKEN, ignore_result=True)
def sync_token(token_id: int) -> None:
    """Read all that ThueSim tells about a token: balance, catalog, history. Sent when a token is new."""
    read_balance(token_id)
    sync_catalog(token_id)
    with runs.noted_at_end(JobName.RECONCILE, token_id):
        reconciling.reconcile(token_id, deep=True)


@shared_task(name=TaskName.READ_BALANCE, ignore_result=True)
def read_balance(token_id: int) -> None:
    """Read one token's balance."""
    token = Token.objects.filter(pk=token_id).first()
    if token is not None:
        with runs.noted_at_end(JobName.BALANCE, token_id):
            balances.read_balance(token)


@shared_task(name=TaskName.SYNC_CATALOG, ignore_result=True)
def sync_catalog(token_id: int) -> None:
    """Copy the networks and services that a token is offered."""
    token = Token.objects.filter(pk=token_id).first()
    if token is not None:
        with runs.noted_at_end(JobName.CATALOG, token_id):
            catalog.sync_catalog(token)


# What is read of each token, and after how many seconds again.
_READS = {
    TaskName.READ_BALANCES: (JobName.BALANCE, 30),
    TaskName.SYNC_CATALOGS: (JobName.CATALOG, catalog.SYNC_SECONDS),
    TaskName.RECONCILE_ALL: (JobName.RECONCILE, 60),
}


def _due_tokens(task: TaskName) -> list[int]:
    name, seconds = _READS[task]
    return runs.due(name, seconds=seconds)


@shared_task(name=TaskName.READ_BALANCES, ignore_result=True)
def read_balances() -> None:
    """Read the balance of each token whose last good reading is 30 s old, or missing."""
    _each("balance", _due_tokens(TaskName.READ_BALANCES), read_balance)


@shared_task(name=TaskName.SYNC_CATALOGS, ignore_result=True)
def sync_catalogs() -> None:
    """Read the catalog of each token whose last good reading is a minute old, or missing."""
    _each("catalog", _due_tokens(TaskName.SYNC_CATALOGS), sync_catalog)


@shared_task(name=TaskName.RECONCILE_ALL, ignore_result=True)
def reconcile_all() -> None:
    """Read the history of each token whose last good reading is a minute old, or missing."""
    _each("reconciling", _due_tokens(TaskName.RECONCILE_ALL), reconcile)


@shared_task(name=TaskName.BACKGROUND_JOB, ignore_result=True)
def background_job(job_id: int) -> None:
    """Do a background job that a person waits for."""
    background.work(job_id)


@shared_task(name=TaskName.UPKEEP, ignore_result=True)
def upkeep() -> None:
    """Every 15 s: what mostly finds nothing to do, by one message, which costs as much of the processor as all of it."""
    for job in (send_due_reads, fade, resend_lost_work, fold_sums):
        try:
            job()
        except Exception:  # the edge of a worker: the others are done all the same
            logger.exception("%s failed", job.__name__)


def send_due_reads() -> None:
    """In `upkeep`: have tokens read whose balance, catalog or history is too old. Each by a task of its own: none waits for
    the answers to the others."""
    for task in _READS:
        if _due_tokens(task):
            enqueue.read_tokens(task)


@shared_task(name=TaskName.RESEND_LOST_WORK, ignore_result=True)
def resend_lost_work() -> None:
    """In `upkeep`: send again the background jobs, and checks of the public address, whose message or worker was lost."""
    for job_id in background.due_jobs():
        enqueue.background(job_id)
    for check_id in public_url.due_checks():
        enqueue.check_public_url(check_id)


@shared_task(name=TaskName.CHECK_PUBLIC_URL, ignore_result=True)
def check_public_url(check_id: int) -> None:
    """Ask the desk through its public address, and keep what is wrong."""
    public_url.check(check_id)


@shared_task(name=TaskName.FOLD_SUMS, ignore_result=True)
def fold_sums() -> None:
    """In `upkeep`: add the rentals from before the sums of spending to them, and merge what changes have added."""
    sums.count_older()
    sums.fold()


@shared_task(name=TaskName.REFRESH_STATISTICS, ignore_result=True)
def refresh_statistics() -> None:
    """Every minute: count again how services did, where the last count is too old."""
    statistics.refresh_if_due()


@shared_task(name=TaskName.TIDY, ignore_result=True)
def tidy() -> None:
    """Every ten minutes: delete old heartbeats, call statistics, exports, sessions, throttle counts and one-time keys, end
    what the groups of a provider gave to people who no longer sign in there, and let SQLite look at its tables."""
    heartbeats.delete_old()
    call_statistics.delete_old()
    try:
        background.delete_old()
    except OSError as error:
        logger.warning("old exports are not deleted yet: %s", shared_files.reason(error))
    sessions.delete_expired()
    delete_expired_counts()
    one_time_keys.delete_old()
    groups.end_lapsed()
    planner_statistics.refresh()


@shared_task(name=TaskName.APPLY_RETENTION, ignore_result=True)
def apply_retention() -> None:
    """Every ten minutes: delete the messages, deliveries and audit records past their retention."""
    retention.delete_old_messages()
    audit.delete_old()
    retention.delete_old_exports()
    retention.delete_old_deliveries()


@shared_task(name=TaskName.FADE, ignore_result=True)
def fade() -> None:
    """In `upkeep`: mask the codes that have just faded on the open screens."""
    retention.fade()


@shared_task(name=TaskName.CHECK_STORAGE, ignore_result=True)
def check_storage() -> None:
    """Every minute: try out the files that machines share."""
    storage.check()
