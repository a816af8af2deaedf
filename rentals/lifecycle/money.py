"""The ledger's lines about rentals that come after the rental's charge: refunds, prices learned later, and what that means
for the balances read before. All amounts are whole đồng.

The token's row is held meanwhile, as by a balance reading: `refund` and `explain` rely on their caller for it.
"""

from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from accounts.models import User
from rentals import outbox
from rentals.models import (
    BalanceQuestion,
    BalanceReading,
    EventKind,
    LedgerEntry,
    OutgoingEvent,
    Rental,
    RentalEvent,
    Token,
)

# A reply may give a balance that is so old.
MAX_LAG = timedelta(seconds=30)


def hold_token(token_id: int) -> Token:
    """Lock the token's row until the transaction ends, and return it. Where a rental is locked as well, it comes after."""
    return Token.objects.select_for_update(no_key=True, of=("self",)).get(pk=token_id)


@transaction.atomic
def refund(rental: Rental, reading: BalanceReading, *, question: BalanceQuestion | None = None) -> bool:
    """Book that a rental's price was refunded, as `reading` shows. False where it has been booked already."""
    if not rental.price:
        return False
    person = question.person if question else None
    try:
        with transaction.atomic():
            explain(
                LedgerEntry(
                    token_id=reading.token_id,
                    rental=rental,
                    kind=LedgerEntry.Kind.REFUND,
                    amount=rental.price,
                    person=person,
                    question=question,
                ),
                reading,
            )
    except IntegrityError:
        return False
    _write(rental, EventKind.REFUNDED, person=person, price=rental.price)
    outbox.about_rental(rental, OutgoingEvent.REFUNDED)
    return True


def explain(entry: LedgerEntry, reading: BalanceReading) -> LedgerEntry:
    """Write a line for money that `reading` was the first one to show; it and the later ones then expect it."""
    entry.reading, entry.at = reading, reading.at
    entry.save(force_insert=True)
    expect_from(reading, entry.amount)
    return entry


def expect_from(reading: BalanceReading, amount: int) -> None:
    """Add `amount` to what `reading` and the later readings of its token expect."""
    later = BalanceReading.objects.filter(token=reading.token_id, pk__gte=reading.pk, expected__isnull=False)
    later.update(expected=F("expected") + amount)


@transaction.atomic
def take_back(entry: LedgerEntry, *, person: User, note: str) -> bool:
    """Book the opposite of a wrong line; what it explained is a question again. False where it is taken back already."""
    hold_token(entry.token_id)
    if not LedgerEntry.objects.filter(pk=entry.pk, taken_back=False).update(taken_back=True):
        return False
    LedgerEntry.objects.create(
        token_id=entry.token_id,
        rental=entry.rental,
        kind=LedgerEntry.Kind.CORRECTION,
        amount=-entry.amount,
        at=timezone.now(),
        note=note,
        person=person,
        takes_back=entry,
    )
    if entry.rental is not None and entry.kind == LedgerEntry.Kind.REFUND:
        _write(entry.rental, EventKind.REFUND_TAKEN_BACK, person=person, price=entry.amount)
    if entry.reading is None:
        put_into_readings(entry.token_id, -entry.amount, since=entry.at, until=entry.at)
        return True
    expect_from(entry.reading, -entry.amount)
    asked = entry.question
    BalanceQuestion.objects.create(
        token_id=entry.token_id,
        reading=entry.reading,
        since=asked.since if asked else _reading_before(entry.reading),
        until=entry.reading.at,
        amount=entry.amount,
        reopened=True,
    )
    return True


def _reading_before(reading: BalanceReading) -> datetime:
    before = BalanceReading.objects.filter(token=reading.token_id, pk__lt=reading.pk, expected__isnull=False)
    return before.values_list("at", flat=True).first() or reading.at


@transaction.atomic
def correct_price(rental: Rental, price: int, *, by: str) -> bool:
    """Correct what a number cost, where the reply to the order had no price. False where the price is right already.

    `by` tells how it is known: "history" or "balance".
    """
    hold_token(rental.token_id)
    before = rental.price or 0
    changed = Rental.objects.filter(pk=rental.pk, price=rental.price).exclude(price=price).update(price=price)
    if not changed:
        return False
    rental.price = price
    LedgerEntry.objects.create(
        token_id=rental.token_id,
        rental=rental,
        kind=LedgerEntry.Kind.CORRECTION,
        amount=before - price,
        at=rental.placed_at or timezone.now(),
    )
    _write(rental, EventKind.PRICE, before=before, price=price, by=by)
    if rental.placed_at is not None:
        since = min(rental.attempt_at or rental.placed_at, rental.placed_at)
        put_into_readings(rental.token_id, before - price, since=since, until=rental.placed_at)
    return True


def put_into_readings(token_id: int, amount: int, *, since: datetime, until: datetime) -> None:
    """Correct what a token's readings expect, for money that moved earlier and is booked only now.

    Readings from `until` on include the money. One between `since` and `until` may lack it, so it is compared with nothing
    any more. Open questions from these readings are dropped; the balance is explained anew from there.
    """
    hold_token(token_id)
    readings = BalanceReading.objects.filter(token=token_id, at__gte=since, expected__isnull=False)
    first = readings.order_by("pk").values_list("pk", flat=True).first()
    if first is None:
        return
    readings.filter(at__lt=until).update(expected=None)
    readings.filter(at__gte=until).update(expected=F("expected") + amount)
    BalanceQuestion.objects.filter(token=token_id, answered_at=None, reopened=False, reading__gte=first).delete()
    earlier = BalanceReading.objects.filter(token=token_id, pk__lt=first, expected__isnull=False, steady=True)
    explained = earlier.order_by("-pk").values_list("pk", flat=True).first()
    Token.objects.filter(pk=token_id, explained_reading__gte=first).update(explained_reading=explained)


def _write(rental: Rental, kind: EventKind, *, person: User | None = None, **detail: Any) -> None:
    RentalEvent.objects.create(
        rental=rental, at=timezone.now(), kind=kind, after=rental.status, person=person, detail=detail
    )
    rental.announce()
