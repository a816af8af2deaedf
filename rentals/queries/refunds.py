"""Which rentals may have been refunded when, and which of them make up an amount. All amounts are whole đồng.

The upstream announces no refund: the price of an expired rental comes back by itself within some ten minutes (API page,
"What there is not"), and only the balance shows it.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from django.db.models import F, Q

from lib.time_zones import desk_day
from rentals.models import EventKind, LedgerEntry, Rental, Status, Token

# From the expiry: the upstream's ten minutes, and as many again for its clock, a slow one and our noticing.
REFUND_WINDOW = timedelta(minutes=20)
# An expiry may be noticed here a little later than it happened.
NOTICED = timedelta(minutes=2)
# Its message may have come after the refund.
RAN_OUT = Q(status=Status.EXPIRED) | Q(events__kind=EventKind.EXPIRED) | Q(received_at__gte=F("expires_at"))
# Past so many rentals, or so many different sums, the search gives up.
MAX_CANDIDATES = 200
MAX_SUMS = 20_000


def refundable(token: Token, *, since: datetime) -> list[Rental]:
    """Return the rentals that may have been refunded at `since` or later and has not, the oldest first; at most
    `MAX_CANDIDATES` and one.

    A rental whose message came after its expiry is among them: ThueSim may have refunded it before.
    """
    late = Q(ended_at__gte=since - REFUND_WINDOW) | Q(expires_at__gte=since - REFUND_WINDOW)
    return list(
        Rental.objects.filter(RAN_OUT, late, token=token, status__in=[Status.EXPIRED, Status.RECEIVED])
        .filter(price__gt=0, ledger__kind=LedgerEntry.Kind.RENT)
        # A refund that was taken back is not booked by itself again.
        .exclude(ledger__kind=LedgerEntry.Kind.REFUND)
        .select_related("service", "person")
        .order_by("expires_at", "pk")
        .distinct()[: MAX_CANDIDATES + 1]
    )


def window(rental: Rental) -> tuple[datetime, datetime]:
    """Return from when until when the refund of a rental that ran out may come."""
    moments = [at for at in (rental.expires_at, rental.ended_at) if at is not None]
    return min(moments) - NOTICED, max(moments) + REFUND_WINDOW


def sets_of(rentals: Sequence[Rental], total: int) -> list[list[Rental]]:
    """Return the sets of `rentals` whose prices add up to `total`: [] if there is none, two of them if there are several.

    Of twins, which differ in nothing that money is counted by, the older ones are taken. Raises `TooManySums`.
    """
    if len(rentals) > MAX_CANDIDATES:
        raise TooManySums
    ways: dict[int, list[tuple[Rental, ...]]] = {0: [()]}
    for _key, group in groupby(sorted(rentals, key=_sort_key), key=twin_key):
        twins = tuple(group)
        price = twins[0].price or 0
        more: dict[int, list[tuple[Rental, ...]]] = {}
        for amount, sets in ways.items():
            for count in range(1, len(twins) + 1):
                if (reached := amount + count * price) > total:
                    break
                more.setdefault(reached, []).extend((*chosen, *twins[:count]) for chosen in sets)
        for amount, sets in more.items():
            ways[amount] = [*ways.get(amount, []), *sets][:2]
        if len(ways) > MAX_SUMS:
            raise TooManySums
    return [list(chosen) for chosen in ways.get(total, [])]


class TooManySums(Exception):
    """There are too many candidates for an exact search."""


def twin_key(rental: Rental) -> tuple[Any, ...]:
    """Return what a rental's money is counted by: price, service, team, person, purpose, day, and whether it was ours."""
    day = desk_day(rental.placed_at) if rental.placed_at else None
    whose = (rental.team_id, rental.person_id or 0, rental.imported)
    return (rental.price, rental.service_id, *whose, rental.purpose, str(day))


def _sort_key(rental: Rental) -> tuple[Any, ...]:
    return (*twin_key(rental), window(rental)[0], rental.pk)


def may_refund_between(rentals: Iterable[Rental], since: datetime, until: datetime) -> list[Rental]:
    """Return those whose refund may come between `since` and `until`."""
    return [rental for rental in rentals if window(rental)[0] <= until and window(rental)[1] >= since]
