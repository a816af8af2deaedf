"""What the page of one rental shows beside its card: timeline, messages, money, re-rentals."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from accounts.audit import Action
from accounts.models import ApiKey, User
from accounts.policy import Access
from lib.formats import dong
from pages.presenters.cards import Card, card_for
from rentals import code_access
from rentals.lifecycle import reasons
from rentals.masking import mask
from rentals.models import EventKind, LedgerEntry, Message, Rental, RentalEvent, Status
from rentals.models.labels import EVENTS, SOURCES
from rentals.queries import queue
from rentals.queries.number_memory import NumberMemory, memory_of
from thuesim import codes

# Whose limit of the price held, in the facts of the order and in the timeline.
_LIMITS: Mapping[str, Promise] = {
    "order": _("the order's max price"),
    "team": _("the team's max price then"),
}
_LIMITS_SAID: Mapping[str, Promise] = {
    "order": _("The order's max price was %(limit)s."),
    "team": _("The team's max price was %(limit)s."),
    "shown": _("%(limit)s was shown at the order."),
}

# What a person did with a code, in the list of who saw it.
_SEEN: Mapping[str, Promise] = {
    EventKind.ORDERED: _("ordered the number"),
    Action.READ: _("read the code on a page"),
    Action.REVEAL: _("revealed the code"),
    Action.COPY: _("copied the code"),
    Action.LISTEN: _("played the recording"),
    Action.EXPORT: _("exported the code"),
}


@dataclass(frozen=True, slots=True)
class TimelineLine:
    """What one event of the rental tells, and why it happened."""

    event: RentalEvent
    what: str
    why: str
    upstream: str


@dataclass(frozen=True, slots=True)
class ReadableMessage:
    """A message as one person may read it."""

    message: Message
    codes: tuple[str, ...]
    text: str
    source: str
    has_recording: bool

    @property
    def copied(self) -> list[tuple[str, str]]:
        """Each code, and as it is pasted."""
        return [(code, codes.copied(code)) for code in self.codes]


@dataclass(frozen=True, slots=True)
class Seen:
    """A line of who saw the code: a person, or their program where there is a `key`. `person` is None where nobody is
    known, as for an imported rental."""

    at: datetime
    person: User | None
    what: str
    key: ApiKey | None = None

    @property
    def who(self) -> str:
        person = str(self.person or gettext("somebody"))
        if self.key is None:
            return person
        return gettext("%(person)s's program with the key %(key)s") % {"person": person, "key": self.key.name}


@dataclass(frozen=True, slots=True)
class RentalPage:
    """All that the page of a rental shows. `silence` says why no message is shown. `seen` has who saw the code, None
    for a person without that right; `more_seen`: it leaves some out.
    """

    card: Card
    timeline: list[TimelineLine]
    messages: list[ReadableMessage]
    silence: str
    ledger: list[LedgerEntry]
    chain: list[Rental]
    seen: list[Seen] | None
    more_seen: bool
    memory: NumberMemory | None

    @property
    def price_limits(self) -> list[tuple[int | None, str]]:
        """What the number might cost, and whose limit that was: the one that held comes first. The price that was shown is
        no limit."""
        limits = self.card.rental.price_limits
        return [(limit.amount, str(_LIMITS[limit.of])) for limit in limits if limit.of in _LIMITS]

    @property
    def cards(self) -> list[Card]:
        """The one card, as the template of cards takes it."""
        return [self.card]


def page_of(rental: Rental, access: Access, *, revealed: bool = False) -> RentalPage:
    """Return the page of a rental that comes from `for_cards()`."""
    place = queue.place_in_queue(rental) if rental.status == Status.QUEUED else None
    card = card_for(rental, access, revealed=revealed, place=place)
    messages = sorted(rental.messages.all(), key=lambda message: (message.at, message.pk), reverse=True)
    events = list(rental.events.select_related("person"))
    seen = _seen(rental, events) if access.may_see_accesses(rental) else None
    return RentalPage(
        card=card,
        timeline=[_timeline_line(event) for event in events],
        messages=[_readable_message(message, card) for message in messages],
        silence=_silence(rental),
        ledger=list(rental.ledger.all()),
        chain=_chain(rental, access),
        seen=seen[: code_access.MAX_SHOWN] if seen is not None else None,
        more_seen=seen is not None and len(seen) > code_access.MAX_SHOWN,
        memory=memory_of(access, rental.phone),
    )


def deleted_sentence(rental: Rental) -> str:
    """Return the sentence that says when the messages of a rental were deleted; `""` where none came, or they are kept."""
    if rental.status != Status.RECEIVED or rental.latest_message is not None:
        return ""
    days = settings.KEEP_MESSAGES_DAYS
    if rental.received_at is None or rental.received_at > timezone.now() - timedelta(days=days):
        return ""
    return ngettext(
        "Deleted after %(n)s day, as all messages are.", "Deleted after %(n)s days, as all messages are.", days
    ) % {"n": days}


def _silence(rental: Rental) -> str:
    """Return the sentence that says why there is no message."""
    if rental.status == Status.RECEIVED:
        return deleted_sentence(rental) or gettext("A message came, but ThueSim has not given its text.")
    return gettext("No message has arrived.")


def _timeline_line(event: RentalEvent) -> TimelineLine:
    detail = event.detail if isinstance(event.detail, dict) else {}
    why = reasons.SENTENCES.get(str(detail.get("reason", ""))) or SOURCES.get(str(detail.get("by", ""))) or ""
    if event.kind == EventKind.HANDED_OVER:
        why = (
            gettext("From %(from)s to %(to)s, who reads the code. The price stays with the person who ordered.")
            % detail
        )
    if "limit" in detail:
        prices = {name: dong(detail[name]) for name in ("price", "limit")}
        sentences = (str(why), gettext("It cost %(price)s then.") % prices, str(_LIMITS_SAID[detail["of"]]) % prices)
        why = " ".join(sentences)
    return TimelineLine(event, str(EVENTS.get(event.kind, event.kind)), str(why), str(detail.get("upstream", "")))


def _codes_of(message: Message, card: Card) -> tuple[str, ...]:
    if message.equal_codes and not card.masked:
        return message.equal_codes
    return (message.code,) if message.code else ()


def _readable_message(message: Message, card: Card) -> ReadableMessage:
    return ReadableMessage(
        message=message,
        codes=tuple(mask(code, not card.masked) for code in _codes_of(message, card)),
        text=mask(message.text, not card.masked),
        source=str(SOURCES.get(message.source, "")),
        has_recording=message.is_playable and not card.masked,
    )


def _seen(rental: Rental, events: Iterable[RentalEvent]) -> list[Seen]:
    """Return who ordered the number, who got it when it was handed over, and who saw its code and how; oldest first.
    Two queries.
    """
    owned = [Seen(event.at, event.person, str(_SEEN[event.kind])) for event in events if event.kind in _SEEN]
    owned += [
        Seen(event.at, event.person, gettext("handed the number over to %(to)s") % event.detail)
        for event in events
        if event.kind == EventKind.HANDED_OVER
    ]
    accesses = code_access.accesses_to(rental)
    return owned + [Seen(one.at, one.person, _what(one), one.key) for one in accesses]


def _what(access: code_access.CodeAccess) -> str:
    """Return what was done with the code. A program reads it on no page."""
    if access.in_admin:
        return gettext("opened it in the admin")
    if access.key is not None and access.action == Action.READ:
        return gettext("read the code")
    return str(_SEEN[access.action])


def _chain(rental: Rental, access: Access) -> list[Rental]:
    """Return the team's other rentals of the same number for the same service, newest first."""
    if not rental.phone:
        return []
    same = Rental.objects.visible_to(access).filter(phone=rental.phone, service=rental.service).exclude(pk=rental.pk)
    return list(same.select_related("person").order_by("-queued_at", "-pk")[:20])
