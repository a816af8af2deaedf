"""Read balances, compare them with the ledger, and book the refunds that they show.

The upstream announces no refund: the money of an expired rental comes back by itself within some ten minutes, and only the
balance shows it. All amounts are whole đồng.
"""

from collections.abc import Sequence
from datetime import timedelta

from django.db import IntegrityError, transaction
from django.db.models import F, Q, Sum
from django.utils import timezone

from rentals.models import BalanceReading, EventKind, LedgerEntry, Rental, RentalEvent, Status, Token
from rentals.upstream import breaker
from rentals.upstream.client import client_for

REFUND_WINDOW = timedelta(days=2)
# Among at most so many rentals we look for those whose prices make up a difference.
MAX_CANDIDATES = 80


def read_balance(token: Token) -> BalanceReading:
    """Ask for the token's balance, keep the reading, and book the refunds that it shows.

    Raises `ThueSimError`.
    """
    before = _ledger_state(token)
    with breaker.reporting(token):
        balance = client_for(token).balance().amount
    now = timezone.now()
    changed = balance != token.balance
    token.balance, token.balance_at = balance, now
    with transaction.atomic():
        # The token's row is held, so no order starts and no other reading books between the comparison and the line.
        Token.objects.filter(pk=token.pk).update(balance=balance, balance_at=now)
        expected = None
        if before is not None and before == _ledger_state(token):
            _open_ledger(token, balance)
            _book_refunds(token, _confirmed(token, balance - expected_balance(token)))
            expected = expected_balance(token)
        reading = BalanceReading.objects.create(token=token, at=now, balance=balance, expected=expected)
        if changed:
            token.announce()
    return reading


def _open_ledger(token: Token, balance: int) -> None:
    """Write the ledger's first line, once: the money that was there before our first booking."""
    if not LedgerEntry.objects.filter(token=token, kind=LedgerEntry.Kind.OPENING).exists():
        amount = balance - expected_balance(token)
        LedgerEntry.objects.create(token=token, kind=LedgerEntry.Kind.OPENING, amount=amount, at=timezone.now())


def expected_balance(token: Token) -> int:
    """Return what is on the token according to the ledger, in đồng."""
    return LedgerEntry.objects.filter(token=token).aggregate(sum=Sum("amount"))["sum"] or 0


def _ledger_state(token: Token) -> tuple[int, int] | None:
    """Return the count of the ledger's lines and their sum, which tell whether money moved. None while orders are under
    way: their price may fall on either side of the reading."""
    if Rental.objects.filter(token=token, status__in=[Status.PLACING, Status.UNCONFIRMED]).exists():
        return None
    entries = LedgerEntry.objects.filter(token=token)
    return entries.count(), entries.aggregate(sum=Sum("amount"))["sum"] or 0


def _confirmed(token: Token, difference: int) -> int:
    """Return how much of a difference the reading before showed, too: a reply may give a balance half a minute old."""
    before = token.readings.filter(expected__isnull=False).first()
    return min(difference, before.unexplained or 0) if before else 0


def _book_refunds(token: Token, difference: int) -> None:
    """Book refunds if the prices of some rentals that expired add up to `difference` exactly.

    A rental whose message came after its expiry is among them: ThueSim may have refunded it before.
    """
    if difference <= 0:
        return
    since = timezone.now() - REFUND_WINDOW
    ran_out = Q(status=Status.EXPIRED) | Q(events__kind=EventKind.EXPIRED) | Q(received_at__gte=F("expires_at"))
    candidates = list(
        Rental.objects.filter(ran_out, token=token, status__in=[Status.EXPIRED, Status.RECEIVED], ended_at__gt=since)
        .filter(price__gt=0, ledger__kind=LedgerEntry.Kind.RENT)
        .exclude(ledger__kind=LedgerEntry.Kind.REFUND)
        .order_by("ended_at")
        .distinct()[:MAX_CANDIDATES]
    )
    for rental in subset_of(candidates, difference):
        try:
            with transaction.atomic():
                LedgerEntry.objects.create(
                    token=token,
                    rental=rental,
                    kind=LedgerEntry.Kind.REFUND,
                    amount=rental.price or 0,
                    at=timezone.now(),
                )
                RentalEvent.objects.create(
                    rental=rental,
                    at=timezone.now(),
                    kind=EventKind.REFUNDED,
                    after=rental.status,
                    detail={"price": rental.price},
                )
        except IntegrityError:
            continue  # booked by another reading
        rental.announce()


def subset_of(rentals: Sequence[Rental], total: int) -> list[Rental]:
    """Return rentals whose prices add up to `total`, the oldest if there is a choice; [] if none do."""
    ways: dict[int, tuple[int, ...]] = {0: ()}
    for index, rental in enumerate(rentals):
        price = rental.price or 0
        for amount, chosen in list(ways.items()):
            if amount + price <= total and amount + price not in ways:
                ways[amount + price] = (*chosen, index)
        if total in ways:
            break
    return [rentals[index] for index in ways.get(total, ())]
