"""Poll the upstream for the messages of our numbers: many at once by the history, or one by one by the code call.

From `HISTORY_FROM` numbers on, one call for the history (API page, section 5) replaces a code call per number. What the
history leaves out is polled singly. A history that lags behind is distrusted for a minute.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import NamedTuple

from django.conf import settings
from django.db.models import Q, QuerySet
from django.utils import timezone

import thuesim
from lib import log_lines
from lib.time_zones import desk_day
from rentals import enqueue
from rentals.jobs.outcomes import (
    ABSENT_GRACE_SECONDS,
    GRACE_SECONDS,
    HOT_INTERVALS,
    apply,
    next_poll,
    time_is_up,
)
from rentals.models import MessageSource, Rental, Status, Token
from rentals.upstream import breaker
from rentals.upstream.client import client_for

# From this many numbers on, one call for the history takes the place of one call per number.
HISTORY_FROM = 4
# One in so many numbers that still wait by the history is polled singly: if its code is there, the history lags behind.
SAMPLE_ONE_IN = 40
HISTORY_DISTRUST_SECONDS = 60
MAX_SINGLE_POLLS = 60
MAX_CLAIM_SECONDS = 8.0
# Statuses in which a number is polled while it has a `due_at`: messages come late, and a second one may come.
POLLED = (Status.WAITING, Status.EXPIRED, Status.RECEIVED)


class Number(NamedTuple):
    """What a poll reads of a number that still waits: a hundred of them are read every few seconds, as plain values."""

    pk: int
    status: str
    upstream_key: str
    queued_at: datetime
    expires_at: datetime | None


def due_numbers(token: Token) -> list[Number]:
    """Return the token's numbers that are due for a poll, the longest overdue first."""
    return _numbers(token.rentals.filter(status__in=POLLED, due_at__lte=timezone.now()).order_by("due_at"))


def _numbers(rentals: QuerySet[Rental]) -> list[Number]:
    return list(map(Number._make, rentals.values_list(*Number._fields)))


def _rentals(token: Token, numbers: Iterable[Number]) -> list[tuple[Rental, Number]]:
    """Read the rentals of numbers for which there is something to do. One query, none for none."""
    numbers = list(numbers)
    read = token.rentals.select_related("service").in_bulk([number.pk for number in numbers]) if numbers else {}
    return [(read[number.pk], number) for number in numbers if number.pk in read]


def due_tokens() -> list[int]:
    """Return the tokens with a number due, without those that a worker is polling or that back off."""
    return list(
        Rental.objects.filter(_free("token__"), status__in=POLLED, due_at__lte=timezone.now())
        .order_by()
        .values_list("token", flat=True)
        .distinct()
    )


def poll_token(token_id: int) -> float | None:
    """Poll the token's due numbers: from `HISTORY_FROM` on by the history, else one here and the others by workers.

    May run any number of times at once: the token is claimed by a conditional update. Returns the seconds until the next
    poll, None if there was nothing to do or another worker does it.
    """
    token = Token.objects.filter(pk=token_id).first()
    if token is None or not _claim_poll(token):
        return None
    began = time.monotonic()
    interval = pause = settings.THUESIM_POLL_SECONDS
    due = due_numbers(token)
    try:
        singly = _poll_by_history(token, due) if _wants_history(token, due) else due
        for number in singly[1:MAX_SINGLE_POLLS]:
            enqueue.poll_rental(number.pk)
        for rental, _number in _rentals(token, singly[:1]):
            ask_code(rental)
    except thuesim.ThueSimError:
        pause = max(pause, breaker.pause_seconds(token))
    spent = time.monotonic() - began
    # Half an interval less: the poll that comes after one interval finds its turn free, a doubled one does not.
    free_at = timezone.now() + timedelta(seconds=max(0.0, pause - interval / 2 - spent))
    Token.objects.filter(pk=token.pk).update(next_watch_at=free_at)
    return max(0.0, pause - spent) if due else None


def _claim_poll(token: Token) -> bool:
    # Long enough for a slow answer, and short enough for those who wait if the worker dies meanwhile.
    seconds = min(settings.THUESIM_TIMEOUT_SECONDS, MAX_CLAIM_SECONDS)
    claimed_until = timezone.now() + timedelta(seconds=seconds)
    return bool(Token.objects.filter(_free(), pk=token.pk).update(next_watch_at=claimed_until))


def _free(prefix: str = "") -> Q:
    """Return the condition of the tokens that no worker is polling and that do not back off."""
    return Q(**{f"{prefix}next_watch_at": None}) | Q(**{f"{prefix}next_watch_at__lte": timezone.now()})


def _wants_history(token: Token, due: Sequence[Number]) -> bool:
    if any(time_is_up(number, GRACE_SECONDS) for number in due if number.status == Status.WAITING):
        return True  # our clock ends a wait only if the history agrees
    distrusted = token.history_distrusted_until is not None and token.history_distrusted_until > timezone.now()
    return len(due) >= HISTORY_FROM and not distrusted


def _poll_by_history(token: Token, due: Sequence[Number]) -> Sequence[Number]:
    """Read the history once for all that wait, due or not, and apply it. Returns the due numbers that it leaves out.

    Raises `ThueSimError` if the upstream is not well; a mere refusal of the history leaves all of them out.
    """
    try:
        entries = _ask_history(token, due)
    except thuesim.ThueSimError as error:
        _distrust_history(token)
        if error.blames_upstream:
            raise
        return due
    absent, quiet, news = _classify(token, due, entries)
    over = [each for each in absent if each.status == Status.WAITING and time_is_up(each, ABSENT_GRACE_SECONDS)]
    for rental, _number in _rentals(token, over):
        apply(rental, thuesim.State.EXPIRED, None, source=MessageSource.HISTORY)
    for rental, number in _rentals(token, news):
        entry = entries[number.upstream_key]
        apply(rental, entry.state, entry.message, source=MessageSource.HISTORY)
    soon = timezone.now() + timedelta(seconds=HOT_INTERVALS * settings.THUESIM_POLL_SECONDS)
    Rental.objects.filter(pk__in=[number.pk for number in quiet]).update(due_at=soon)
    if len(absent) == len(due) or _history_lags(token, quiet):
        _distrust_history(token)
    return absent


def _ask_history(token: Token, due: Sequence[Number]) -> dict[str, thuesim.HistoryEntry]:
    """Return the token's entries since the oldest of `due` was ordered, by `thuesim.rental_key`."""
    oldest = min(number.queued_at for number in due)
    since = desk_day(oldest) - timedelta(days=1)
    with breaker.reporting(token):
        entries = client_for(token).history(limit=max(100, 3 * len(due)), since=since)
    return {thuesim.rental_key(entry.id): entry for entry in entries}


def _classify(
    token: Token, due: Sequence[Number], entries: Mapping[str, thuesim.HistoryEntry]
) -> tuple[list[Number], list[Number], list[Number]]:
    """Sort the due and all waiting numbers by what the history says of them. Returns three lists: those that it leaves out,
    those that still wait by it, and those with news."""
    absent: list[Number] = []
    quiet: list[Number] = []
    news: list[Number] = []
    others = set(entries) - {number.upstream_key for number in due}
    waiting = token.rentals.filter(status=Status.WAITING, upstream_key__in=others)
    for number in [*due, *(_numbers(waiting) if others else ())]:
        entry = entries.get(number.upstream_key)
        if entry is None:
            absent.append(number)
        elif _is_quiet(number, entry):
            quiet.append(number)
        else:
            news.append(number)
    return absent, quiet, news


def _is_quiet(number: Number, entry: thuesim.HistoryEntry) -> bool:
    """Whether the entry only says that the number waits, so that there is nothing to apply."""
    waits = number.status == Status.WAITING and entry.state == thuesim.State.WAITING and entry.message is None
    return waits and not time_is_up(number, GRACE_SECONDS)


def _history_lags(token: Token, quiet: Sequence[Number]) -> bool:
    """Poll a few quiet numbers singly. If one of them has its code, the history lags behind and would hide codes.

    Raises `ThueSimError`.
    """
    lags = False
    for rental, _number in _rentals(token, quiet[::SAMPLE_ONE_IN]):
        reply = _code(rental)
        # That it waits still is no news, and when it is polled next is written already.
        if reply.message is not None or reply.state != thuesim.State.WAITING:
            apply(rental, reply.state, reply.message, source=MessageSource.POLL)
            lags = lags or rental.status == Status.RECEIVED
    return lags


def _distrust_history(token: Token) -> None:
    until = timezone.now() + timedelta(seconds=HISTORY_DISTRUST_SECONDS)
    Token.objects.filter(pk=token.pk).update(history_distrusted_until=until)


def poll_rental(rental_id: int) -> None:
    """Poll one number, unless another worker has claimed it. Raises no `ThueSimError`: the breaker has noted it."""
    rental = Rental.objects.filter(pk=rental_id, status__in=POLLED).select_related("service", "token").first()
    if rental is None:
        return
    claim = Rental.objects.filter(pk=rental.pk, status=rental.status, looks=rental.looks)
    if not claim.update(looks=rental.looks + 1, due_at=next_poll(rental)):
        return
    with suppress(thuesim.ThueSimError):
        ask_code(rental)


def poll_now(rental: Rental) -> bool:
    """Wake a worker to poll a number for a person who asks, at most once a second. Returns whether one was woken."""
    now = timezone.now()
    recent = Rental.objects.filter(pk=rental.pk, status__in=POLLED).exclude(looked_at__gt=now - timedelta(seconds=1))
    if not recent.update(due_at=now, looked_at=now):
        return False
    enqueue.poll_rental(rental.pk)
    return True


def ask_code(rental: Rental) -> bool:
    """Ask the upstream for the code of one number and apply the answer. Returns whether it changed the rental.

    Raises `ThueSimError`, but not `UnknownSession`: an id that the upstream gave and does not know ends no rental.
    """
    with log_lines.about(rental=rental.pk):
        reply = _code(rental)
        return apply(rental, reply.state, reply.message, source=MessageSource.POLL)


def _code(rental: Rental) -> thuesim.CodeReply:
    try:
        with breaker.reporting(rental.token):
            return client_for(rental.token).code(rental.upstream_id)
    except thuesim.UnknownSession:
        return thuesim.CodeReply(state=thuesim.State.WAITING, message=None)
