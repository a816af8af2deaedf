"""What one rental shows to one person: the desk's cards, the rows of the history, the page of a rental."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.models import User
from accounts.policy import Access
from lib.formats import dong, span
from lib.web.jinja import rendered
from rentals.lifecycle import reasons
from rentals.masking import Readable, ReadableMessage, readable
from rentals.models import Hold, Message, Rental, Status
from rentals.queries import queue
from rentals.queries.filters import left_the_board_at
from rentals.queries.warnings import not_as_requested, warnings_of
from rentals.upstream import breaker
from thuesim import codes, phones

MAX_WORDS = 40  # characters of what stands before one of several codes

# Why an order waits while its token takes none. Without a hold, all waiting places are taken.
_WAITS_FOR: Mapping[Hold, str] = {
    Hold.NONE: reasons.LIMIT,
    Hold.LIMIT: reasons.LIMIT,
    Hold.PAUSED: reasons.PAUSED,
    Hold.DOWN: reasons.DOWN,
    Hold.INVALID: reasons.INVALID_TOKEN,
    Hold.LOW_BALANCE: reasons.LOW_BALANCE,
    Hold.KEY_MISSING: reasons.NO_TOKEN,
}


# One icon per status, so that none is told by its colour alone.
_ICONS: Mapping[str, str] = {
    Status.QUEUED: "queue",
    Status.PLACING: "spinner",
    Status.WAITING: "clock",
    Status.RECEIVED: "check",
    Status.EXPIRED: "hourglass",
    Status.REFUSED: "none-free",
    Status.UNCONFIRMED: "uncertain",
    Status.CANCELLED: "cancel",
}
_WITHOUT_CODE = frozenset({Status.EXPIRED, Status.REFUSED, Status.CANCELLED})
_SETTLED = frozenset({Status.RECEIVED, Status.EXPIRED, Status.REFUSED, Status.CANCELLED})


@dataclass(frozen=True, slots=True)
class Permissions:
    """What one person may do with one rental now."""

    rent_again: bool
    cancel: bool
    reveal: bool
    check: bool
    order_like: bool
    hand_over: bool


@dataclass(frozen=True, slots=True)
class OtherCode:
    """A code beside the main one, and as it is pasted. `is_second`: it is the other reading of its message. `is_older`:
    it came with an older message than the main code, and the card tells its time.
    """

    code: str
    copied: str
    message: Message
    is_second: bool
    is_older: bool

    @property
    def note(self) -> str:
        """What is to be known of a code of another message or reading; `""` where only its time is."""
        if not self.is_second:
            return _("the earlier code") if self.message.is_earlier else ""
        if self.message.code:
            return _("ThueSim and the text name different codes: read the text.")
        return _("ThueSim takes this for the code, the text does not.")


@dataclass(frozen=True, slots=True)
class EqualCode:
    """One of several codes of a message, as it is pasted, and the words before it in the text; `""` where not simple."""

    code: str
    copied: str
    words: str

    @property
    def spoken(self) -> str:
        return " ".join(self.code)


@dataclass(frozen=True, slots=True)
class Card:
    """A rental as one person may see it at the moment `now`.

    `read` is what they may read of its message, `may` what they may do; `place` is the place in the queue and
    `likely_wait` how long that takes, both None outside the queue; the wait also where nobody can know it. `revealed` says
    that they asked to see a masked code.
    """

    rental: Rental
    read: Readable
    may: Permissions
    mine: bool
    phone: phones.PhoneForms | None
    place: int | None
    likely_wait: timedelta | None
    now: datetime
    revealed: bool = False

    @property
    def message(self) -> Message | None:
        return self.read.message

    @property
    def code(self) -> str:
        return self.read.code

    @property
    def sms(self) -> str:
        return self.read.text

    @property
    def masked(self) -> bool:
        return self.read.masked

    @property
    def name(self) -> str:
        """The service and the number, as a line about its code names it."""
        return ", ".join(filter(None, (self.rental.service.name, self.phone.national if self.phone else "")))

    @property
    def copied_code(self) -> str:
        """The code as it is pasted: its digits, without the sender's prefix and dashes."""
        return codes.copied(self.code)

    @property
    def equal_codes(self) -> list[EqualCode]:
        """The codes of the main message where it names several and none stands out; they are shown in the place of one."""
        several = self.read.equal_codes
        return [EqualCode(code, codes.copied(code), _words_before(code, self.sms, several)) for code in several]

    @property
    def other_codes(self) -> list[OtherCode]:
        """The codes beside the main one, newest first, each once; none where they are masked."""
        if self.masked:
            return []
        shown = {self.copied_code, *map(codes.copied, self.read.equal_codes)}
        others: list[OtherCode] = []
        for message, code, is_second in self._codes_beside:
            pasted = codes.copied(code) if code else ""
            if code and pasted not in shown:
                shown.add(pasted)
                others.append(OtherCode(code, pasted, message, is_second, message != self.message))
        return others

    @property
    def _codes_beside(self) -> Iterator[tuple[Message, str, bool]]:
        if self.message:
            yield self.message, self.read.second_code, True
        for other in self.read.others:
            for code in other.equal_codes or (other.code,):
                yield other.message, code, False
            yield other.message, other.second_code, True

    @property
    def message_count(self) -> int:
        return len(self.read.others) + bool(self.message)

    @property
    def messages_sentence(self) -> str:
        return ngettext("%(n)s message", "%(n)s messages", self.message_count) % {"n": self.message_count}

    @property
    def repeated_at(self) -> datetime | None:
        """When the code came again, None where it came once."""
        if not self.message or not self.message.code:
            return None
        repeats = (other.message.code == self.message.code for other in self.read.others)
        return self.message.at if any(repeats) else None

    @property
    def said_at(self) -> datetime | None:
        """When the newest message came."""
        times = [other.message.at for other in self.read.others]
        return max([self.message.at, *times]) if self.message else None

    @property
    def rings_at(self) -> datetime | None:
        """When the newest message came that a person waits for: a new code, or a voice call, whose code may be heard."""
        messages = [self.message, *(other.message for other in self.read.others)] if self.message else []
        awaited = (each for each in messages if each and each != self.read.void_by and _is_awaited(each))
        return max((each.at for each in awaited), default=None)

    @property
    def void_sentence(self) -> str:
        """What to say of a code that no longer holds; `""` of one that may."""
        return _("ThueSim's sender says that this code no longer holds.") if self.read.void_by else ""

    @property
    def caution(self) -> str:
        """What a person must know before they use the code, such as that a newer message came; `""` where nothing."""
        if self.void_sentence or self.read.newer is None:
            return self.void_sentence
        at = _time_of(self.read.newer.message.at)
        return _("A newer message came at %(at)s; it has no clear code.") % {"at": at}

    @property
    def caution_message(self) -> ReadableMessage | None:
        """The message of the caution where it is not the main one; it is shown beside the caution."""
        cause = self.read.void_by or (self.read.newer and self.read.newer.message)
        return next((other for other in self.read.others if other.message == cause), None)

    @property
    def rest(self) -> list[ReadableMessage]:
        """The messages beside the main one and that of the caution, newest first."""
        return [other for other in self.read.others if other != self.caution_message]

    @property
    def spoken_code(self) -> str:
        """The code as a screen reader should say it: character by character."""
        return " ".join(self.code)

    @property
    def has_recording(self) -> bool:
        return bool(self.message and self.message.is_playable) and not self.masked

    @property
    def status_label(self) -> str:
        return _("the code no longer holds") if self.read.void_by else self.rental.status_label

    @property
    def icon(self) -> str:
        if self.read.void_by:
            return "alert"
        return "message" if self.rental.lacks_code else _ICONS[self.rental.status]

    @property
    def reason(self) -> str:
        return reasons.sentence_for(self.rental)

    @property
    def queue_sentences(self) -> list[str]:
        """What is true of an order in the queue: its place, what it waits for, and until when.

        An order that is being asked for has as many lines, so that its card does not shrink at each attempt.
        """
        if self.rental.status == Status.PLACING:
            return self._attempt_sentences
        if not self.place:
            return []
        place = _("Place %(place)s in the queue") % {"place": self.place}
        is_tried_again = self.rental.reason in {reasons.OUT_OF_STOCK, reasons.TOO_SOON}
        if self.likely_wait and not is_tried_again:
            place = _("%(place)s, about %(wait)s") % {"place": place, "wait": span(self.likely_wait)}
        sentences = [f"{place}."]
        # An earlier reason says nothing of now: a place has become free since, or ThueSim is down.
        if is_tried_again:
            sentences.append(self.reason)
        elif self.likely_wait is None:
            sentences.append(reasons.sentence(_WAITS_FOR[breaker.hold_of(self.rental.token)]))
        return sentences + self._end_sentences

    @property
    def _attempt_sentences(self) -> list[str]:
        sentences = [_("ThueSim is being asked for a number.")]
        if self.rental.attempts > 1 and self.rental.keep_trying_until:
            sentences.append(_("It had none at the last attempt. The order is tried again by itself."))
        return sentences + self._end_sentences

    @property
    def _end_sentences(self) -> list[str]:
        if self.rental.keep_trying_until is None:
            return []
        at = timezone.localtime(self.rental.keep_trying_until).strftime("%H:%M")
        return [_("The order ends at %(at)s if it has no number by then.") % {"at": at}]

    @property
    def again_question(self) -> str:
        """What is asked before the number is rented again."""
        values = {"phone": self.phone.national if self.phone else "", "service": self.rental.service.name}
        return _("Rent %(phone)s again for %(service)s, at %(price)s?") % {**values, "price": self._price_now}

    @property
    def like_question(self) -> str:
        """What is asked before the same is ordered once more."""
        values = {"service": self.rental.service.name, "price": self._price_now}
        if self.phone is None:
            return _("Rent a number for %(service)s, at %(price)s?") % values
        return _("Rent another number for %(service)s, at %(price)s?") % values

    @property
    def _price_now(self) -> str:
        return dong(self.rental.service.price) or _("a price not known yet")

    @property
    def too_dear(self) -> str:
        """Why the same cannot be ordered at the price of now, by the limits that would hold; `""` where it can."""
        return _over_limit(self.rental, self.rental.max_price) or self.too_dear_for_team

    @property
    def too_dear_for_team(self) -> str:
        """Why its number cannot be rented again at the price of now; `""` where it can."""
        return _over_limit(self.rental, self.rental.team.max_price, of_team=True)

    @property
    def may_keep_trying(self) -> bool:
        """Whether more of the same may find a number: there was none just now."""
        return self.rental.status == Status.REFUSED and self.rental.reason in {
            reasons.OUT_OF_STOCK, reasons.GAVE_UP, reasons.LIMIT, reasons.TOO_SOON,
        }  # fmt: skip

    @property
    def may_be_dismissed(self) -> bool:
        """Whether the card only tells of something that is over and brought nothing."""
        return self.rental.status in _WITHOUT_CODE

    @property
    def refunded(self) -> int | None:
        """What was refunded, in đồng. None where nothing was."""
        return getattr(self.rental, "refunded", None)

    @property
    def warnings(self) -> tuple[str, ...]:
        return warnings_of(self.rental)

    @property
    def not_as_requested(self) -> tuple[str, ...]:
        """The warnings but that of the price, which the history tells at the price."""
        return not_as_requested(self.rental.unasked)

    @property
    def expires_at(self) -> datetime | None:
        return self.rental.ends_at

    @property
    def ordered_by(self) -> User | None:
        """Who ordered the number, where it was handed over since."""
        orderer = self.rental.ordered_by
        return orderer if orderer != self.rental.person else None

    @property
    def seconds_left(self) -> int:
        ends = self.expires_at
        return max(0, round((ends - self.now).total_seconds())) if ends else 0

    @property
    def leaves_at(self) -> datetime | None:
        """When the card leaves the board; None as long as something may still happen to the rental."""
        return left_the_board_at(self.rental)


def _over_limit(rental: Rental, limit: int | None, *, of_team: bool = False) -> str:
    if limit is None or (rental.service.price or 0) <= limit:
        return ""
    prices = {"price": dong(rental.service.price), "limit": dong(limit)}
    if of_team:
        return _("%(price)s now: above your team's max price of %(limit)s") % prices
    return _("%(price)s now: above your max price of %(limit)s") % prices


def _is_awaited(message: Message) -> bool:
    return bool(message.code or message.equal_codes or message.is_call) and not message.is_earlier


def _time_of(at: datetime) -> str:
    local = timezone.localtime(at)
    return local.strftime("%H:%M" if local.date() == timezone.localdate() else "%d/%m %H:%M")


_JOINING_WORDS = frozenset({"hoặc", "hoac", "hay", "và", "va", "or", "and"})


def _words_before(code: str, text: str, several: Sequence[str]) -> str:
    """Return what stands before a code in its sentence and behind the code before it, such as `"Ma OTP kich hoat"`.

    `""` where that is long.
    """
    before = text.partition(code)[0] if code in text else ""
    for other in several:
        if other == code or other not in before:
            continue
        before = before.rpartition(other)[2]
        before = re.sub(r"^\s?\([^()]*\)", "", before)  # "8812 (NH A) OTP rut tien: 9931"
    words = re.split(r"[.,;!?\n](?=\s|$)", before)[-1].strip(" :=-–\"'(")
    words = "" if words.lower() in _JOINING_WORDS else words
    return words if len(words) <= MAX_WORDS else ""


def card_for(
    rental: Rental,
    access: Access,
    *,
    revealed: bool = False,
    place: tuple[int, int | None] | None = None,
    now: datetime | None = None,
) -> Card:
    """Return what `access` may see of `rental`. Reads no rows where the rental comes from `for_cards()`.

    `revealed` shows a masked code to a person whose reveal was recorded. `place` is the place in the queue and the likely
    wait in seconds.
    """
    read = readable(rental, access, revealed=revealed)
    return Card(
        rental=rental,
        read=read,
        may=permissions(rental, access, read),
        mine=rental.person_id == access.person_id,
        phone=phones.forms(rental.phone),
        place=place[0] if place else None,
        likely_wait=_short_wait(place[1]) if place and place[1] is not None else None,
        now=now or timezone.now(),
        revealed=revealed,
    )


def permissions(rental: Rental, access: Access, read: Readable) -> Permissions:
    """Return what `access` may do with `rental`, of which they may read `read`."""
    return Permissions(
        rent_again=access.may_rent and rental.status in _SETTLED and bool(rental.upstream_key),
        cancel=rental.status == Status.QUEUED and access.may_cancel(rental),
        reveal=read.masked and access.may_reveal(rental),
        hand_over=access.may_hand_over(rental) and rental.status == Status.WAITING,
        check=access.may_rent and rental.status in {Status.WAITING, Status.UNCONFIRMED},
        order_like=access.may_rent and rental.status in _WITHOUT_CODE and rental.service.active,
    )


def handed_over_sentence(rental: Rental, person_id: int) -> str:
    """Return the notice for the former and for the new owner of a number that was handed over."""
    values = {"phone": phones.pretty(rental.phone), "service": rental.service.name, "person": rental.person}
    if rental.person_id == person_id:
        return _("%(phone)s, %(service)s, was handed over to you: its code will be yours.") % values
    return _("%(phone)s, %(service)s, was handed over to %(person)s, who reads its code now.") % values


def _short_wait(seconds: int) -> timedelta:
    """Return a likely wait rounded as people say it: to 5 s below a minute, to 30 s above."""
    step = 5 if seconds < 60 else 30
    return timedelta(seconds=max(step, round(seconds / step) * step))


def cards_for(rentals: Iterable[Rental], access: Access) -> list[Card]:
    """Return a card for each rental, in their order. Two queries where some are in the queue."""
    rentals = list(rentals)
    places = queue.places_in_queue({rental.token for rental in rentals if rental.status == Status.QUEUED})
    now = timezone.now()
    return [card_for(rental, access, place=places.get(rental.pk), now=now) for rental in rentals]


def render_card(rental: Rental, access: Access, *, oob: bool = False, revealed: bool = False) -> SafeString:
    """Return the HTML of one card in the active language. With `oob`, htmx puts it in the place of the old one."""
    place = queue.place_in_queue(rental) if rental.status == Status.QUEUED else None
    card = card_for(rental, access, place=place, revealed=revealed)
    return rendered("cards.html", cards=[card], heading="h3", oob=oob)
