"""Find out about messages: by looking, and by the callbacks that come unasked. Whatever arrives first wins."""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

import thuesim
from lib import clock
from rentals import enqueue, lifecycle
from rentals.models import Callback, Hold, Message, Rental, Status, Token
from rentals.upstream import breaker
from rentals.upstream.client import client_for
from rentals.upstream.drift import record as record_drift

logger = logging.getLogger(__name__)

# From this many numbers on, one call for the history takes the place of one call per number.
HISTORY_FROM = 4
# Of the numbers that the history contained, one in so many is looked at singly too: does the history lag behind?
SAMPLE_ONE_IN = 40
HISTORY_DISTRUST_SECONDS = 60
SINGLE_LOOKS_AT_ONCE = 60
LONGEST_CLAIM_SECONDS = 8.0
# After its time is up a number is looked at for so long, this often: messages come late, and a second one may come.
GRACE_SECONDS = 120
ABSENT_GRACE_SECONDS = 600
LATE_LOOK_SECONDS = 15
# A number is looked at less often once it has waited so long.
HOT_SECONDS = 150
# In intervals; a little less than a whole one, so that the next look of the token finds it due.
HOT_INTERVALS, COLD_INTERVALS = 0.8, 1.8


def number_known(rental: Rental) -> None:
    """A rental got its number: apply what callbacks already brought for it, and look soon."""
    for callback in Callback.objects.filter(
        token=rental.token_id,
        upstream_key=rental.upstream_key,
        state__in=[Callback.State.UNKNOWN, Callback.State.PENDING],
    ).order_by("at"):
        apply_callback(callback)
    enqueue.watch(rental.token_id, in_seconds=settings.THUESIM_POLL_SECONDS)


def due_numbers(token_id: int) -> Sequence[Rental]:
    """The token's numbers that want a look now, those overdue longest first."""
    return list(
        Rental.objects.filter(token=token_id, status__in=_WATCHED)
        .filter(_due())
        .select_related("service")
        .order_by("due_at")
    )


_WATCHED = (Status.WAITING, Status.EXPIRED, Status.RECEIVED)


def _due() -> Q:
    return clock.is_due("due_at", within=max(LATE_LOOK_SECONDS, COLD_INTERVALS * settings.THUESIM_POLL_SECONDS))


def due_tokens() -> list[int]:
    """The tokens with a number that wants a look, and whose own pause is over."""
    return list(
        Rental.objects.filter(_due(), _free("token__"), status__in=_WATCHED)
        .order_by()
        .values_list("token", flat=True)
        .distinct()
    )


def watch(token_id: int) -> float | None:
    """Look at the token's numbers that are due: by one history call where that does, else singly.

    May run any number of times at once: the token's next look is claimed by a conditional update. Returns the seconds
    until the next look, None where there was nothing to do or somebody else does it.
    """
    token = Token.objects.filter(pk=token_id).first()
    if token is None or not _claim_look(token):
        return None
    now = timezone.now()
    pause = settings.THUESIM_POLL_SECONDS
    due = due_numbers(token_id)
    try:
        left = _look_by_history(token, due) if _wants_history(token, due, now) else due
        for rental in left[1:SINGLE_LOOKS_AT_ONCE]:
            enqueue.look(rental.pk)
        for rental in left[:1]:
            look_at(rental)
    except thuesim.ThueSimFault as fault:
        if fault.blames_upstream:
            breaker.failed(token, fault)
        pause = max(pause, breaker.pause_seconds(token))
    spent = (timezone.now() - now).total_seconds()
    # Half an interval: the watch that comes after one interval finds its turn free, a doubled one does not.
    free_at = now + timedelta(seconds=max(spent, pause - settings.THUESIM_POLL_SECONDS / 2))
    Token.objects.filter(pk=token.pk).update(next_watch_at=free_at)
    return max(0.0, pause - spent) if due else None


def _claim_look(token: Token) -> bool:
    # Long enough for a slow answer; should the worker die meanwhile, short enough that nobody waits long.
    seconds = min(settings.THUESIM_TIMEOUT_SECONDS, LONGEST_CLAIM_SECONDS)
    claimed_until = timezone.now() + timedelta(seconds=seconds)
    return bool(Token.objects.filter(_free(), pk=token.pk).update(next_watch_at=claimed_until))


def _free(prefix: str = "") -> Q:
    """The tokens that nobody looks at just now, and whose own pause is over."""
    longest = max(breaker.LONGEST_PAUSE_SECONDS, LONGEST_CLAIM_SECONDS, settings.THUESIM_POLL_SECONDS)
    return Q(**{f"{prefix}next_watch_at": None}) | clock.is_due(f"{prefix}next_watch_at", within=longest)


def _wants_history(token: Token, due: Sequence[Rental], now: datetime) -> bool:
    if any(_time_is_up(rental, GRACE_SECONDS) for rental in due if rental.status == Status.WAITING):
        return True  # only the history's word lets our clock end a wait
    distrusted = token.history_distrusted_until is not None and token.history_distrusted_until > now
    return len(due) >= HISTORY_FROM and not distrusted


def _look_by_history(token: Token, due: Sequence[Rental]) -> Sequence[Rental]:
    """Ask the history once for all that wait, due or not. Returns the due ones that it left out.

    Raises `ThueSimFault` where the upstream is not well; a mere refusal to tell the history leaves all of them out.
    """
    oldest = min(rental.queued_at for rental in due)
    since = timezone.localdate(oldest) - timedelta(days=1)
    try:
        entries = client_for(token).history(limit=max(100, 3 * len(due)), since=since)
    except thuesim.ThueSimFault as fault:
        _distrust_history(token)
        if fault.blames_upstream:
            raise
        return due
    breaker.answered(token)
    told = {thuesim.rental_key(entry.id): entry for entry in entries}
    due_pks = {rental.pk for rental in due}
    waiting = Rental.objects.filter(token=token, status=Status.WAITING, upstream_key__in=told).select_related("service")
    left, quiet = [], []
    for rental in [*due, *(rental for rental in waiting if rental.pk not in due_pks)]:
        entry = told.get(rental.upstream_key)
        if entry is None:
            left.append(rental)
            if rental.status == Status.WAITING and _time_is_up(rental, ABSENT_GRACE_SECONDS):
                apply(rental, thuesim.State.EXPIRED, None, source="history")
        elif _is_quiet(rental, entry):
            quiet.append(rental)
        else:
            apply(rental, entry.state, entry.message, source="history")
    soon = timezone.now() + timedelta(seconds=HOT_INTERVALS * settings.THUESIM_POLL_SECONDS)
    Rental.objects.filter(pk__in=[rental.pk for rental in quiet]).update(due_at=soon)
    # A history that lags behind would hide codes: it is checked by looking at a few of the others singly.
    lags = [look_at(rental) and rental.status == Status.RECEIVED for rental in quiet[::SAMPLE_ONE_IN]]
    if len(left) == len(due) or any(lags):
        _distrust_history(token)
    return left


def _is_quiet(rental: Rental, entry: thuesim.HistoryEntry) -> bool:
    """Whether the number just goes on waiting, so that there is nothing to apply."""
    waits = rental.status == Status.WAITING and entry.state == thuesim.State.WAITING and entry.message is None
    return waits and not _time_is_up(rental, GRACE_SECONDS)


def _distrust_history(token: Token) -> None:
    until = timezone.now() + timedelta(seconds=HISTORY_DISTRUST_SECONDS)
    Token.objects.filter(pk=token.pk).update(history_distrusted_until=until)


def look(rental_id: int) -> None:
    """Look at one number, unless somebody else just does. Faults of the upstream go to the token's health."""
    rental = Rental.objects.filter(pk=rental_id, status__in=_WATCHED).select_related("service", "token").first()
    if rental is None:
        return
    claim = Rental.objects.filter(pk=rental.pk, status=rental.status, looks=rental.looks)
    if not claim.update(looks=rental.looks + 1, due_at=_next_look(rental)):
        return
    try:
        look_at(rental)
    except thuesim.ThueSimFault as fault:
        if fault.blames_upstream:
            breaker.failed(rental.token, fault)


def look_now(rental: Rental) -> bool:
    """A person wants this number looked at now; at most once a second, whoever asks."""
    now = timezone.now()
    recent = Rental.objects.filter(pk=rental.pk, status__in=_WATCHED).exclude(looked_at__gt=now - timedelta(seconds=1))
    if not recent.update(due_at=now, looked_at=now):
        return False
    enqueue.look(rental.pk)
    return True


def look_at(rental: Rental) -> bool:
    """Ask the upstream for the code of one number and apply the answer. Returns whether it changed the rental.

    Raises `ThueSimFault`, but for a session that the upstream does not know: that is its mistake, and ends no rental.
    """
    try:
        reply = client_for(rental.token).code(rental.upstream_id)
    except thuesim.UnknownSession:
        return apply(rental, thuesim.State.WAITING, None, source="poll")
    breaker.answered(rental.token)
    return apply(rental, reply.state, reply.message, source="poll")


def apply(rental: Rental, state: thuesim.State, message: thuesim.Message | None, *, source: str) -> bool:
    changed = False
    if message is not None:
        changed = lifecycle.message_arrived(rental, message, source=source)
        if message.is_call and message.audio_url:
            _want_audio(rental)
    elif rental.status == Status.WAITING:
        told_by_clock = source == "history" and _time_is_up(rental, GRACE_SECONDS)
        if state == thuesim.State.EXPIRED or told_by_clock:
            changed = lifecycle.expire(rental)
    if changed:
        _place_freed(rental.token)
    Rental.objects.filter(pk=rental.pk).update(due_at=_next_look(rental))
    if source != "poll" and state == thuesim.State.RECEIVED and _lacks_words(rental):
        enqueue.look(rental.pk)
    return changed


def _lacks_words(rental: Rental) -> bool:
    """Whether something came and nobody knows what it said: of a call, the history and callbacks may have the recording
    alone, or the recording and the code, and only the code call the words."""
    return not Message.objects.filter(rental=rental).exclude(text="").exists()


def _time_is_up(rental: Rental, grace_seconds: float) -> bool:
    return rental.expires_at is not None and timezone.now() > rental.expires_at + timedelta(seconds=grace_seconds)


def _place_freed(token: Token) -> None:
    """A number waits no longer, so its place is free: whoever queues for one goes on at once."""
    Token.objects.filter(pk=token.pk, hold=Hold.LIMIT).update(hold=Hold.NONE, hold_until=None)
    token.announce()
    enqueue.place(token.pk)


def _next_look(rental: Rental) -> datetime | None:
    """When the number wants its next look; None where its time and the grace after it are over."""
    now = timezone.now()
    poll = settings.THUESIM_POLL_SECONDS
    expires_at = rental.expires_at or now
    if rental.status == Status.WAITING:
        if now > expires_at:
            return now + timedelta(seconds=max(poll, LATE_LOOK_SECONDS / 3))
        cold = rental.placed_at is not None and now > rental.placed_at + timedelta(seconds=HOT_SECONDS)
        return now + timedelta(seconds=poll * (COLD_INTERVALS if cold else HOT_INTERVALS))
    if now < expires_at + timedelta(seconds=GRACE_SECONDS) or _wants_words(rental):
        return now + timedelta(seconds=max(LATE_LOOK_SECONDS, poll))
    return None


def _wants_words(rental: Rental) -> bool:
    recent = timezone.now() - timedelta(seconds=ABSENT_GRACE_SECONDS)
    received = rental.status == Status.RECEIVED and rental.received_at is not None and rental.received_at > recent
    return received and _lacks_words(rental)


def _want_audio(rental: Rental) -> None:
    for message in Message.objects.filter(rental=rental, is_call=True, audio="").exclude(audio_url=""):
        enqueue.fetch_audio(message.pk)


def receive_callback(token: Token, body: bytes, *, content_type: str, address: str | None) -> Callback:
    """Keep a callback as it came, committed. A worker applies it, or the next tick does (API page, section 3.3).

    One that cannot be understood is kept all the same, for an admin to read.
    """
    # Byte by byte as it came, but for a token: no table of ours holds one.
    body = thuesim.redact(body.decode("latin-1")).encode("latin-1", "replace")
    kept = Callback(token=token, at=timezone.now(), body=body, content_type=content_type[:100], address=address)
    try:
        told = thuesim.parse_callback(body, content_type, on_drift=record_drift)
        kept.upstream_key = thuesim.rental_key(told.id)[:40]
    except thuesim.Gibberish as fault:
        kept.state = Callback.State.UNREADABLE
        logger.warning("a callback for token %s was not understood: %s", token.pk, fault)
    kept.save()
    return kept


def apply_callback(callback: Callback) -> bool:
    """Apply a kept callback that was understood. Safe to repeat. Returns whether it changed a rental."""
    state = Callback.State
    told = thuesim.parse_callback(bytes(callback.body), callback.content_type)
    rental = (
        Rental.objects.filter(token=callback.token_id, upstream_key=callback.upstream_key)
        .select_related("service", "token")
        .first()
    )
    if rental is None:
        Callback.objects.filter(pk=callback.pk).exclude(state=state.APPLIED).update(state=state.UNKNOWN)
        return False
    with transaction.atomic():
        changed = apply(rental, told.state, told.message, source="callback")
        Callback.objects.filter(pk=callback.pk).update(state=state.APPLIED, rental=rental, applied_at=timezone.now())
    return changed


def pending_callbacks() -> list[int]:
    """Callbacks that no worker has applied yet, and those whose rental has become known since."""
    known_now = Rental.objects.filter(token=OuterRef("token"), upstream_key=OuterRef("upstream_key"))
    recent = timezone.now() - timedelta(days=1)
    waiting = Q(state=Callback.State.PENDING) | (
        Q(state=Callback.State.UNKNOWN, at__gt=recent) & ~Q(upstream_key="") & Exists(known_now)
    )
    return list(Callback.objects.filter(waiting).order_by("at").values_list("pk", flat=True)[:500])
