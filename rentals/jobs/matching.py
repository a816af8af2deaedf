"""Match entries of the upstream's history with orders of ours whose reply was lost.

A token's calls reach the upstream one after the other, seconds apart, so orders and entries have the same sequence, and an
entry is made within moments of its call. The offset of the upstream's clock is learned from the rentals that both sides
know. It is counted against our machine's monotonic clock, so a step of our wall clock changes nothing.
"""

import statistics
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.utils import timezone

import thuesim
from lib import clock
from rentals.lifecycle.importing import TOLERANCE, UNKNOWN_TOLERANCE
from rentals.models import EventKind, Rental, RentalEvent, Service, Token
from rentals.models.catalog import searchable

LEARN_FROM = 40  # rentals


class UpstreamClock:
    """Converts between our time and the upstream's, whose clock may be wrong."""

    def __init__(
        self, token: Token, orders: Collection[Rental], known: Collection[Rental], dates: Mapping[str, datetime | None]
    ) -> None:
        """`dates` has, by the key of the rental, when the upstream says that it was made, for the rentals in `known`."""
        self._skew = None if token.clock_skew is None else timedelta(seconds=token.clock_skew)
        asked = RentalEvent.objects.filter(kind=EventKind.ASKED, rental__in=[*orders, *known]).order_by("pk")
        self.stamps = dict(asked.values_list("rental", "detail"))
        samples: dict[str, list[float]] = {}
        for rental in known:
            made, stamp = dates.get(rental.upstream_key), self.stamps.get(rental.pk, {})
            if made is not None and stamp.get("boot"):
                samples.setdefault(stamp["boot"], []).append(made.timestamp() - stamp["clock"])
        self._offsets = {boot: statistics.median(offsets) for boot, offsets in samples.items()}

    def asked(self, rental: Rental) -> datetime | None:
        """Return when the order's last request left, by the upstream's clock; None if that was not noted."""
        stamp = self.stamps.get(rental.pk, {})
        if stamp.get("boot") in self._offsets:
            return datetime.fromtimestamp(self._offsets[stamp["boot"]] + stamp["clock"], UTC)
        if rental.attempt_at is None:
            return None
        # Not `attempt_at`: if our clock was set since, it was wrong before.
        return timezone.now() - timedelta(seconds=self.seconds_since(rental)) + (self._skew or timedelta(0))

    def seconds_since(self, rental: Rental) -> float:
        """Return how long ago the order's last request left."""
        return clock.seconds_since(self.stamps.get(rental.pk, {}), rental.attempt_at or rental.queued_at)

    def tolerance(self, rental: Rental) -> timedelta:
        """Return how far `asked` may be off."""
        learned = self.stamps.get(rental.pk, {}).get("boot") in self._offsets
        return TOLERANCE if learned or self._skew is not None else UNKNOWN_TOLERANCE

    def ours(self, made: datetime | None, rental: Rental) -> datetime | None:
        """Return when an entry of the upstream was made, by our clock; never in the future."""
        asked = self.asked(rental)
        if made is None or asked is None or rental.attempt_at is None:
            return rental.attempt_at
        age = timedelta(seconds=self.seconds_since(rental)) - (made - asked)
        return timezone.now() - max(timedelta(0), age)


def fits(rental: Rental, entry: thuesim.HistoryEntry, upstream_clock: UpstreamClock) -> bool:
    """Whether an entry may be of this order: same service, made between the attempt and the end of its call, and for a
    number that is rented again the same phone."""
    if not _same_service(rental.service, entry):
        return False
    if rental.again_of is not None and entry.phone not in {"", rental.again_of.phone}:
        return False
    asked = upstream_clock.asked(rental)
    if entry.created_at is None or asked is None:
        return True
    tolerance = upstream_clock.tolerance(rental)
    longest = timedelta(seconds=settings.THUESIM_TIMEOUT_SECONDS)
    return asked - tolerance <= entry.created_at <= asked + longest + 3 * tolerance


def _same_service(service: Service, entry: thuesim.HistoryEntry) -> bool:
    if entry.service_id and entry.service_id.rsplit(".", 1)[-1] == service.upstream_id:
        return True
    return bool(entry.service_name) and searchable(entry.service_name) == service.search_name


def match(
    orders: Sequence[Rental], entries: Sequence[thuesim.HistoryEntry], upstream_clock: UpstreamClock
) -> list[tuple[Rental, thuesim.HistoryEntry]]:
    """Pair as many orders as possible with entries, both in their sequence, with the least difference of times."""
    last = datetime.max.replace(tzinfo=UTC)
    orders = sorted(orders, key=lambda rental: (upstream_clock.asked(rental) or last, rental.pk))
    entries = [entry for entry in entries if any(fits(rental, entry, upstream_clock) for rental in orders)]
    entries.sort(key=lambda entry: (entry.created_at or last, len(entry.id), entry.id))
    # best[i][j] is the best for the first i orders and j rows: how many pairs, minus how badly they agree, which ones.
    nothing: tuple[int, float, tuple[tuple[int, int], ...]] = (0, 0.0, ())
    best = [[nothing] * (len(entries) + 1) for _ in range(len(orders) + 1)]
    for i, rental in enumerate(orders):
        for j, entry in enumerate(entries):
            choices = [best[i][j + 1], best[i + 1][j]]
            if fits(rental, entry, upstream_clock):
                count, agreement, pairs = best[i][j]
                choices.append((count + 1, agreement - _distance(rental, entry, upstream_clock), (*pairs, (i, j))))
            best[i + 1][j + 1] = max(choices, key=lambda choice: choice[:2])
    return [(orders[i], entries[j]) for i, j in best[-1][-1][2]]


def _distance(rental: Rental, entry: thuesim.HistoryEntry, upstream_clock: UpstreamClock) -> float:
    asked = upstream_clock.asked(rental)
    if entry.created_at is None or asked is None:
        return 0.0
    return float((entry.created_at - asked).total_seconds() ** 2)
