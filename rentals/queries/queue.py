"""The queue of a token: the order in which it is served, places in it, and which token serves an order first."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import timedelta
from itertools import groupby
from operator import itemgetter

from django.db.models import Count, F, IntegerField, OuterRef, Q, QuerySet, Subquery, Value, Window
from django.db.models.functions import RowNumber
from django.utils import timezone

from accounts.models import Team
from rentals.models import Hold, Rental, Status, Token
from rentals.upstream import breaker, pacing

DOUBTFUL_SECONDS = 10


def best_tokens(team: Team, *, price: int, without: Sequence[int] = ()) -> list[Token]:
    """Return the team's tokens that are not paused, the one first that is likely to serve an order first.

    `price` is that of the order, in đồng; `without` are ids of tokens to leave out.
    """
    tokens = (
        team.tokens.filter(paused=False)
        .exclude(pk__in=without)
        .annotate(
            ahead=Count("rentals", filter=Q(rentals__status=Status.QUEUED)),
            holding=Count("rentals", filter=holding_a_place("rentals__")),
        )
    )

    def rank(token: Token) -> tuple[bool, bool, bool, int, float]:
        poor = token.balance is not None and token.balance < price
        full = token.waiting_limit is not None and token.holding >= token.waiting_limit  # type: ignore[attr-defined]
        held = breaker.hold_of(token) != Hold.NONE
        return held, poor, full, token.ahead, pacing.seconds_to_turn(token)  # type: ignore[attr-defined]

    return sorted(tokens, key=rank)


def holding_a_place(prefix: str = "") -> Q:
    """Return the condition of the orders that count against a token's waiting limit.

    An unconfirmed order counts for `DOUBTFUL_SECONDS`. If it holds a place longer than that, the upstream refuses the next
    order, which is tried again. `prefix` is the path to the rental, such as `"rentals__"`.
    """
    recent = timezone.now() - timedelta(seconds=DOUBTFUL_SECONDS)
    doubtful = Q(**{f"{prefix}status": Status.UNCONFIRMED, f"{prefix}attempt_at__gt": recent})
    return Q(**{f"{prefix}status__in": [Status.PLACING, Status.WAITING]}) | doubtful


def queue_of(*token_ids: int) -> QuerySet[Rental]:
    """Return the token's queue in the order in which it is served: each person's first order, then each person's second,
    and so on. Among equals, the person served longest ago comes first, then the older order. Of several tokens, one queue
    after the other."""
    # One by one, by an index that ends with the newest: a join of people with all that they ever rented grows with both.
    attempts = Rental.objects.filter(
        person=OuterRef("person"), token=OuterRef("token"), attempt_at__isnull=False
    ).order_by("-attempt_at")
    return (
        Rental.objects.filter(token__in=token_ids, status=Status.QUEUED)
        .annotate(
            turn=Window(
                RowNumber(),
                partition_by=[F("token"), F("person")],
                order_by=[F("queued_at").asc(), F("pk").asc()],
            ),
            served=Subquery(attempts.values("attempt_at")[:1]),
        )
        .order_by("token", "turn", F("served").asc(nulls_first=True), "queued_at", "pk")
    )


def place_in_queue(rental: Rental) -> tuple[int, int | None]:
    """Return the order's place in its team, from 1, and the likely seconds to its turn; (0, 0) where it is not queued."""
    return places_in_queue([rental.token]).get(rental.pk, (0, 0))


def places_in_queue(tokens: Iterable[Token]) -> dict[int, tuple[int, int | None]]:
    """Return place and likely seconds of each queued order of the tokens, by rental id. Two queries at most, none
    without tokens.

    The place is the one among the orders of its own team; the seconds count those of all teams that share the token. They
    are None where nobody can know them: no waiting place is free, or the token takes no order now.
    """
    by_id = {token.pk: token for token in tokens}
    if not by_id:
        return {}
    gap = pacing.gap_seconds()
    counted = (
        Rental.objects.filter(holding_a_place(), token__in=by_id).order_by().values("token").annotate(n=Count("pk"))
    )
    in_turn = queue_of(*by_id)
    if len(by_id) == 1:  # in the same query, which reads it once; of several tokens it would read it for each order
        in_turn = in_turn.annotate(held=Subquery(counted.values("n")))
        held = {}
    else:
        in_turn = in_turn.annotate(held=Value(None, IntegerField()))
        held = dict(counted.values_list("token", "n"))
    places: dict[int, tuple[int, int | None]] = {}
    for token_id, orders in groupby(in_turn.values_list("token", "pk", "team", "held"), itemgetter(0)):
        token, team_places = by_id[token_id], Counter[int]()
        takes_orders = not token.paused and breaker.hold_of(token) == Hold.NONE
        first = pacing.seconds_to_turn(token)
        for ahead, (_token, pk, team, held_by_one) in enumerate(orders):
            team_places[team] += 1
            holding = held_by_one or held.get(token_id, 0)
            is_known = takes_orders and (token.waiting_limit is None or holding < token.waiting_limit)
            places[pk] = (team_places[team], round(first + ahead * gap) if is_known else None)
    return places
