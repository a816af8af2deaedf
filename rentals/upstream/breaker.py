"""How a token fares with the upstream: its holds, and the pause after several faults in a row (a circuit breaker)."""

from datetime import timedelta

from django.conf import settings
from django.db.models import F
from django.utils import timezone

import thuesim
from lib import clock
from rentals import enqueue
from rentals.models import Hold, Token
from rentals.upstream.client import client_for

FAULTS_BEFORE_PAUSE = 3
LONGEST_PAUSE_SECONDS = 10.0
INVALID_SECONDS = 10.0
LIMIT_SECONDS = 10.0
LONGEST_HOLD_SECONDS = max(LONGEST_PAUSE_SECONDS, INVALID_SECONDS, LIMIT_SECONDS)


def hold_of(token: Token) -> Hold:
    """Why the token takes no order now; `Hold.NONE` where it does."""
    if token.paused:
        return Hold.PAUSED
    if token.hold and clock.is_ahead(token.hold_until, within=LONGEST_HOLD_SECONDS):
        return Hold(token.hold)
    return Hold.NONE


def put_on_hold(token: Token, hold: Hold, *, seconds: float, detail: str = "") -> None:
    """Let the token take no order for a while."""
    until = timezone.now() + timedelta(seconds=seconds)
    Token.objects.filter(pk=token.pk).update(hold=hold, hold_until=until, hold_detail=detail[:200])
    if hold_of(token) != hold:
        token.announce()
    token.hold, token.hold_until = hold, until


def answered(token: Token) -> None:
    """The upstream answered sensibly: faults are forgotten, and a hold for silence or a refused token ends."""
    well: dict[str, object] = {"faults": 0, "answered_at": timezone.now()}
    free: dict[str, object] = {"hold": Hold.NONE, "hold_until": None, "hold_detail": ""}
    # By the row: whoever asked may have read it before the hold was put on.
    held = Token.objects.filter(pk=token.pk, hold__in=[Hold.DOWN, Hold.INVALID])
    recovered = held.update(**well, **free)
    if not recovered:
        Token.objects.filter(pk=token.pk).update(**well)
    for name, value in (well | free if recovered else well).items():
        setattr(token, name, value)
    if recovered:
        token.announce()
        enqueue.place(token.pk)


def failed(token: Token, fault: thuesim.ThueSimError) -> None:
    """The upstream did not answer sensibly, or refused the token. Several times in a row, it is left in peace a while."""
    words = f"{type(fault).__name__}: {fault.message}" if fault.message else type(fault).__name__
    Token.objects.filter(pk=token.pk).update(
        faults=F("faults") + 1, last_fault=words[:200], last_fault_at=timezone.now()
    )
    token.refresh_from_db(fields=["faults"])
    if isinstance(fault, thuesim.InvalidToken):
        put_on_hold(token, Hold.INVALID, seconds=INVALID_SECONDS, detail=fault.message)
    elif token.faults >= FAULTS_BEFORE_PAUSE:
        put_on_hold(token, Hold.DOWN, seconds=pause_seconds(token), detail=words)


def is_well(token: Token) -> bool:
    """Whether orders may be placed. After faults in a row something harmless is asked first: an order that meets an
    upstream in trouble is in doubt for minutes."""
    if token.faults < FAULTS_BEFORE_PAUSE:
        return True
    # Whoever asks holds the token meanwhile, so that one worker asks.
    put_on_hold(token, Hold.DOWN, seconds=LONGEST_PAUSE_SECONDS, detail=token.last_fault)
    try:
        client_for(token).balance()
    except thuesim.ThueSimError as fault:
        failed(token, fault)
        return False
    answered(token)
    return True


def pause_seconds(token: Token) -> float:
    """How long to leave the upstream in peace after so many faults in a row; 0 while they are few."""
    extra = token.faults - FAULTS_BEFORE_PAUSE
    if extra < 0:
        return 0.0
    return min(LONGEST_PAUSE_SECONDS, float(settings.THUESIM_POLL_SECONDS) * 2.0 ** min(extra, 8))
