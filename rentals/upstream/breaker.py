"""The circuit breaker of a token: after several failures in a row its orders are held and the upstream is asked less.

Every call to the upstream reports to it, by `with reporting(token)`. It stands on the token's row, so all workers see it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

import thuesim
from rentals import enqueue, outbox
from rentals.models import Hold, OutgoingEvent, Token
from rentals.upstream.client import client_for

FAILURES_TO_OPEN = 3
MAX_PAUSE_SECONDS = 10.0
INVALID_SECONDS = 10.0
LIMIT_SECONDS = 10.0
# `answered_at` is shown in minutes, and each write of it is a commit: one for so many seconds will do.
ANSWERED_SECONDS = 5.0
MAX_HOLD_SECONDS = max(MAX_PAUSE_SECONDS, INVALID_SECONDS, LIMIT_SECONDS)
_OUTGOING = {Hold.INVALID: OutgoingEvent.TOKEN_REFUSED, Hold.DOWN: OutgoingEvent.UPSTREAM_DOWN}
# The client raised these itself: the upstream was not asked.
_NOT_ASKED = (thuesim.KeptBack, thuesim.AudioRefused)


def hold_of(token: Token) -> Hold:
    """Why the token takes no order now; `Hold.NONE` where it does."""
    if not token.value:  # no key decrypts it
        return Hold.KEY_MISSING
    if token.paused:
        return Hold.PAUSED
    if token.hold and token.hold_until is not None and token.hold_until > timezone.now():
        return Hold(token.hold)
    return Hold.NONE


def put_on_hold(token: Token, hold: Hold, *, seconds: float, detail: str = "") -> None:
    """Let the token take no order for a while."""
    until = timezone.now() + timedelta(seconds=seconds)
    values = {"hold": hold, "hold_until": until, "hold_detail": detail[:200]}
    row = Token.objects.filter(pk=token.pk)
    if hold not in _OUTGOING:
        row.update(**values)
    else:
        with transaction.atomic():
            # By the row: a hold that is put on again, by this worker or another, is no news.
            if row.exclude(hold=hold).update(**values):
                outbox.about_token(token, _OUTGOING[hold])
            else:
                row.update(**values)
    if hold_of(token) != hold:
        token.announce()
    token.hold, token.hold_until = hold, until


@contextmanager
def reporting(token: Token) -> Iterator[None]:
    """Report to the breaker how the calls in this block went. A refusal such as "out of stock" is an answer, too.

    The block's `ThueSimError` passes on.
    """
    try:
        yield
    except thuesim.ThueSimError as error:
        if error.blames_upstream:
            failed(token, error)
        elif not isinstance(error, _NOT_ASKED):
            answered(token)
        raise
    answered(token)


def answered(token: Token) -> None:
    """The upstream answered: its failures are forgotten, and a hold for silence or for a refused token ends."""
    now = timezone.now()
    well: dict[str, object] = {"faults": 0, "answered_at": now}
    free: dict[str, object] = {"hold": Hold.NONE, "hold_until": None, "hold_detail": ""}
    # By the row, not by `token`, which may have been read before the hold was put on.
    row = Token.objects.filter(pk=token.pk)
    hold, faults, answered_at = row.values_list("hold", "faults", "answered_at").first() or (Hold.NONE, 0, now)
    recovered = hold in {Hold.DOWN, Hold.INVALID} and _recovered(token, Hold(hold), {**well, **free})
    recent = answered_at is not None and abs(now - answered_at) < timedelta(seconds=ANSWERED_SECONDS)
    if not recovered and (faults or not recent):
        row.update(**well)
    for name, value in (well | free if recovered else well).items():
        setattr(token, name, value)
    if recovered:
        token.announce()
        enqueue.place(token.pk)


@transaction.atomic
def _recovered(token: Token, hold: Hold, values: dict[str, Any]) -> bool:
    """End `hold`. False where another worker has."""
    if not Token.objects.filter(pk=token.pk, hold=hold).update(**values):
        return False
    if hold == Hold.DOWN:
        outbox.about_token(token, OutgoingEvent.UPSTREAM_BACK)
    return True


def failed(token: Token, error: thuesim.ThueSimError) -> None:
    """The upstream gave no answer of use, or refused the token. After several failures in a row we back off."""
    words = f"{type(error).__name__}: {error.message}" if error.message else type(error).__name__
    Token.objects.filter(pk=token.pk).update(
        faults=F("faults") + 1, last_fault=words[:200], last_fault_at=timezone.now()
    )
    token.refresh_from_db(fields=["faults"])
    if isinstance(error, thuesim.InvalidToken):
        put_on_hold(token, Hold.INVALID, seconds=INVALID_SECONDS, detail=error.message)
    elif token.faults >= FAILURES_TO_OPEN:
        put_on_hold(token, Hold.DOWN, seconds=pause_seconds(token), detail=words)


def is_well(token: Token) -> bool:
    """Whether orders may be placed. After several failures in a row the balance is asked for first, since an order that
    meets an upstream in trouble is in doubt for minutes."""
    if token.faults < FAILURES_TO_OPEN:
        return True
    # The hold keeps other workers from asking meanwhile.
    put_on_hold(token, Hold.DOWN, seconds=MAX_PAUSE_SECONDS, detail=token.last_fault)
    try:
        with reporting(token):
            client_for(token).balance()
    except thuesim.ThueSimError:
        return False
    return True


def pause_seconds(token: Token) -> float:
    """How many seconds to back off after the failures in a row so far; 0 while the breaker is closed."""
    beyond = token.faults - FAILURES_TO_OPEN
    if beyond < 0:
        return 0.0
    return min(MAX_PAUSE_SECONDS, float(settings.THUESIM_POLL_SECONDS) * 2.0 ** min(beyond, 8))
