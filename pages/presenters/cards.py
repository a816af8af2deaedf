"""What one rental shows to one person: the desk's cards, the rows of the history, the page of a rental."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.policy import Access
from rentals.lifecycle import reasons
from rentals.masking import readable
from rentals.models import Message, Rental, Status
from rentals.queries import queue
from rentals.queries.filters import BoardFilter, left_the_board_at
from thuesim import phones

BOARD_LIMIT = 200


@dataclass(frozen=True, slots=True)
class Card:
    """A rental as one person may see it. Where `masked`, neither code nor text is in here at all."""

    rental: Rental
    phone: phones.PhoneForms | None
    code: str
    sms: str
    masked: bool
    message: Message | None
    has_audio: bool
    state: str
    icon: str
    reason: str
    warnings: tuple[str, ...]
    expires_at: datetime | None
    seconds_left: int
    leaves_at: datetime | None
    place: int | None
    likely_wait: timedelta | None
    mine: bool
    may_rent_again: bool
    may_cancel: bool
    may_reveal: bool
    may_check: bool

    @property
    def spoken_code(self) -> str:
        """The code as a screen reader should say it: character by character."""
        return " ".join(self.code)


# One icon per state, so that no state is told by its colour alone.
_ICONS: Mapping[str, str] = {
    Status.QUEUED: "queue",
    Status.PLACING: "spinner",
    Status.WAITING: "clock",
    Status.RECEIVED: "check",
    Status.EXPIRED: "hourglass",
    Status.REFUSED: "ban",
    Status.UNCONFIRMED: "question",
    Status.CANCELLED: "cross",
}


def card_for(
    rental: Rental,
    access: Access,
    *,
    revealed: bool = False,
    place: tuple[int, int] | None = None,
    now: datetime | None = None,
) -> Card:
    """Return what `access` may see of `rental`. Reads no rows where the rental comes from `for_cards()`.

    `revealed` shows a masked code to somebody who asked for it and whose look was recorded. `place` is the place in the
    queue and the likely wait in seconds.
    """
    now = now or timezone.now()
    read = readable(rental, access, revealed=revealed)
    ends = rental.ends_at
    left = max(0, round((ends - now).total_seconds())) if ends else 0
    settled = rental.status in {Status.RECEIVED, Status.EXPIRED, Status.REFUSED, Status.CANCELLED}
    return Card(
        rental=rental,
        phone=phones.forms(rental.phone),
        code=read.code,
        sms=read.text,
        masked=read.masked,
        message=read.message,
        has_audio=bool(read.message and read.message.audio) and not read.masked,
        state=str(Status(rental.status).label),
        icon=_ICONS[rental.status],
        reason=reasons.sentence(rental.reason),
        warnings=_warnings(rental),
        expires_at=ends,
        seconds_left=left,
        leaves_at=left_the_board_at(rental),
        place=place[0] if place else None,
        likely_wait=_short_wait(place[1]) if place else None,
        mine=rental.person_id == access.person_id,
        may_rent_again=access.may_rent and settled and bool(rental.upstream_key),
        may_cancel=rental.status == Status.QUEUED and access.may_cancel(rental),
        may_reveal=read.masked and access.may_reveal(rental),
        may_check=access.may_rent and rental.status in {Status.WAITING, Status.UNCONFIRMED},
    )


def _short_wait(seconds: int) -> timedelta:
    """Return a likely wait rounded as people say it: to 5 s below a minute, to 30 s above."""
    step = 5 if seconds < 60 else 30
    return timedelta(seconds=max(step, round(seconds / step) * step))


def _warnings(rental: Rental) -> tuple[str, ...]:
    if not rental.unasked:
        return ()
    sentences = {
        "network": _("ThueSim gave a number of another network than you asked for."),
        "prefix": _("ThueSim gave a number without the prefix you asked for."),
        "exclude_prefix": _("ThueSim gave a number with a prefix you did not want."),
        "phone": _("ThueSim gave another number than the one you asked for again."),
    }
    return tuple(sentences[what] for what in rental.unasked if what in sentences)


def cards_for(rentals: Iterable[Rental], access: Access) -> list[Card]:
    """Return a card for each rental, in their order. One query per token that has orders in its queue."""
    rentals = list(rentals)
    places: dict[int, tuple[int, int]] = {}
    for token in {rental.token for rental in rentals if rental.status == Status.QUEUED}:
        places |= queue.places_in_queue(token)
    now = timezone.now()
    return [card_for(rental, access, place=places.get(rental.pk), now=now) for rental in rentals]


def board(access: Access, board_filter: BoardFilter) -> list[Card]:
    """Return the desk's cards, newest first: what is open, and what ended a short while ago."""
    rentals = board_filter.apply(Rental.objects.for_cards(), access)
    return cards_for(rentals.order_by("-queued_at", "-pk")[:BOARD_LIMIT], access)


def render_card(rental: Rental, access: Access, *, oob: bool = False, revealed: bool = False) -> str:
    """Return the HTML of one card in the active language. `oob`: for htmx to put in the place of the old one."""
    place = queue.place_in_queue(rental) if rental.status == Status.QUEUED else None
    card = card_for(rental, access, place=place, revealed=revealed)
    return render_to_string("pages/_rental.html", {"card": card, "oob": oob})
