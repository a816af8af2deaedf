"""Tasks that an old process has sent are taken by new workers, and the reverse, while a desk is upgraded."""

import inspect

from celery import current_app

import rentals.tasks  # noqa: F401 - registers them
from rentals.task_names import TaskName, TaskQueue

# As the version before knows them. A task is added here with the release that has it, and taken away one release after the
# last one that sends it; a new argument needs a default.
SIGNATURES = {
    "rentals.background": "(job_id: int)",
    "rentals.callback": "(callback_id: int)",
    "rentals.check_public_url": "(check_id: int)",
    "rentals.check_storage": "()",
    "rentals.deliver": "(destination_id: int)",
    "rentals.fade": "()",
    "rentals.fetch_audio": "(message_id: int)",
    "rentals.fold_sums": "()",
    "rentals.import_histories": "()",
    "rentals.keep_private": "()",
    "rentals.look": "(rental_id: int)",
    "rentals.open_background": "()",
    "rentals.place": "(token_id: int)",
    "rentals.read_balance": "(token_id: int)",
    "rentals.read_balances": "()",
    "rentals.refresh_statistics": "()",
    "rentals.settle": "(token_id: int)",
    "rentals.sync_catalog": "(token_id: int)",
    "rentals.sync_catalogs": "()",
    "rentals.sync_token": "(token_id: int)",
    "rentals.tick": "()",
    "rentals.tidy": "()",
    "rentals.upkeep": "()",
    "rentals.watch": "(token_id: int)",
}
QUEUES = ["outgoing", "renting", "slow", "ticks", "watching"]


def test_the_tasks_are_those_of_the_version_before() -> None:
    tasks = {name: task for name, task in current_app.tasks.items() if name.startswith("rentals.")}
    signatures = {name: str(inspect.signature(task.run)).partition(" ->")[0] for name, task in tasks.items()}
    assert signatures == SIGNATURES, "a new task is written into SIGNATURES; what a task takes changes as said there"
    assert sorted(TaskName) == sorted(SIGNATURES)


def test_the_queues_are_those_of_the_version_before() -> None:
    assert sorted(TaskQueue) == QUEUES
