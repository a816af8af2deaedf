"""What the desk shows of the team's tokens: balance, waiting places, queue, and whether they take orders."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection
from django.db.models import QuerySet

from accounts.policy import Access
from rentals.models import Hold, Status, Token
from rentals.upstream import breaker

MAX_LISTED = 30  # in a list beside the board


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
    def places(self) -> str:
        return f"{self.waiting}/{self.limit}" if self.limit else str(self.waiting)


def _open_rentals(access: Access, tokens: Sequence[Token]) -> Counter[tuple[int, str]]:
    """Count the team's open rentals of some tokens, by token and status. One query.

    By the index of open rentals; the team as a condition would let SQLite read the tokens' whole history. As SQL, since
    Django takes as long to write it as the rest of the query takes.
    """
    if not tokens:
        return Counter()
    marks, statuses = (", ".join(["%s"] * len(values)) for values in (tokens, Status.open()))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT token_id, status, COUNT(CASE WHEN team_id = %s THEN 1 END) FROM rentals_rental"  # noqa: S608
            f" WHERE token_id IN ({marks}) AND status IN ({statuses}) GROUP BY token_id, status",
            [access.team_id, *(token.pk for token in tokens), *Status.open()],
        )
        return Counter({(token_id, status): n for token_id, status, n in cursor.fetchall()})


@dataclass(frozen=True, slots=True)
class TokenList:
    """The tokens of a team. `lines` are those that the desk lists: of more than `MAX_LISTED`, those that take no orders,
    then the others by name. `others` are beside them, by name."""

    lines: list[TokenLine]
    others: list[Token]

    def __len__(self) -> int:
        return len(self.lines) + len(self.others)

    @property
    def _all(self) -> Iterable[Token]:
        yield from (line.token for line in self.lines)
        yield from self.others

    @property
    def unanswered(self) -> list[str]:
        """The names of the tokens on which ThueSim has not answered since the last failures, also while the next attempt is
        under way."""
        down = {Hold.DOWN, Hold.NONE}
        return sorted(token.name for token in self._all if token.hold == Hold.DOWN and breaker.hold_of(token) in down)

    @property
    def are_refused(self) -> bool:
        """Whether ThueSim refuses each token, so that no services can be read."""
        return len(self) > 0 and all(token.hold == Hold.INVALID for token in self._all)


def token_list(access: Access) -> TokenList:
    """Return the tokens of the person's team as the desk lists them. Two queries."""
    tokens = list(_tokens(access))
    if len(tokens) <= MAX_LISTED:
        return TokenList(_lines(access, tokens), [])
    in_order = sorted(tokens, key=lambda token: breaker.hold_of(token) == Hold.NONE)
    listed = {token.pk for token in in_order[:MAX_LISTED]}
    return TokenList(_lines(access, in_order[:MAX_LISTED]), [token for token in tokens if token.pk not in listed])


def token_lines(access: Access) -> list[TokenLine]:
    """Return all tokens of the person's team, by name. Two queries."""
    return _lines(access, list(_tokens(access)))


def _tokens(access: Access) -> QuerySet[Token]:
    shown = ("name", "value", "paused", "hold", "hold_until", "balance", "balance_at", "waiting_limit")
    return Token.objects.filter(teams=access.team_id).only(*shown)


def _lines(access: Access, tokens: Sequence[Token]) -> list[TokenLine]:
    counted = _open_rentals(access, tokens)
    return [
        TokenLine(
            token=token,
            balance=token.balance,
            balance_at=token.balance_at,
            waiting=sum(counted[token.pk, status] for status in Status.holding_a_place()),
            limit=token.waiting_limit,
            queued=counted[token.pk, Status.QUEUED],
            hold=breaker.hold_of(token),
        )
        for token in tokens
    ]
