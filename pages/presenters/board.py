"""The desk's board: which rentals of the team stand on it, and in which order."""

from dataclasses import dataclass

from django.utils import timezone

from accounts.policy import Access
from pages.presenters.cards import Card, cards_for
from rentals.models import Rental, Status
from rentals.queries.filters import ON_THE_BOARD, BoardFilter

# That the board shows: of the open ones and of the person's own, and of those that ended.
MAX_OPEN, MAX_ENDED = 200, 100
_KEYS = ("queued_at", "pk", "status", "person")


@dataclass(frozen=True, slots=True)
class Board:
    """The desk's cards in their order. `more_open` rentals that are open are left out, and `more_ended` that ended a short
    while ago."""

    cards: list[Card]
    more_open: int
    more_ended: int


def board_for(access: Access, board_filter: BoardFilter, *, codes_first: bool = False) -> Board:
    """Return the newest of the open rentals, the newest of the person's own open ones, and the newest of those that ended a
    short while ago; newest first.

    With `codes_first`, the rentals with a message stand before the others, the newest message first. Three queries,
    two where orders are in the queue, one where more ended, and two where more are open.
    """
    rentals = board_filter.apply_to_all(Rental.objects.all(), access).order_by("-queued_at", "-pk")
    ended = rentals.exclude(status__in=Status.open()).filter(ended_at__gt=timezone.now() - ON_THE_BOARD)
    # The keys first, each kind by its own index: with an OR of the two, and for the newest open ones of all statuses, SQLite
    # reads the team's whole history; and in one query with the rows, PostgreSQL reads everybody's, since it takes so many
    # joins in the order in which they stand.
    of_kinds = [(ended, MAX_ENDED), *((rentals.filter(status=status), MAX_OPEN) for status in Status.open())]
    newest, *others = (
        Rental.objects.filter(pk__in=some.values("pk")[: most + 1]).order_by().values_list(*_KEYS)
        for some, most in of_kinds
    )
    keys = sorted(newest.union(*others, all=True), reverse=True)
    open_ones = [key for key in keys if key[2] in Status.open()]
    of_ended = [key for key in keys if key[2] not in Status.open()]
    shown_open, all_open = {*open_ones[:MAX_OPEN]}, len(open_ones)
    if all_open > MAX_OPEN:
        every_one = rentals.filter(status__in=Status.open()).order_by()
        own = every_one.filter(person=access.person_id)  # it stays on the board, however many others rent
        shown_open |= set(own.order_by("-queued_at", "-pk").values_list(*_KEYS)[:MAX_OPEN])
        all_open = every_one.count()
    shown = {*shown_open, *of_ended[:MAX_ENDED]}
    rows = Rental.objects.filter(pk__in=[pk for _at, pk, *_rest in shown]).order_by("-queued_at", "-pk")
    with_tokens = any(status == Status.QUEUED for _at, _pk, status, _person in shown)
    cards = cards_for(rows.for_board(access, with_tokens=with_tokens), access)
    if codes_first:
        cards.sort(key=lambda card: card.message.at.timestamp() if card.message else 0, reverse=True)
    more_ended = ended.order_by().count() - MAX_ENDED if len(of_ended) > MAX_ENDED else 0
    return Board(cards, all_open - len(shown_open), more_ended)
