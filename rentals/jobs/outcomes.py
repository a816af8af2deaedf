"""Apply what the upstream says about a number: by poll, history or callback."""

from datetime import datetime, timedelta
from typing import Protocol

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

import thuesim
from lib import clock
from rentals import enqueue, lifecycle
from rentals.lifecycle import machine_clock
from rentals.models import Hold, Message, MessageSource, Rental, Status, Token

# After its time is up a number is polled for so long, this often: messages come late, and a second one may come.
GRACE_SECONDS = 120
ABSENT_GRACE_SECONDS = 600
LATE_POLL_SECONDS = 15
# A number is polled less often once it has waited so long.
HOT_SECONDS = 150
# In poll intervals; a little less than a whole one, so that the next poll of the token finds it due.
HOT_INTERVALS, COLD_INTERVALS = 0.8, 1.8


def apply(rental: Rental, state: thuesim.State, message: thuesim.Message | None, *, source: MessageSource) -> bool:
    """Add the message, or end the wait, and set when the number is polled next. Safe to repeat, and at once.

    Calls no upstream. Returns whether it changed the rental.
    """
    changed = False
    if message is not None:
        changed = lifecycle.message_arrived(rental, message, source=source)
        if message.is_call and message.audio_url:
            _enqueue_recording(rental)
    elif rental.status == Status.WAITING:
        expired_by_clock = source == MessageSource.HISTORY and time_is_up(rental, GRACE_SECONDS)
        if state == thuesim.State.EXPIRED or expired_by_clock:
            changed = lifecycle.expire(rental)
    if changed:
        _place_freed(rental.token)
    Rental.objects.filter(pk=rental.pk).update(due_at=next_poll(rental))
    if source != MessageSource.POLL and state == thuesim.State.RECEIVED and _lacks_text(rental):
        enqueue.poll_rental(rental.pk)
    return changed


def _lacks_text(rental: Rental) -> bool:
    """Whether a message came without its text. Of a voice call the history and callbacks may have only the recording, or
    the recording and the code; the text comes by the code call."""
    return not Message.objects.filter(rental=rental).exclude(text="").exists()


class Waiting(Protocol):
    """A rental, or as much of it as tells whether its time is up."""

    @property
    def pk(self) -> int: ...

    @property
    def expires_at(self) -> datetime | None: ...


def time_is_up(rental: Waiting, grace_seconds: float) -> bool:
    """Whether a number's time and the grace after it are over, by a clock that has not just been set. One that another
    machine rented must be so by the database's clock as well."""
    if rental.expires_at is None:
        return False
    end = rental.expires_at + timedelta(seconds=grace_seconds)
    if timezone.now() <= end or not machine_clock.is_followed():
        return False
    over = Q(expires_at__lt=clock.database_now(plus=-timedelta(seconds=grace_seconds)))
    return Rental.objects.filter(machine_clock.of_this_machine() | over, pk=rental.pk).exists()


def _place_freed(token: Token) -> None:
    """A number waits no longer, so its place is free: an order in the queue goes on at once."""
    Token.objects.filter(pk=token.pk, hold=Hold.LIMIT).update(hold=Hold.NONE, hold_until=None)
    token.announce()
    enqueue.place(token.pk)


def next_poll(rental: Rental) -> datetime | None:
    """Return when to poll the number next; None if its time and the grace after it are over."""
    now = timezone.now()
    poll = settings.THUESIM_POLL_SECONDS
    expires_at = rental.expires_at or now
    if rental.status == Status.WAITING and now > expires_at:
        return now + timedelta(seconds=max(poll, LATE_POLL_SECONDS / 3))
    if rental.status == Status.WAITING or (now <= expires_at and _wants_code(rental)):
        cold = rental.placed_at is not None and now > rental.placed_at + timedelta(seconds=HOT_SECONDS)
        return now + timedelta(seconds=poll * (COLD_INTERVALS if cold else HOT_INTERVALS))
    if now < expires_at + timedelta(seconds=GRACE_SECONDS) or _wants_text(rental):
        return now + timedelta(seconds=max(LATE_POLL_SECONDS, poll))
    return None


def _wants_code(rental: Rental) -> bool:
    """Whether what came has no code, as with an advert: the person still waits for it, so it is polled for as before."""
    return rental.status == Status.RECEIVED and not Message.objects.filter(rental=rental).exclude(code="").exists()


def _wants_text(rental: Rental) -> bool:
    recent = timezone.now() - timedelta(seconds=ABSENT_GRACE_SECONDS)
    received = rental.status == Status.RECEIVED and rental.received_at is not None and rental.received_at > recent
    return received and _lacks_text(rental)


def _enqueue_recording(rental: Rental) -> None:
    for message in Message.objects.filter(rental=rental, is_call=True, audio="").exclude(audio_url=""):
        enqueue.fetch_recording(message.pk)
