"""Place orders in turn, and write down what each answer of the upstream means for the order."""

import contextlib
from datetime import datetime, timedelta

from django.conf import settings
from django.db import DatabaseError, transaction
from django.db.models import Q
from django.utils import timezone

import thuesim
from lib import clock, log_lines
from rentals import budgets, enqueue, lifecycle
from rentals.jobs import balances, callbacks, catalog
from rentals.lifecycle import machine_clock, reasons
from rentals.models import EventKind, Hold, Rental, Status, Token
from rentals.queries.queue import best_tokens, holding_a_place, queue_of
from rentals.upstream import breaker, pacing
from rentals.upstream.client import client_for

# Seconds between the attempts of an order that keeps trying: after the first, after the second, and so on.
RETRY_PAUSES = (5, 10, 15, 20, 30)
# Seconds until an order whose price could not be read is tried again.
UNREAD_PAUSE = 5
# Refusals that say something about the token alone.
ANOTHER_TOKEN_MAY_SERVE = (thuesim.InvalidToken, thuesim.InsufficientBalance)
# Refusals worth another attempt, if the person asked to keep trying.
MAY_GET_BETTER = (
    thuesim.OutOfStock,
    thuesim.InsufficientBalance,
    thuesim.InvalidToken,
    thuesim.CannotConnect,
)
# What a number may cost, in đồng (API page, "Rules for all calls"); outside, something else moved the balance.
MIN_PRICE, MAX_PRICE = 50, 100_000


def due_tokens() -> list[int]:
    """Return the tokens that have an order to place now, or one to give up."""
    due = _due() | Q(keep_trying_until__lte=timezone.now())
    return list(Rental.objects.filter(due, status=Status.QUEUED).order_by().values_list("token", flat=True).distinct())


def _due() -> Q:
    return Q(due_at=None) | Q(due_at__lte=timezone.now())


def place_next(token_id: int) -> None:
    """Place the order whose turn it is, if there is one and the token has its turn.

    May run any number of times, anywhere, at once: the turn and the order are claimed in one transaction, committed
    before the request leaves. The worker whose request has left wakes one for the next turn.
    """
    token = Token.objects.filter(pk=token_id).first()
    if token is None:
        return
    _give_up_overdue(token)
    if breaker.hold_of(token) != Hold.NONE:
        _move_on(token)
    elif breaker.is_well(token) and (claimed := _claim_within_limit(token)):
        with log_lines.about(rental=claimed[0].pk):
            _ask(token, *claimed)


class _PriceUnread(Exception):
    """The order has a limit, and the price may have changed since the catalog was read."""

    def __init__(self, rental: Rental) -> None:
        self.rental = rental


def _claim_within_limit(token: Token) -> tuple[Rental, float] | None:
    """Claim as `_claim`. An order with a limit has the prices read first: what costs more is not ordered.

    The order is not due meanwhile, nor for a while after a failure: the others get their turn.
    """
    try:
        return _claim(token)
    except _PriceUnread as unread:
        order = Rental.objects.filter(pk=unread.rental.pk, status=Status.QUEUED, token=token)
        pause = timezone.now() + timedelta(seconds=UNREAD_PAUSE)
        if not order.filter(due_at=unread.rental.due_at).update(due_at=pause):
            return None  # another worker reads them
    try:
        catalog.sync_services(token)
    except thuesim.ThueSimError:
        enqueue.place(token.pk)  # the next one's turn
        return None
    order.update(due_at=timezone.now())
    return _claim(token, prices_read=True)


def _claim(token: Token, *, prices_read: bool = False) -> tuple[Rental, float] | None:
    """Claim the token's turn for the next order in the queue. None: no turn, no order, or no waiting place.

    Raises `_PriceUnread` without having changed anything.
    """
    with transaction.atomic():
        # Few orders have an earlier rental, which is as wide as the order: it is read where there is one.
        rental = queue_of(token.pk).select_related("service", "team", "person", "api_key").filter(_due()).first()
        if rental is None:
            return None
        if reason := budgets.why_not_placed(rental):
            is_price = reason in {reasons.PRICE_ROSE, reasons.TEAM_PRICE}
            end = lifecycle.refuse_for_price if is_price else lifecycle.refuse
            end(rental, reason=reason)
            enqueue.place(token.pk)  # the next one's turn
            return None
        turn = pacing.claim_turn(token)
        if turn is None:
            return None
        # The token's row is locked from here on, so the places are counted by one worker at a time.
        holding = Rental.objects.filter(holding_a_place(), token=token).count()
        full = token.waiting_limit is not None and holding >= token.waiting_limit
        if not full and not prices_read and _has_limit(rental):
            raise _PriceUnread(rental)
        if full or not lifecycle.start_attempt(rental):
            transaction.set_rollback(True)
            return None
    return rental, turn


def _has_limit(rental: Rental) -> bool:
    """Whether the number may cost so much and no more, by the order or by its team."""
    return rental.max_price is not None or rental.team.max_price is not None


class _Turn:
    """The token's turn while the request of one order is on its way.

    `balance` and `state` are what `balances` says of the token's money without this order. They are read while ThueSim makes
    its answer: the order keeps the ledger from moving as long as it is under way.
    """

    def __init__(self, token: Token, rental: Rental, turn: float) -> None:
        self._token, self._rental, self._turn = token, rental, turn
        self.balance: int | None = None
        self.state: tuple[int, int] | None = None

    def keep(self) -> bool:
        """Count the gap from now. False: this worker stood still, or connecting took so long, that another one has
        taken the turn."""
        kept = pacing.keep_turn(self._token, self._turn)
        self._turn = kept or self._turn
        return kept is not None

    def sent(self) -> None:
        """Count the gap from now, wake a worker for the next turn, and read what the token's money is."""
        with contextlib.suppress(DatabaseError):  # the answer to the request is worth more
            pacing.keep_turn(self._token, self._turn)
        enqueue.place(self._token.pk, in_seconds=pacing.gap_seconds())
        with contextlib.suppress(DatabaseError):
            self.balance = balances.balance_before_order(self._token)
            self.state = balances.state_before_order(self._token, self._rental)


def _ask(token: Token, rental: Rental, turn: float) -> None:
    """Ask the upstream for the number of a claimed order, and write down what came of it."""
    sending = _Turn(token, rental, turn)
    # Not `breaker.reporting`: the order is written first, since no failed write of the breaker's may lose a paid number.
    try:
        rented = _request(client_for(token), rental, sending)
    except thuesim.KeptBack as error:
        lifecycle.requeue(rental, reason=reasons.of(error), due_at=timezone.now())
    except thuesim.OutcomeUnknown as error:
        lifecycle.unconfirm(rental, reason=reasons.of(error), detail=error.message)
        breaker.failed(token, error)
        enqueue.reconcile(token.pk, in_seconds=1)
    except thuesim.NotRented as error:
        _not_rented(token, rental, error)
    else:
        _rented(token, rental, rented)
        if rented.balance is not None and rental.status == Status.WAITING:
            if rented.price is not None:
                balances.keep_reply(token, rental, rented.balance, sending.state)
            elif sending.balance is not None:
                _learn_price(rental, sending.balance - rented.balance)
        price = rented.price or 0
        if price > (rental.service.price or 0) and catalog.price_rose(rental.service, price):
            # Told from the list, which knows whether it costs that much from now on.
            enqueue.sync_catalog(token.pk)


def _learn_price(rental: Rental, cost: int) -> None:
    """Take what the balance says a number cost, where the reply has no price. The history may put it right again."""
    if MIN_PRICE <= cost <= MAX_PRICE and cost != rental.price:
        lifecycle.correct_price(rental, cost, by="balance")


def _request(client: thuesim.Client, rental: Rental, turn: _Turn) -> thuesim.Rented:
    if rental.again_of is not None:
        return client.rent_again(
            phone=rental.again_of.phone,
            service_id=rental.service.upstream_id,
            earlier_id=rental.again_of.upstream_id,
            sv=rental.service.sv,
            before_send=turn.keep,
            after_send=turn.sent,
        )
    return client.rent(
        rental.service.key,
        networks=rental.networks,
        prefixes=rental.prefixes,
        exclude_prefixes=rental.exclude_prefixes,
        before_send=turn.keep,
        after_send=turn.sent,
    )


def _rented(token: Token, rental: Rental, rented: thuesim.Rented) -> None:
    now = timezone.now()
    try:
        taken = lifecycle.number_taken(rental, rented, at=now)
    except lifecycle.DuplicateNumber:
        # The id of another order: a reply that was not meant for this one. The history settles it.
        taken = False
        lifecycle.unconfirm(rental, reason=reasons.GIBBERISH, detail=rented.message)
    if not taken:
        enqueue.reconcile(token.pk, in_seconds=1)
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
    callbacks.number_known(rental)


def _not_rented(token: Token, rental: Rental, error: thuesim.NotRented) -> None:
    """Surely no number: try again in turn, move to another token, or tell the person."""
    if error.blames_upstream:
        breaker.failed(token, error)
    else:
        breaker.answered(token)
    if isinstance(error, thuesim.TooSoon):
        pacing.restamp(token)
        _requeue(rental, error)
    elif isinstance(error, thuesim.PendingLimitReached):
        _learn_limit(token, error)
        _requeue(rental, error)
        _move_on(token)
    elif isinstance(error, ANOTHER_TOKEN_MAY_SERVE) and (other := _another(rental, token)) is not None:
        _requeue(rental, error)
        _move_to(rental, other)
    elif isinstance(error, MAY_GET_BETTER) and _keeps_trying(rental):
        _requeue(rental, error, after_seconds=_pause(rental))
    else:
        lifecycle.refuse(rental, reason=reasons.of(error), detail=error.message)


def _requeue(rental: Rental, error: thuesim.NotRented, *, after_seconds: float = 0) -> None:
    """Put the order back into the queue, to be tried after so long, but not past the end of its trying."""
    due_at = timezone.now() + timedelta(seconds=after_seconds)
    if rental.keep_trying_until is not None:
        due_at = min(due_at, rental.keep_trying_until)
    lifecycle.requeue(rental, reason=reasons.of(error), detail=error.message, due_at=due_at)


def _keeps_trying(rental: Rental) -> bool:
    if rental.keep_trying_until is None:
        return False
    return rental.keep_trying_until > timezone.now() or not machine_clock.is_followed()


def _pause(rental: Rental) -> int:
    """Return the seconds before the next attempt: longer after each, up to the last of `RETRY_PAUSES`."""
    return RETRY_PAUSES[min(rental.attempts, len(RETRY_PAUSES)) - 1]


def _learn_limit(token: Token, error: thuesim.PendingLimitReached) -> None:
    """Keep the waiting limit that the upstream names, and give the token no order for a while."""
    if error.limit is not None:
        Token.objects.filter(pk=token.pk).update(waiting_limit=error.limit)
    breaker.put_on_hold(token, Hold.LIMIT, seconds=breaker.LIMIT_SECONDS, detail=error.message)


def _another(rental: Rental, token: Token) -> Token | None:
    """Return a token of the team that may serve the order in the place of `token` and was never asked for it."""
    if rental.token_pinned:
        return None
    tried = rental.events.filter(kind=EventKind.ASKED).values_list("detail__token", flat=True)
    others = best_tokens(rental.team, price=rental.service.price or 0, without=[token.pk, *tried])
    return next((other for other in others if breaker.hold_of(other) == Hold.NONE), None)


def _move_to(rental: Rental, other: Token) -> bool:
    """Let another token serve the order, and wake a worker for it. False where the order has left the queue."""
    if not lifecycle.move_to_token(rental, other):
        return False
    enqueue.place(other.pk)
    return True


def _move_on(token: Token) -> None:
    """Hand the queue of a token that takes no orders to the team's other tokens. What cannot go waits; where the
    upstream refuses the token itself, it is refused with that reason."""
    for rental in queue_of(token.pk).select_related("service", "team"):
        other = _another(rental, token)
        if other is not None and _move_to(rental, other):
            continue
        if breaker.hold_of(token) == Hold.INVALID and rental.keep_trying_until is None:
            lifecycle.refuse(rental, reason=reasons.INVALID_TOKEN, detail=token.hold_detail)


def _give_up_overdue(token: Token) -> None:
    overdue = Rental.objects.filter(token=token, status=Status.QUEUED, keep_trying_until__lte=timezone.now())
    rentals = list(overdue.select_related("service"))
    if rentals and not machine_clock.is_followed():
        return
    for rental in rentals:
        reason = reasons.GAVE_UP if rental.reason in {"", reasons.OUT_OF_STOCK} else rental.reason
        lifecycle.refuse(rental, reason=reason, detail=rental.reason_detail)


def sweep(*, now: datetime | None = None) -> list[int]:
    """Turn the attempts of dead workers to `unconfirmed`. Returns the tokens concerned."""
    attempts = Rental.objects.filter(status=Status.PLACING)
    if not attempts.exists() or not machine_clock.is_followed():
        return []
    now = now or timezone.now()
    longest = timedelta(seconds=settings.THUESIM_TIMEOUT_SECONDS + 5)
    # An attempt further in the future than any call lasts was written before the clock was set back.
    ours = Q(attempt_at__lt=now - longest) | Q(attempt_at__gt=now + longest)
    theirs = Q(attempt_at__lt=clock.database_now(plus=-longest))
    elsewhere = machine_clock.of_another_machine()
    dead = (elsewhere & theirs) | (~elsewhere & ours)
    return [
        rental.token_id for rental in attempts.filter(dead) if lifecycle.unconfirm(rental, reason=reasons.WORKER_DIED)
    ]
