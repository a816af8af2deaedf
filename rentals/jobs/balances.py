"""Read balances, and compare them with the ledger. All amounts are whole đồng."""

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Count, Sum
from django.utils import timezone

from rentals import lifecycle, outbox
from rentals.jobs import explaining
from rentals.lifecycle import machine_clock
from rentals.lifecycle.money import MAX_LAG
from rentals.models import BalanceReading, LedgerEntry, Rental, Status, Token
from rentals.queries.refunds import NOTICED, refundable
from rentals.upstream import breaker
from rentals.upstream.client import client_for

# A balance read so long ago may have moved since.
FRESH = timedelta(minutes=2)


def read_balance(token: Token) -> BalanceReading:
    """Ask for the token's balance, keep the reading, and book what the readings so far explain.

    Raises `ThueSimError`.
    """
    before, asked_at = _ledger_state(token), timezone.now()
    with breaker.reporting(token):
        balance = client_for(token).balance().amount
    now = timezone.now()
    earlier_balance = token.balance
    token.balance, token.balance_at = balance, now
    with transaction.atomic():
        # The token's row is held, so no order starts and no other reading books between the comparison and the line.
        lifecycle.hold_token(token.pk)
        Token.objects.filter(pk=token.pk).update(balance=balance, balance_at=now)
        comparable = before is not None and before == _ledger_state(token)
        if comparable:
            _open_ledger(token, balance)
        reading = BalanceReading.objects.create(
            token=token,
            at=now,
            balance=balance,
            expected=expected_balance(token) if comparable else None,
            steady=not _moved_since(token, asked_at),
        )
        if balance != earlier_balance:
            token.announce()
            outbox.balance_changed(token, earlier_balance, balance)
    explaining.explain(token.pk)
    reading.refresh_from_db()
    return reading


def _open_ledger(token: Token, balance: int) -> None:
    """Write the ledger's first line, once: the money that was there before our first booking."""
    if not LedgerEntry.objects.filter(token=token, kind=LedgerEntry.Kind.OPENING).exists():
        amount = balance - expected_balance(token)
        LedgerEntry.objects.create(token=token, kind=LedgerEntry.Kind.OPENING, amount=amount, at=timezone.now())


def expected_balance(token: Token) -> int:
    """Return what is on the token according to the ledger, in đồng."""
    return LedgerEntry.objects.filter(token=token).aggregate(sum=Sum("amount"))["sum"] or 0


def _ledger_state(token: Token, order: Rental | None = None) -> tuple[int, int] | None:
    """Return the count of the ledger's lines and their sum, which tell whether money moved. None while orders are under
    way, but for `order`: their price may fall on either side of the reading."""
    under_way = Rental.objects.filter(token=token, status__in=[Status.PLACING, Status.UNCONFIRMED])
    if under_way.exclude(pk=order.pk if order else 0).exists():
        return None
    entries = LedgerEntry.objects.filter(token=token).aggregate(count=Count("pk"), sum=Sum("amount"))
    return entries["count"], entries["sum"] or 0


def _moved_since(token: Token, asked_at: datetime) -> bool:
    """Whether a number was taken so short a time before that an old balance may lack it, or times tell nothing of it."""
    if machine_clock.set_since(asked_at - MAX_LAG):
        return True
    # One that lies far ahead was written before the clock was set back; a little, by another machine.
    recent = {"at__gt": asked_at - MAX_LAG, "at__lte": timezone.now() + MAX_LAG}
    return LedgerEntry.objects.filter(token=token, kind=LedgerEntry.Kind.RENT, **recent).exists()


def state_before_order(token: Token, order: Rental) -> tuple[int, int] | None:
    """Return what `keep_reply` compares with. Call it before the order's number is booked."""
    return _ledger_state(token, order)


def keep_reply(token: Token, order: Rental, balance: int, before: tuple[int, int] | None) -> None:
    """Store the balance in the reply to an order as a reading: while orders follow each other there is no other steady one.

    The balance includes the order's own charge. If it seems to lack it, the reading is not steady: it explains nothing.
    """
    with transaction.atomic():
        lifecycle.hold_token(token.pk)
        price, after = order.price or 0, _ledger_state(token)
        if before is None or after != (before[0] + 1, before[1] - price):
            return
        if not LedgerEntry.objects.filter(token=token, kind=LedgerEntry.Kind.OPENING).exists():
            return
        expected = after[1]
        steady = balance - expected - _asked(token) != price
        BalanceReading.objects.create(token=token, at=timezone.now(), balance=balance, expected=expected, steady=steady)


def explained_balance(token: Token) -> int:
    """Return what is on the token according to the ledger and to the open questions, in đồng."""
    return expected_balance(token) + _asked(token)


def _asked(token: Token) -> int:
    return token.questions.filter(answered_at=None).aggregate(sum=Sum("amount"))["sum"] or 0


def balance_before_order(token: Token) -> int | None:
    """Return the balance before an order that is under way, in đồng; None where something else may have moved it.

    So the reply's new balance tells what the number cost, where the reply has no price (API page, section 3.1).
    """
    now = timezone.now()
    if not machine_clock.is_followed() or machine_clock.money_is_unclear(now):
        return None
    reading = token.readings.filter(expected__isnull=False, steady=True).first()
    if reading is None or now - reading.at > FRESH or reading.unexplained != _asked(token):
        return None
    under_way = token.rentals.filter(status__in=[Status.PLACING, Status.UNCONFIRMED])
    ran_out = token.rentals.filter(status=Status.WAITING, expires_at__lte=now + NOTICED)
    if under_way.count() > 1 or ran_out.exists() or refundable(token, since=reading.at):
        return None
    return explained_balance(token)
