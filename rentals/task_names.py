"""The names of the Celery tasks and of the queues they wait in: for senders, workers, beat and `./run` alike.

Imports nothing, so that the start of the desk can read it before Django is set up.
"""

from enum import StrEnum


class TaskQueue(StrEnum):
    """The broker's queues. `QUICK_QUEUES` are served by many threads, `SLOW` by a process of its own."""

    TICKS = "ticks"
    RENTING = "renting"
    POLLING = "watching"
    SLOW = "slow"
    OUTGOING = "outgoing"


QUICK_QUEUES = (TaskQueue.TICKS, TaskQueue.RENTING, TaskQueue.POLLING, TaskQueue.OUTGOING)


class TaskName(StrEnum):
    """The tasks of `rentals.tasks`. The values travel through the broker: a worker may meet those of an older version."""

    TICK = "rentals.tick"
    PLACE = "rentals.place"
    POLL_TOKEN = "rentals.watch"  # noqa: S105 - a task, not a secret
    POLL_RENTAL = "rentals.look"
    CALLBACK = "rentals.callback"
    RECONCILE = "rentals.settle"
    FETCH_RECORDING = "rentals.fetch_audio"
    SYNC_TOKEN = "rentals.sync_token"  # noqa: S105 - a task, not a secret
    DELIVER = "rentals.deliver"
    READ_BALANCE = "rentals.read_balance"
    SYNC_CATALOG = "rentals.sync_catalog"
    READ_BALANCES = "rentals.read_balances"
    SYNC_CATALOGS = "rentals.sync_catalogs"
    RECONCILE_ALL = "rentals.import_histories"
    BACKGROUND_JOB = "rentals.background"
    UPKEEP = "rentals.upkeep"
    RESEND_LOST_WORK = "rentals.open_background"
    CHECK_PUBLIC_URL = "rentals.check_public_url"
    FOLD_SUMS = "rentals.fold_sums"
    REFRESH_STATISTICS = "rentals.refresh_statistics"
    TIDY = "rentals.tidy"
    APPLY_RETENTION = "rentals.keep_private"
    FADE = "rentals.fade"
    CHECK_STORAGE = "rentals.check_storage"
