"""Poll the upstream for the messages of our numbers: many at once by the history, or one by one by the code call.

From `HISTORY_FROM` numbers on, one call for the history (API page, section 5) replaces a code call per number. What the
history leaves out is polled singly. A history that lags behind is distrusted for a minute.
"""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta

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


def due_numbers(token: Token) -> Sequence[Rental]:
    """Return the token's numbers that are due for a poll, the longest overdue first."""
    return list(_polled(token).filter(status__in=POLLED, due_at__lte=timezone.now()).order_by("due_at"))


def _polled(token: Token) -> QuerySet[Rental]:
    """Return the token's rentals without what was asked for when they were ordered, which a poll does not read."""
    return token.rentals.select_related("service").defer("networks", "prefixes", "exclude_prefixes", "unasked")


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
        for rental in singly[1:MAX_SINGLE_POLLS]:
            enqueue.poll_rental(rental.pk)
        for rental in singly[:1]:
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


def _wants_history(token: Token, due: Sequence[Rental]) -> bool:
    if any(time_is_up(rental, GRACE_SECONDS) for rental in due if rental.status == Status.WAITING):
        return True  # our clock ends a wait only if the history agrees
    distrusted = token.history_distrusted_until is not None and token.history_distrusted_until > timezone.now()
    return len(due) >= HISTORY_FROM and not distrusted


def _poll_by_history(token: Token, due: Sequence[Rental]) -> Sequence[Rental]:
    """Read the history once for all that wait, due or not, and apply it. Returns the due rentals that it leaves out.

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
    for rental in absent:
        if rental.status == Status.WAITING and time_is_up(rental, ABSENT_GRACE_SECONDS):
            apply(rental, thuesim.State.EXPIRED, None, source=MessageSource.HISTORY)
    for rental, entry in news:
        apply(rental, entry.state, entry.message, source=MessageSource.HISTORY)
    soon = timezone.now() + timedelta(seconds=HOT_INTERVALS * settings.THUESIM_POLL_SECONDS)
    Rental.objects.filter(pk__in=[rental.pk for rental in quiet]).update(due_at=soon)
    if len(absent) == len(due) or _history_lags(quiet):
        _distrust_history(token)
    return absent


def _ask_history(token: Token, due: Sequence[Rental]) -> dict[str, thuesim.HistoryEntry]:
    """Return the token's entries since the oldest of `due` was ordered, by `thuesim.rental_key`."""
    oldest = min(rental.queued_at for rental in due)
    since = desk_day(oldest) - timedelta(days=1)
    with breaker.reporting(token):
        entries = client_for(token).history(limit=max(100, 3 * len(due)), since=since)
    return {thuesim.rental_key(entry.id): entry for entry in entries}


def _classify(
    token: Token, due: Sequence[Rental], entries: Mapping[str, thuesim.HistoryEntry]
) -> tuple[list[Rental], list[Rental], list[tuple[Rental, thuesim.HistoryEntry]]]:
    """Sort the due and all waiting rentals by what the history says of them. Returns three lists: those that it leaves out,
    those that still wait by it, and those with news, each with its entry."""
    absent: list[Rental] = []
    quiet: list[Rental] = []
    news: list[tuple[Rental, thuesim.HistoryEntry]] = []
    others = set(entries) - {rental.upstream_key for rental in due}
    waiting = _polled(token).filter(status=Status.WAITING, upstream_key__in=others) if others else ()
    for rental in [*due, *waiting]:
        entry = entries.get(rental.upstream_key)
        if entry is None:
            absent.append(rental)
        elif _is_quiet(rental, entry):
            quiet.append(rental)
        else:
            news.append((rental, entry))
    return absent, quiet, news


def _is_quiet(rental: Rental, entry: thuesim.HistoryEntry) -> bool:
    """Whether the entry only says that the number waits, so that there is nothing to apply."""
    waits = rental.status == Status.WAITING and entry.state == thuesim.State.WAITING and entry.message is None
    return waits and not time_is_up(rental, GRACE_SECONDS)


def _history_lags(quiet: Sequence[Rental]) -> bool:
    """Poll a few quiet numbers singly. If one of them has its code, the history lags behind and would hide codes.

    Raises `ThueSimError`.
    """
    lags = False
    for rental in quiet[::SAMPLE_ONE_IN]:
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
