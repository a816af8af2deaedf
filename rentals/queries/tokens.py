"""What the desk shows of the team's tokens: balance, waiting places, queue, and whether they take orders."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, IntegerField, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from accounts.policy import Access
from rentals.models import Hold, Rental, Status, Token
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


def _count(access: Access, *statuses: Status) -> Coalesce:
    """Count by the index of open rentals; a join, or the team as a condition, would read the token's whole history."""
    rentals: QuerySet[Rental] = Rental.objects.filter(token=OuterRef("pk"), status__in=statuses).order_by()
    counted = rentals.values("token").annotate(n=Count("pk", filter=Q(team=access.team_id))).values("n")
    return Coalesce(Subquery(counted, output_field=IntegerField()), 0)


def token_lines(access: Access) -> list[TokenLine]:
    """Return the tokens of the person's team, by name. One query."""
    tokens = Token.objects.filter(teams=access.team_id).annotate(
        waiting=_count(access, *Status.holding_a_place()), queued=_count(access, Status.QUEUED)
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
