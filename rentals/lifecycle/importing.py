"""Rentals that were made elsewhere with our token, written in bulk from ThueSim's history."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

import thuesim
from accounts.models import Team
from rentals.lifecycle import reasons
from rentals.lifecycle.likely_network import likely_network
from rentals.lifecycle.money import MAX_LAG, put_into_readings
from rentals.lifecycle.transitions import fingerprint
from rentals.models import (
    EventKind,
    LedgerEntry,
    Message,
    MessageSource,
    Rental,
    RentalEvent,
    Service,
    Status,
    Token,
    several_codes,
)

# How far the upstream's clock may be off beside what we know of it.
TOLERANCE = timedelta(seconds=20)
UNKNOWN_TOLERANCE = timedelta(minutes=5)
_STATUS = {
    thuesim.State.WAITING: Status.WAITING,
    thuesim.State.RECEIVED: Status.RECEIVED,
    thuesim.State.EXPIRED: Status.EXPIRED,
}


@transaction.atomic
def record_imported(
    rows: Iterable[tuple[thuesim.HistoryEntry, Service]], *, token: Token, team: Team, booked_from: datetime | None
) -> int:
    """Write rentals that were made elsewhere with our token, once each, in bulk. Returns how many were new.

    A rental made after `booked_from`, our first balance reading, is booked in the ledger: its price was still part of
    that balance. Four queries per thousand rows.
    """
    rows = list(rows)
    now = timezone.now()
    keys = [thuesim.rental_key(entry.id) for entry, _ in rows]
    recorded = set(Rental.objects.filter(token=token, upstream_key__in=keys).values_list("upstream_key", flat=True))
    fresh = {}
    for key, (entry, service) in zip(keys, rows, strict=True):
        if key in recorded or key in fresh:
            continue
        made = entry.created_at or now
        status = _STATUS[entry.state]
        fresh[key] = (
            Rental(
                team=team,
                token=token,
                service=service,
                status=status,
                imported=True,
                upstream_id=entry.id,
                upstream_key=key,
                phone=entry.phone,
                network=likely_network(entry.phone),
                price=entry.price,
                upstream_created_at=entry.created_at,
                queued_at=made,
                placed_at=made,
                expires_at=made + timedelta(seconds=service.seconds),
                received_at=made if status == Status.RECEIVED else None,
                ended_at=None if status == Status.WAITING else made,
                due_at=now if status == Status.WAITING else None,
                reason=reasons.NO_CODE if status == Status.EXPIRED else "",
            ),
            entry,
        )
    Rental.objects.bulk_create([rental for rental, _ in fresh.values()], batch_size=1000)
    _write_imported(list(fresh.values()), booked_from=booked_from, now=now)
    return len(fresh)


def _write_imported(
    fresh: list[tuple[Rental, thuesim.HistoryEntry]], *, booked_from: datetime | None, now: datetime
) -> None:
    Message.objects.bulk_create(
        [
            Message(
                rental=rental,
                at=rental.queued_at,
                code=entry.message.code,
                second_code=entry.message.second_code,
                several_codes=several_codes(entry.message.code, entry.message.text),
                text=entry.message.text,
                is_call=entry.message.is_call,
                audio_url=entry.message.audio_url,
                source=MessageSource.HISTORY,
                fingerprint=fingerprint(entry.message),
            )
            for rental, entry in fresh
            if entry.message is not None
        ],
        batch_size=1000,
    )
    RentalEvent.objects.bulk_create(
        [RentalEvent(rental=rental, at=now, kind=EventKind.IMPORTED, after=rental.status) for rental, _ in fresh],
        batch_size=1000,
    )
    _book([rental for rental, _ in fresh if booked_from is not None and rental.queued_at >= booked_from])
    if fresh:
        fresh[-1][0].announce()


def _book(rentals: list[Rental]) -> None:
    """Book what the rentals cost, and let the balances read since they were made know of it."""
    LedgerEntry.objects.bulk_create(
        [
            LedgerEntry(
                token_id=rental.token_id,
                rental=rental,
                kind=LedgerEntry.Kind.RENT,
                amount=-(rental.price or 0),
                at=rental.queued_at,
            )
            for rental in rentals
        ],
        batch_size=1000,
    )
    for rental in rentals:
        skew = rental.token.clock_skew
        made = rental.queued_at - timedelta(seconds=skew or 0)
        near = UNKNOWN_TOLERANCE if skew is None else TOLERANCE
        put_into_readings(rental.token_id, -(rental.price or 0), since=made - near, until=made + near + MAX_LAG)
