"""Place orders in turn: who is served next, on which token, and what each answer of the upstream means for the order."""

import contextlib
import re
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db import DatabaseError, transaction
from django.db.models import Count, F, Max, Q, QuerySet, Window
from django.db.models.functions import RowNumber
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _

import thuesim
from accounts import audit
from accounts.models import Team, User
from lib import clock
from rentals import budgets, enqueue, lifecycle
from rentals.jobs import polling
from rentals.lifecycle import reasons
from rentals.models import Hold, Rental, Service, Status, Token
from rentals.upstream import breaker, pacing
from rentals.upstream.client import client_for
from thuesim import phones

# An order that is tried again because the stock is out waits this long in between, in seconds.
OUT_OF_STOCK_PAUSES = (5, 10, 15, 20, 30)
LONGEST_KEEP_TRYING_MINUTES = 60
DOUBTFUL_SECONDS = 10
LONGEST_PREFIX = 4  # digits


class OrderRefused(Exception):
    """An order that the desk itself does not take. `sentence` is for the person, `field` names the form's field."""

    def __init__(self, sentence: str | Promise, field: str = "") -> None:
        super().__init__(str(sentence))
        self.sentence = str(sentence)
        self.field = field


def parse_prefixes(text: str) -> list[str]:
    """Return the prefixes in `"96|97"`, `"096, 97"` or `"96 97"`, without the leading 0 and without doubles.

    Raises `OrderRefused` for anything that is not 1 to 4 digits.
    """
    found: list[str] = []
    for word in filter(None, re.split(r"[\s,;|]+", text)):
        try:
            digits = phones.prefix(word)
        except ValueError:
            digits = ""
        if not 1 <= len(digits) <= LONGEST_PREFIX:
            raise OrderRefused(_("“%(word)s” is not a prefix. Write digits such as 96 or 097.") % {"word": word[:20]})
        found.append(digits)
    return list(dict.fromkeys(found))


def take_order(
    *,
    person: User,
    team: Team,
    service: Service,
    networks: Sequence[str] = (),
    prefixes: Sequence[str] = (),
    exclude_prefixes: Sequence[str] = (),
    purpose: str = "",
    keep_trying_minutes: int = 0,
    token: Token | None = None,
    again_of: Rental | None = None,
) -> Rental:
    """Write an order for one number and wake a worker for it. Nothing is asked of the upstream here.

    Raises `OrderRefused`.
    """
    purpose = " ".join(purpose.split())
    _check(team, service, purpose, prefixes, exclude_prefixes, keep_trying_minutes)
    if again_of is not None:
        if not again_of.phone:
            raise OrderRefused(_("This order never got a number, so there is none to rent again."))
        token = again_of.token
    chosen = _choose_token(team, service, token)
    with transaction.atomic():
        refusal = budgets.why_not_taken(team=team, person=person, service=service)
        if refusal is not None:
            raise OrderRefused(refusal.sentence, refusal.field)
        rental = lifecycle.queue(
            team=team,
            person=person,
            token=chosen,
            service=service,
            again_of=again_of,
            token_pinned=token is not None,
            networks=list(networks),
            prefixes=list(prefixes),
            exclude_prefixes=list(exclude_prefixes),
            purpose=purpose[:120],
            keep_trying_until=timezone.now() + timedelta(minutes=keep_trying_minutes) if keep_trying_minutes else None,
        )
        detail = {"service": service.key, "price": service.price, "token": chosen.name, "purpose": rental.purpose}
        audit.record("order", person=person, team=team, target=f"rental {rental.pk}", detail=detail)
    enqueue.place(chosen.pk)
    return rental


def _check(
    team: Team,
    service: Service,
    purpose: str,
    prefixes: Sequence[str],
    exclude_prefixes: Sequence[str],
    keep_trying_minutes: int,
) -> None:
    """Raise `OrderRefused` for an order that could not be meant."""
    if team.purpose_required and not purpose:
        raise OrderRefused(_("Say what the number is for; your team wants a purpose with every order."), "purpose")
    if not service.active:
        raise OrderRefused(reasons.SENTENCES[reasons.SUSPENDED], "service")
    clash = sorted(set(prefixes) & set(exclude_prefixes))
    if clash:
        raise OrderRefused(
            _("Prefix %(prefix)s is both wanted and unwanted. Take it out of one of the two.") % {"prefix": clash[0]},
            "exclude_prefixes",
        )
    if not 0 <= keep_trying_minutes <= LONGEST_KEEP_TRYING_MINUTES:
        raise OrderRefused(_("Keep trying for 0 to 60 minutes."), "keep_trying")


def _choose_token(team: Team, service: Service, token: Token | None) -> Token:
    """Return the token to order on: the wanted one, else the one that will get to it first."""
    if token is not None:
        if not team.tokens.filter(pk=token.pk).exists():
            raise OrderRefused(_("This token is not one of your team's. Choose another one."), "token")
        if token.paused:
            raise OrderRefused(reasons.SENTENCES[reasons.PAUSED], "token")
        return token
    usable = best_tokens(team, price=service.price or 0)
    if not usable:
        word = reasons.PAUSED if team.tokens.exists() else reasons.NO_TOKEN
        raise OrderRefused(reasons.SENTENCES[word])
    return usable[0]


def best_tokens(team: Team, *, price: int, without: Sequence[int] = ()) -> list[Token]:
    """The team's tokens that are not paused, the one likely to serve an order first before the others."""
    tokens = (
        team.tokens.filter(paused=False)
        .exclude(pk__in=without)
        .annotate(
            ahead=Count("rentals", filter=Q(rentals__status=Status.QUEUED)),
            holding=Count("rentals", filter=_holding("rentals__")),
        )
    )

    def rank(token: Token) -> tuple[bool, bool, bool, int, float]:
        poor = token.balance is not None and token.balance < price
        full = token.waiting_limit is not None and token.holding >= token.waiting_limit  # type: ignore[attr-defined]
        held = breaker.hold_of(token) != Hold.NONE
        return held, poor, full, token.ahead, pacing.seconds_to_turn(token)  # type: ignore[attr-defined]

    return sorted(tokens, key=rank)


def _holding(prefix: str = "") -> Q:
    """The orders that count against a token's waiting limit. One that has been uncertain for a while hardly holds a
    place; should it do so all the same, the upstream says no, and nothing is lost."""
    recent = timezone.now() - timedelta(seconds=DOUBTFUL_SECONDS)
    doubtful = Q(**{f"{prefix}status": Status.UNCONFIRMED, f"{prefix}attempt_at__gt": recent})
    return Q(**{f"{prefix}status__in": [Status.PLACING, Status.WAITING]}) | doubtful


def queue_of(token_id: int) -> QuerySet[Rental]:
    """The token's queue in the order in which it is served: each person's first order, then each one's second, and so
    on; among equals the person who was served longest ago, then who ordered first."""
    served = Max("person__rentals__attempt_at", filter=Q(person__rentals__token=token_id))
    return (
        Rental.objects.filter(token=token_id, status=Status.QUEUED)
        .annotate(
            turn=Window(RowNumber(), partition_by=F("person"), order_by=[F("queued_at").asc(), F("pk").asc()]),
            served=served,
        )
        .order_by("turn", F("served").asc(nulls_first=True), "queued_at", "pk")
    )


def place_in_queue(rental: Rental) -> tuple[int, int]:
    """Return the order's place from 1, and the likely seconds until its turn. (0, 0) where it is not queued."""
    places = places_in_queue(rental.token)
    return places.get(rental.pk, (0, 0))


def places_in_queue(token: Token) -> dict[int, tuple[int, int]]:
    """Return place and likely seconds of each queued order of the token, by rental id. One query."""
    first, gap = pacing.seconds_to_turn(token), pacing.gap_seconds()
    return {
        pk: (place, round(first + (place - 1) * gap))
        for place, pk in enumerate(queue_of(token.pk).values_list("pk", flat=True), 1)
    }


def due_tokens() -> list[int]:
    """The tokens that have an order to place now, or one to give up."""
    due = _due() | Q(keep_trying_until__lte=timezone.now())
    return list(Rental.objects.filter(due, status=Status.QUEUED).order_by().values_list("token", flat=True).distinct())


def _due() -> Q:
    return Q(due_at=None) | clock.is_due("due_at", within=max(OUT_OF_STOCK_PAUSES))


def place_next(token_id: int) -> None:
    """Place the order whose turn it is, if there is one and the token has its turn.

    May run any number of times, anywhere, at once: the turn and the order are claimed in one transaction, committed
    before the request leaves. Whoever gets a request on its way wakes a worker for the next turn.
    """
    token = Token.objects.filter(pk=token_id).first()
    if token is None:
        return
    _give_up_overdue(token)
    if breaker.hold_of(token) != Hold.NONE:
        _move_on(token)
    elif breaker.is_well(token) and (claimed := _claim(token)):
        _ask(token, *claimed)


def _claim(token: Token) -> tuple[Rental, float] | None:
    """Claim the token's turn for the next order in the queue. None: no turn, no order, or no waiting place."""
    with transaction.atomic():
        rental = queue_of(token.pk).select_related("service", "person", "again_of").filter(_due()).first()
        if rental is None:
            return None
        if passed := budgets.why_not_placed(rental):
            lifecycle.refuse(rental, reason=passed)
            enqueue.place(token.pk)  # the next one's turn
            return None
        turn = pacing.claim_turn(token)
        if turn is None:
            return None
        # The token's row is locked from here on, so the places are counted by one worker at a time.
        holding = Rental.objects.filter(_holding(), token=token).count()
        full = token.waiting_limit is not None and holding >= token.waiting_limit
        if full or not lifecycle.start_attempt(rental):
            transaction.set_rollback(True)
            return None
    return rental, turn


def _ask(token: Token, rental: Rental, turn: float) -> None:
    """Ask the upstream for the number of a claimed order, and write down what came of it."""

    def may_leave() -> bool:
        # We may have stood still, or the way there may have been slow, until another worker had the turn.
        nonlocal turn
        kept = pacing.keep_turn(token, turn)
        turn = kept or turn
        return kept is not None

    def left() -> None:
        with contextlib.suppress(DatabaseError):  # the answer is worth more
            pacing.keep_turn(token, turn)
        enqueue.place(token.pk, in_seconds=pacing.gap_seconds())

    try:
        with thuesim.around_sending(may_leave, left):
            rented = _request(client_for(token), rental)
    except thuesim.KeptBack as fault:
        lifecycle.requeue(rental, reason=reasons.of(fault), due_at=timezone.now())
    except thuesim.OutcomeUnknown as fault:
        lifecycle.unconfirm(rental, reason=reasons.of(fault), detail=fault.message)
        breaker.failed(token, fault)
        enqueue.settle(token.pk, in_seconds=1)
    except thuesim.NotRented as fault:
        _not_rented(token, rental, fault)
    else:
        _rented(token, rental, rented)


def _request(client: thuesim.Client, rental: Rental) -> thuesim.Rented:
    if rental.again_of is not None:
        return client.rent_again(
            phone=rental.again_of.phone,
            service_id=rental.service.upstream_id,
            earlier_id=rental.again_of.upstream_id,
            sv=rental.service.sv,
        )
    return client.rent(
        rental.service.key,
        networks=rental.networks,
        prefixes=rental.prefixes,
        exclude_prefixes=rental.exclude_prefixes,
    )


def _rented(token: Token, rental: Rental, rented: thuesim.Rented) -> None:
    now = timezone.now()
    try:
        taken = lifecycle.number_taken(rental, rented, at=now)
    except lifecycle.DuplicateNumber:
        # The id of another order: a reply that was not meant for this one. The history will tell.
        taken = False
        lifecycle.unconfirm(rental, reason=reasons.GIBBERISH, detail=rented.message)
    if not taken:
        enqueue.settle(token.pk, in_seconds=1)
        return
    fields: dict[str, object] = {}
    if rented.balance is not None:
        fields |= {"balance": rented.balance, "balance_at": now}
    if rented.created_at is not None:
        fields["clock_skew"] = (rented.created_at - now).total_seconds()
    if fields:
        Token.objects.filter(pk=token.pk).update(**fields)
        token.announce()
    breaker.answered(token)
    polling.number_known(rental)


def _not_rented(token: Token, rental: Rental, fault: thuesim.NotRented) -> None:
    """Surely no number: try again in turn, move to another token, or tell the person."""
    now = timezone.now()
    reason = reasons.of(fault)
    if fault.blames_upstream:
        breaker.failed(token, fault)
    else:
        breaker.answered(token)
    if isinstance(fault, thuesim.TooSoon):
        pacing.restamp(token)
        lifecycle.requeue(rental, reason=reason, detail=fault.message, due_at=now)
        return
    if isinstance(fault, thuesim.PendingLimitReached):
        if fault.limit is not None:
            Token.objects.filter(pk=token.pk).update(waiting_limit=fault.limit)
        breaker.put_on_hold(token, Hold.LIMIT, seconds=breaker.LIMIT_SECONDS, detail=fault.message)
        lifecycle.requeue(rental, reason=reason, detail=fault.message, due_at=now)
        _move_on(token)
        return
    token_is_at_fault = isinstance(fault, thuesim.InvalidToken | thuesim.InsufficientBalance)
    if token_is_at_fault and _another(rental, token) is not None:
        lifecycle.requeue(rental, reason=reason, detail=fault.message, due_at=now)
        _to_another(rental, token)
        return
    worth_trying = isinstance(
        fault, thuesim.OutOfStock | thuesim.InsufficientBalance | thuesim.InvalidToken | thuesim.CannotConnect
    )
    if worth_trying and rental.keep_trying_until is not None and rental.keep_trying_until > now:
        pause = OUT_OF_STOCK_PAUSES[min(rental.attempts, len(OUT_OF_STOCK_PAUSES)) - 1]
        due = min(now + timedelta(seconds=pause), rental.keep_trying_until)
        lifecycle.requeue(rental, reason=reason, detail=fault.message, due_at=due)
        return
    lifecycle.refuse(rental, reason=reason, detail=fault.message)


def _another(rental: Rental, token: Token) -> Token | None:
    """A token of the team that may serve the order in the place of `token`, which has never refused it."""
    if rental.token_pinned:
        return None
    tried = rental.events.filter(kind="asked").values_list("detail__token", flat=True)
    others = best_tokens(rental.team, price=rental.service.price or 0, without=[token.pk, *tried])
    return next((other for other in others if breaker.hold_of(other) == Hold.NONE), None)


def _to_another(rental: Rental, token: Token) -> bool:
    other = _another(rental, token)
    if other is None or not lifecycle.move_to_token(rental, other):
        return False
    enqueue.place(other.pk)
    return True


def _move_on(token: Token) -> None:
    """A token that takes no orders: its queue goes to the team's other tokens. What cannot go waits, or, where the
    upstream refuses the token itself, is refused with that reason."""
    for rental in queue_of(token.pk).select_related("service", "team"):
        if _to_another(rental, token):
            continue
        if breaker.hold_of(token) == Hold.INVALID and rental.keep_trying_until is None:
            lifecycle.refuse(rental, reason=reasons.INVALID_TOKEN, detail=token.hold_detail)


def _give_up_overdue(token: Token) -> None:
    overdue = Rental.objects.filter(token=token, status=Status.QUEUED, keep_trying_until__lte=timezone.now())
    for rental in overdue.select_related("service"):
        last = rental.reason
        reason = reasons.GAVE_UP if last in {"", reasons.OUT_OF_STOCK} else last
        lifecycle.refuse(rental, reason=reason, detail=rental.reason_detail)


def sweep(*, now: datetime | None = None) -> list[int]:
    """Turn what dead workers left behind to `unconfirmed`. Returns the tokens concerned."""
    now = now or timezone.now()
    longest = timedelta(seconds=settings.THUESIM_TIMEOUT_SECONDS + 5)
    # An attempt further in the future than any call lasts was written before the clock was set back.
    dead = Q(attempt_at__lt=now - longest) | Q(attempt_at__gt=now + longest)
    return [
        rental.token_id
        for rental in Rental.objects.filter(dead, status=Status.PLACING)
        if lifecycle.unconfirm(rental, reason=reasons.WORKER_DIED)
    ]
