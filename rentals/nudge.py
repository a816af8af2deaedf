"""Wake a worker for work that stands in the database already.

A nudge may be lost, doubled or late: the ticks find the same work by themselves within a second or two. So a broker that
cannot be reached is no error here.
"""

import logging

from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

logger = logging.getLogger(__name__)


def _send(task: str, pk: int, queue: str, countdown: float) -> None:
    # A nudge that waited longer than this has been overtaken by a tick.
    expires = countdown + 30
    try:
        current_app.send_task(task, args=(pk,), queue=queue, countdown=countdown or None, expires=expires, retry=False)
    except (OperationalError, OSError) as error:
        logger.warning("no nudge for %s: the broker cannot be reached (%s)", task, type(error).__name__)


def _on_commit(task: str, pk: int, queue: str, countdown: float = 0) -> None:
    transaction.on_commit(lambda: _send(task, pk, queue, countdown))


def place(token_id: int, *, in_seconds: float = 0) -> None:
    """The token has orders to place, or will have its turn then."""
    _on_commit("rentals.place", token_id, "renting", in_seconds)


def watch(token_id: int, *, in_seconds: float = 0) -> None:
    """The token's waiting numbers want a look."""
    _on_commit("rentals.watch", token_id, "watching", in_seconds)


def look(rental_id: int) -> None:
    """One number wants a look of its own."""
    _on_commit("rentals.look", rental_id, "watching")


def callback(callback_id: int) -> None:
    """A callback came."""
    _on_commit("rentals.callback", callback_id, "watching")


def settle(token_id: int, *, in_seconds: float = 0) -> None:
    """The token has orders whose outcome is not known."""
    _on_commit("rentals.settle", token_id, "watching", in_seconds)


def fetch_audio(message_id: int) -> None:
    """A call's audio wants to be fetched."""
    _on_commit("rentals.fetch_audio", message_id, "slow")


def sync(token_id: int) -> None:
    """The token is new, or its catalogue wants to be read again."""
    _on_commit("rentals.sync_token", token_id, "slow")
