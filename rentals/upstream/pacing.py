"""Rate limit of the calls that take a number: one per token in five seconds, over all workers.

ThueSim demands the gap (API page, section 3.1). A worker claims the turn by a conditional UPDATE of the token's row, so it
holds over restarts. The row has two times: of the monotonic clock, which a clock step does not move and the processes of a
machine share; and of the database's clock, for workers on another machine or after a reboot.
"""

import time
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from lib import clock
from rentals.models import Token

# How far past the gap a turn aims: a slow first call and a quick second one meet closer together at the other end.
MARGIN_SECONDS = 0.1
# A call that leaves later than this after its turn was counted has the gap counted anew.
LATE_SECONDS = 0.04


def gap_seconds() -> float:
    """Return the seconds between two turns: ThueSim's gap and a margin."""
    return float(settings.THUESIM_RENT_GAP_SECONDS) + MARGIN_SECONDS


def claim_turn(token: Token) -> float | None:
    """Claim the token's next turn. Returns its monotonic time, or None before it is due. A rollback of the transaction
    gives the turn back."""
    gap = gap_seconds()
    here = Q(turn_boot=clock.boot()) & ~Q(turn_boot="")
    # Much further ahead than a gap: written before the clock was set back.
    set_back = Q(next_turn_at__gt=clock.database_now(plus=timedelta(seconds=2 * gap)))
    over = Q(next_turn_at__lte=clock.database_now()) | set_back
    free = Q(next_turn_at=None) | (here & Q(turn_clock__lte=time.monotonic() - gap)) | (~here & over)
    return _stamp(Token.objects.filter(free, pk=token.pk))


def keep_turn(token: Token, turn: float) -> float | None:
    """Count the gap from now if the turn is still this worker's. Returns None if another worker has claimed it meanwhile."""
    if time.monotonic() - turn <= LATE_SECONDS:
        return turn
    return _stamp(Token.objects.filter(pk=token.pk, turn_boot=clock.boot(), turn_clock=turn))


def restamp(token: Token) -> None:
    """Count the gap from now, since the upstream asks for a pause."""
    _stamp(Token.objects.filter(pk=token.pk))


def _stamp(tokens: QuerySet[Token]) -> float | None:
    with transaction.atomic(savepoint=False):
        # The lock first (on SQLite the whole database's, with BEGIN): the wait for it may be long, and the gap counts from
        # its end.
        if not list(tokens.select_for_update(no_key=True).values_list("pk")):
            return None
        turn = time.monotonic()
        tokens.update(
            next_turn_at=clock.database_now(plus=timedelta(seconds=gap_seconds())),
            turn_boot=clock.boot(),
            turn_clock=turn,
        )
    return turn


def seconds_to_turn(token: Token) -> float:
    """Return the seconds until the token may take a number again, according to its row as it was read."""
    if token.next_turn_at is None:
        return 0.0
    if token.turn_boot and token.turn_boot == clock.boot():
        return max(0.0, gap_seconds() - (time.monotonic() - token.turn_clock))
    remaining = (token.next_turn_at - timezone.now()).total_seconds()
    return min(max(0.0, remaining), gap_seconds())
