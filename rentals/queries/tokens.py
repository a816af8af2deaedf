"""What the desk shows of the team's tokens: balance, waiting places, queue, and whether they take orders."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import IntegerField
from django.db.models.expressions import RawSQL

from accounts.policy import Access
from rentals.models import Hold, Status, Token
from rentals.upstream import breaker


@dataclass(frozen=True, slots=True)
class TokenLine:
    """A token now. `waiting` and `queued` count the team's own, also where other teams share the token. `limit` is how many
    numbers may wait with it (None: not known yet); money in đồng."""

    token: Token
    balance: int | None
    balance_at: datetime | None
    waiting: int
    limit: int | None
    queued: int
    hold: Hold

    @property
    def takes_orders(self) -> bool:
        return self.hold == Hold.NONE

    @property
    def is_unanswered(self) -> bool:
        """Whether ThueSim has not answered since the last failures, also while the next attempt is under way."""
        return self.token.hold == Hold.DOWN and self.hold in {Hold.DOWN, Hold.NONE}

    @property
    def places(self) -> str:
        return f"{self.waiting}/{self.limit}" if self.limit else str(self.waiting)


def _count(access: Access, statuses: Sequence[Status]) -> RawSQL:
    """Count by the index of open rentals; a join, or the team as a condition, would read the token's whole history.

    As SQL, since Django takes as long to write it as the rest of the query takes.
    """
    marks = ", ".join(["%s"] * len(statuses))
    counted = (
        "SELECT COUNT(CASE WHEN r.team_id = %s THEN 1 END) FROM rentals_rental r"  # noqa: S608
        f" WHERE r.token_id = rentals_token.id AND r.status IN ({marks})"
    )
    return RawSQL(counted, [access.team_id, *statuses], output_field=IntegerField())  # noqa: S611


def token_lines(access: Access) -> list[TokenLine]:
    """Return the tokens of the person's team, by name. One query."""
    tokens = Token.objects.filter(teams=access.team_id).annotate(
        waiting=_count(access, Status.holding_a_place()), queued=_count(access, [Status.QUEUED])
    )
    return [
        TokenLine(
            token=token,
            balance=token.balance,
            balance_at=token.balance_at,
            waiting=token.waiting,
            limit=token.waiting_limit,
            queued=token.queued,
            hold=breaker.hold_of(token),
        )
        for token in tokens
    ]
