"""The desk's board: which rentals of the team stand on it, and in which order."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from accounts.policy import Access
from pages.presenters.cards import Card, cards_for
from rentals.models import Rental, Status
from rentals.queries.filters import ON_THE_BOARD, BoardFilter

if TYPE_CHECKING:
    from rentals.models.rentals import RentalQuerySet

# That the board shows, of the open ones and of those that ended.
MAX_OPEN, MAX_ENDED = 200, 100


@dataclass(frozen=True, slots=True)
class Board:
    """The desk's cards in their order. `more_open` rentals that are open are left out, and `more_ended` that ended a short
    while ago."""

    cards: list[Card]
    more_open: int
    more_ended: int


def board_for(access: Access, board_filter: BoardFilter, *, codes_first: bool = False) -> Board:
    """Return the newest of the open rentals, with all of the person's own, and the newest of those that ended a short while
    ago; newest first.

    With `codes_first`, the rentals with a message stand before the others, the newest message first. Three queries,
    two where orders are in the queue, two where more are open, and one where more ended.
    """
    rentals = board_filter.apply_to_all(Rental.objects.all(), access).order_by("-queued_at", "-pk")
    ended = rentals.exclude(status__in=Status.open()).filter(ended_at__gt=timezone.now() - ON_THE_BOARD)
    open_ones = rentals.filter(status__in=Status.open())
    # The keys first, each kind by its own index: with an OR of the two, SQLite reads the team's whole history; and in one
    # query with the rows, PostgreSQL reads everybody's, since it takes so many joins in the order in which they stand.
    keys = dict(_newest(open_ones, MAX_OPEN).union(_newest(ended, MAX_ENDED), all=True))
    has_more_open = sum(status in Status.open() for status in keys.values()) > MAX_OPEN
    if has_more_open:  # nobody's own number leaves the board because others rent many
        keys |= dict(_newest(open_ones.filter(person=access.person_id), MAX_OPEN))
    rows = Rental.objects.filter(pk__in=keys).order_by("-queued_at", "-pk")
    shown = rows.for_board(access, with_tokens=Status.QUEUED in keys.values())
    open_shown = [rental for rental in shown if rental.status in Status.open()]
    open_shown = open_shown[:MAX_OPEN] + [each for each in open_shown[MAX_OPEN:] if each.person_id == access.person_id]
    ended_shown = [rental for rental in shown if rental.status not in Status.open()]
    on_it = {rental.pk for rental in open_shown + ended_shown[:MAX_ENDED]}
    cards = cards_for([rental for rental in shown if rental.pk in on_it], access)
    if codes_first:
        cards.sort(key=lambda card: card.message.at.timestamp() if card.message else 0, reverse=True)
    return Board(
        cards,
        more_open=open_ones.order_by().count() - len(open_shown) if has_more_open else 0,
        more_ended=ended.order_by().count() - MAX_ENDED if len(ended_shown) > MAX_ENDED else 0,
    )


def _newest(rentals: "RentalQuerySet", most: int) -> Any:
    """Return the keys and statuses of the newest, and of one more; to be joined with others."""
    keys = rentals.values("pk")[: most + 1]
    return Rental.objects.filter(pk__in=keys).order_by().values_list("pk", "status")
