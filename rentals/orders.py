"""Take an order: check it and the price that was shown, choose its token, write it, and wake a worker. Calls no upstream."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

from django.db import DatabaseError
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from accounts import audit, one_time_keys
from accounts.models import ApiKey, Team, User
from accounts.one_time_keys import Key
from lib.files import disk
from lib.formats import dong
from rentals import budgets, enqueue, lifecycle
from rentals.lifecycle import reasons
from rentals.models import Rental, Service, Status, Token
from rentals.queries.queue import best_tokens
from thuesim import phones

MAX_KEEP_TRYING_MINUTES = 60
MAX_PREFIX_DIGITS = 4
# Beside the keys of `lifecycle.reasons`: no rental ever has it, since none was written.
DISK_FULL = "disk_full"


class OrderRefused(Exception):
    """The desk does not take the order. `sentence` tells the person why; `field` names the wrong form field, or is `""`;
    `reason` is a key of `lifecycle.reasons`, or `""`."""

    def __init__(self, sentence: str | Promise, field: str = "", *, reason: str = "") -> None:
        super().__init__(str(sentence))
        self.sentence = str(sentence)
        self.field = field
        self.reason = reason


class PriceRose(OrderRefused):
    """The service costs more than the person saw, or more than they would pay: `price` is what it costs now, in đồng."""

    def __init__(self, sentence: str, field: str = "", *, price: int) -> None:
        super().__init__(sentence, field, reason=reasons.PRICE_ROSE)
        self.price = price


class OrderedAlready(Exception):
    """The same key has ordered `rental` before. `differs` says that it orders something else now."""

    def __init__(self, rental: Rental, *, differs: bool) -> None:
        super().__init__(rental.pk)
        self.rental, self.differs = rental, differs


def parse_prefixes(text: str) -> list[str]:
    """Return the prefixes in `"96|97"`, `"096, 97"` or `"96 97"`, each once and without the leading 0.

    Raises `OrderRefused` for anything that is not 1 to 4 digits.
    """
    prefixes: list[str] = []
    for word in filter(None, re.split(r"[\s,;|]+", text)):
        try:
            digits = phones.prefix(word)
        except ValueError:
            digits = ""
        if not 1 <= len(digits) <= MAX_PREFIX_DIGITS:
            raise OrderRefused(_("“%(word)s” is not a prefix. Write digits such as 96 or 097.") % {"word": word[:20]})
        prefixes.append(digits)
    return list(dict.fromkeys(prefixes))


@dataclass(frozen=True, slots=True)
class Order:
    """What is ordered, by whom and for whom.

    Without a `token`, the one is chosen that is likely to serve the order first; a rental of `again_of` takes its token.
    `price_seen` is the price that the person was shown, 0 where it was shown none, `max_price` the most they would pay, in
    đồng: what costs more is not ordered now, nor when its turn comes. An order with an `api_key` keeps to the budgets of
    that, too.
    """

    person: User
    team: Team
    service: Service
    networks: Sequence[str] = ()
    prefixes: Sequence[str] = ()
    exclude_prefixes: Sequence[str] = ()
    purpose: str = ""
    keep_trying_minutes: int = 0
    token: Token | None = None
    again_of: Rental | None = None
    price_seen: int | None = None
    max_price: int | None = None
    api_key: ApiKey | None = None

    @property
    def asked(self) -> dict[str, object]:
        """All that makes it another order, for its one-time key."""
        return {
            "team": self.team.pk,
            "service": self.service.key,
            "networks": sorted(self.networks),
            "prefixes": sorted(self.prefixes),
            "exclude_prefixes": sorted(self.exclude_prefixes),
            "purpose": self.purpose,
            "keep_trying": self.keep_trying_minutes,
            "token": self.token.pk if self.token else None,
            "again_of": self.again_of.pk if self.again_of else None,
            "max_price": self.max_price,
        }


def take_order(order: Order, *, key: Key | None = None) -> Rental:
    """Write an order for one number, with its audit record, and wake a worker for it. Calls no upstream.

    With a `key`, the same order sent again is not taken again.

    Raises `OrderRefused` (`PriceRose` for the price), and `OrderedAlready` where the key has ordered before.
    """
    order = replace(order, purpose=" ".join(order.purpose.split()))
    try:
        _raise_if_taken(order, key)
        if order.again_of:
            order = replace(order, service=_offered_again(order.service, order.again_of))
        chosen = _checked_unless_taken(order, key)
        with _refused_on_a_full_disk():
            rental = one_time_keys.once(key, order.asked, lambda: _write(order, chosen), refusal=OrderRefused)
    except one_time_keys.DoneAlready as done:
        earlier = Rental.objects.select_related("service").get(pk=done.made)
        raise OrderedAlready(earlier, differs=done.differs) from None
    enqueue.place(chosen.pk)
    return rental


def taken_with(key: Key | None) -> Rental | None:
    """Return the order that was taken with this key, None where there is none. One query."""
    if key is None:
        return None
    return Rental.objects.select_related("service", "token").filter(pk__in=one_time_keys.used(key)).first()


def _raise_if_taken(order: Order, key: Key | None) -> None:
    """Raise `one_time_keys.DoneAlready` where the key has ordered before, whatever is on offer since."""
    taken = taken_with(key)
    if taken is not None:
        # The same number again is the same order, whichever service ThueSim offers for it by now.
        order = replace(order, service=taken.service) if order.again_of else order
        one_time_keys.raise_if_used(key, order.asked)


def _offered_again(service: Service, again_of: Rental) -> Service:
    """Return the service that ThueSim offers in the place of `service` now. Raises `OrderRefused` where it is unclear."""
    offered = service.offered(sv=again_of.upstream_id.partition(".")[2])
    if not offered.active and offered.offered_on_several_servers():
        raise OrderRefused(
            _("ThueSim offers this service on several servers now, and this rental names none. Rent a new number.")
        )
    return offered


@contextmanager
def _refused_on_a_full_disk() -> Iterator[None]:
    """Raise `OrderRefused` where the database takes no writes: nothing was ordered then, and nothing asked upstream."""
    try:
        yield
    except DatabaseError as error:
        if not disk.refuses_writes(error):
            raise
        raise OrderRefused(
            _("Nothing was ordered: the disk of the desk is full. Tell an admin; numbers that wait are kept."),
            reason=DISK_FULL,
        ) from None


def _write(order: Order, token: Token) -> Rental:
    """Write an order for `token`, within the budgets. Raises `OrderRefused`."""
    refusal = budgets.why_not_taken(team=order.team, person=order.person, service=order.service, api_key=order.api_key)
    if refusal is not None:
        raise OrderRefused(refusal.sentence, refusal.field, reason=refusal.reason)
    minutes = order.keep_trying_minutes
    rental = lifecycle.queue(
        team=order.team,
        person=order.person,
        token=token,
        service=order.service,
        again_of=order.again_of,
        token_pinned=order.token is not None or order.again_of is not None,
        networks=list(order.networks),
        prefixes=list(order.prefixes),
        exclude_prefixes=list(order.exclude_prefixes),
        purpose=order.purpose[:120],
        keep_trying_until=timezone.now() + timedelta(minutes=minutes) if minutes else None,
        agreed_price=order.service.price,
        max_price=order.max_price,
        api_key=order.api_key,
    )
    detail = {
        "service": order.service.key,
        "price": order.service.price,
        "token": token.name,
        "purpose": rental.purpose,
    }
    limits = {"max_price": rental.max_price, "team_max_price": rental.team_max_price}
    detail |= {name: limit for name, limit in limits.items() if limit is not None}
    audit.record(audit.Action.ORDER, person=order.person, team=order.team, target=audit.about(rental), detail=detail)
    return rental


def _checked(order: Order) -> Token:
    """Return the token to order on. Raises `OrderRefused` for an order that contradicts itself, the team's settings or the
    catalog."""
    if order.team.purpose_required and not order.purpose:
        raise OrderRefused(_("Say what the number is for: your team requires a purpose with every order."), "purpose")
    if not order.service.active:
        raise OrderRefused(reasons.SENTENCES[reasons.SUSPENDED], "service", reason=reasons.SUSPENDED)
    _check_price(order)
    clash = sorted(set(order.prefixes) & set(order.exclude_prefixes))
    if clash:
        raise OrderRefused(
            _("Prefix %(prefix)s is both requested and excluded. Remove it from one of the two.")
            % {"prefix": clash[0]},
            "exclude_prefixes",
        )
    if not 0 <= order.keep_trying_minutes <= MAX_KEEP_TRYING_MINUTES:
        raise OrderRefused(_("Choose to keep trying for 0 to 60 minutes."), "keep_trying")
    if order.again_of is None:
        return _choose_token(order.team, order.service, order.token)
    if not order.again_of.phone:
        raise OrderRefused(_("This order never got a number, so there is none to rent again."))
    _check_nobody_waits(order, order.again_of.phone)
    return _choose_token(order.team, order.service, order.again_of.token)


def _checked_unless_taken(order: Order, key: Key | None) -> Token:
    """As `_checked`. Raises `one_time_keys.DoneAlready` where what stands in the way is this very order, taken just now."""
    try:
        return _checked(order)
    except OrderRefused:
        one_time_keys.raise_if_used(key, order.asked)
        raise


def _check_nobody_waits(order: Order, phone: str) -> None:
    """Raise `OrderRefused` where the team waits for a code of this number and service already: it would pay for it twice."""
    waiting = Rental.objects.filter(team=order.team, service=order.service, phone=phone, status__in=Status.open())
    if waiting.exists():
        raise OrderRefused(
            _("This number is rented for this service already and still waits for its code. Nothing was ordered.")
        )


def _check_price(order: Order) -> None:
    """Raise `PriceRose` where the service costs more than the person saw or would pay."""
    price = order.service.price or 0
    if order.max_price is not None and price > order.max_price:
        sentence = _("It costs %(price)s now, more than your %(most)s. Nothing was ordered.")
        raise PriceRose(sentence % {"price": dong(price), "most": dong(order.max_price)}, "max_price", price=price)
    if order.price_seen is not None and price > order.price_seen:
        sentence = _("The price is %(price)s now, it was %(before)s. Nothing was ordered yet: rent at the new price?")
        before = dong(order.price_seen) if order.price_seen else _("not known")
        raise PriceRose(sentence % {"price": dong(price), "before": before}, price=price)


def _choose_token(team: Team, service: Service, token: Token | None) -> Token:
    """Return the token to order on: the chosen one, else the one that is likely to serve the order first.

    Raises `OrderRefused` where the chosen one is not the team's or is paused, or none is usable.
    """
    if token is not None:
        if not team.tokens.filter(pk=token.pk).exists():
            raise OrderRefused(_("This token is not one of your team's. Choose another one."), "token")
        if token.paused:
            raise OrderRefused(reasons.SENTENCES[reasons.PAUSED], "token", reason=reasons.PAUSED)
        return token
    usable = best_tokens(team, price=service.price or 0)
    if not usable:
        reason = reasons.PAUSED if team.tokens.exists() else reasons.NO_TOKEN
        raise OrderRefused(reasons.SENTENCES[reason], reason=reason)
    return usable[0]
