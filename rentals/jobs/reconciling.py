"""Reconcile the desk with the upstream's history: settle uncertain orders, and import what was rented elsewhere with our
tokens."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial

from django.conf import settings
from django.db import DatabaseError, DataError, IntegrityError, connection
from django.db.models import Q, QuerySet
from django.utils import timezone

import thuesim
from lib.time_zones import desk_day
from rentals import enqueue, lifecycle
from rentals.jobs import balances, callbacks, outcomes
from rentals.jobs.callback_evidence import settle_by_callback
from rentals.jobs.matching import LEARN_FROM, UpstreamClock, fits, match
from rentals.lifecycle import reasons
from rentals.lifecycle.machine_clock import LATE_EVIDENCE
from rentals.models import EventKind, LedgerEntry, MessageSource, Rental, Service, Status, Token
from rentals.models.catalog import searchable
from rentals.upstream import breaker, drift
from rentals.upstream.client import client_for

# The history may be a while behind: an order is given up as "not taken" only when this long has passed since its call
# could still have arrived, and some readings of the history later.
GIVE_UP_SECONDS = 120
RECONCILE_PAUSES = (2, 3, 5, 10)
# While money is missing that nothing explains, an order is given up only after this long.
MISSING_MONEY_SECONDS = 1800
LIMIT, DEEP_LIMIT = 500, 10_000  # rows of the history asked for
# Rows imported in one transaction. On SQLite nothing else is written meanwhile, not even a callback.
AT_ONCE, AT_ONCE_ON_SQLITE = 1000, 200

logger = logging.getLogger(__name__)

Rows = Sequence[tuple[thuesim.HistoryEntry, Service]]
# Called with how many rows of the history have been taken in, and how many there are.
Progress = Callable[[int, int], None]


def due_tokens() -> list[int]:
    """Return the tokens with an unconfirmed order for which the history is to be read again."""
    return list(
        Rental.objects.filter(status=Status.UNCONFIRMED, due_at__lte=timezone.now())
        .order_by()
        .values_list("token", flat=True)
        .distinct()
    )


def reconcile(token_id: int, *, deep: bool = False, progress: Progress | None = None) -> int:
    """Read the token's history: give unconfirmed orders their numbers, import the numbers of no order, and refuse the
    orders that surely got none. Safe to run at any time, any number of times at once. Returns how many it settled.

    `deep` reads all that the upstream will give, not just the last days. `progress` is called as the import goes on.

    Raises `ThueSimError`.
    """
    token = Token.objects.filter(pk=token_id).first()
    if token is None:
        return 0
    _push_back(token)
    try:
        with breaker.reporting(token):
            if deep:
                entries = client_for(token).history(limit=DEEP_LIMIT)
            else:
                entries = client_for(token).history(limit=LIMIT, since=desk_day() - timedelta(days=2))
    except thuesim.ThueSimError:
        with suppress(thuesim.ThueSimError):
            settle_by_callback(token, _unsettled(token))
        raise
    by_key = {thuesim.rental_key(entry.id): entry for entry in entries}
    known = Rental.objects.filter(token=token, upstream_key__in=list(by_key))
    created = {key: entry.created_at for key, entry in by_key.items()}
    _catch_up(known.filter(status__in=[Status.WAITING, Status.EXPIRED]), by_key)
    for rental in known.filter(phone="").exclude(upstream_key=""):
        lifecycle.phone_learned(rental, by_key[rental.upstream_key].phone)

    _learn_prices(known, by_key)
    for key in known.filter(Q(imported=False) | ~Q(status=Status.WAITING)).values_list("upstream_key", flat=True):
        by_key.pop(key, None)
    if not by_key and not Rental.objects.filter(token=token, status=Status.UNCONFIRMED).exists():
        return 0  # as it mostly is: every entry is known, and no order is in doubt
    upstream_clock = _learn_clock(token, known, created)
    settled = _match(token, by_key, upstream_clock)
    _import_the_rest(token, by_key, upstream_clock, progress)
    return settled + _give_up(token, upstream_clock)


def _learn_clock(token: Token, known: QuerySet[Rental], created: Mapping[str, datetime | None]) -> UpstreamClock:
    ours = known.filter(imported=False, attempt_at__isnull=False).order_by("-attempt_at")[:LEARN_FROM]
    return UpstreamClock(token, _unsettled(token), ours, created)


def _push_back(token: Token) -> None:
    """Set when the history is read next for each unconfirmed order: soon at first."""
    now = timezone.now()
    unconfirmed = Rental.objects.filter(token=token, status=Status.UNCONFIRMED)
    for pk, attempt_at in unconfirmed.values_list("pk", "attempt_at"):
        age = (now - (attempt_at or now)).total_seconds() - settings.THUESIM_TIMEOUT_SECONDS
        pause = RECONCILE_PAUSES[min(max(0, int(age // 10)), len(RECONCILE_PAUSES) - 1)]
        Rental.objects.filter(pk=pk).update(due_at=now + timedelta(seconds=pause))


def _catch_up(rentals: Iterable[Rental], by_key: dict[str, thuesim.HistoryEntry]) -> None:
    """Apply messages that came after the last poll of their number."""
    for rental in rentals:
        entry = by_key[rental.upstream_key]
        if entry.state == thuesim.State.RECEIVED:
            try:
                outcomes.apply(rental, entry.state, entry.message, source=MessageSource.HISTORY)
            except (DataError, IntegrityError) as error:
                _note_refused(entry, error)


def _learn_prices(known: QuerySet[Rental], by_key: dict[str, thuesim.HistoryEntry]) -> None:
    """Take the history's price of the numbers whose reply had none."""
    assumed = Q(events__kind=EventKind.RENTED, **{f"events__detail__{lifecycle.PRICE_ASSUMED}": True})
    for rental in known.filter(assumed, imported=False):
        price = by_key[rental.upstream_key].price
        if price is not None and price > 0 and price != rental.price:
            lifecycle.correct_price(rental, price, by="history")


def _match(token: Token, by_key: dict[str, thuesim.HistoryEntry], upstream_clock: UpstreamClock) -> int:
    """Give orders the entries that are theirs, and take these out of `by_key`."""
    settled = 0
    for rental, entry in match(_unsettled(token), list(by_key.values()), upstream_clock):
        del by_key[thuesim.rental_key(entry.id)]
        if rental.status == Status.PLACING:
            continue  # its own reply is still on its way, with the same number
        rented = thuesim.Rented(
            id=entry.id,
            phone=entry.phone or rental.phone,
            price=entry.price,
            balance=None,
            service_id=entry.service_id,
            service_name=entry.service_name,
            created_at=entry.created_at,
            message="",
        )
        try:
            taken = lifecycle.number_taken(rental, rented, at=upstream_clock.ours(entry.created_at, rental))
        except lifecycle.DuplicateNumber:
            continue
        except (DataError, IntegrityError) as error:
            _note_refused(entry, error)
            continue
        if taken:
            settled += 1
            outcomes.apply(rental, entry.state, entry.message, source=MessageSource.HISTORY)
            callbacks.number_known(rental)
    return settled


def _unsettled(token: Token) -> list[Rental]:
    """Return the orders that a number of the history may belong to: mostly none, which a query without joins finds."""
    uncertain = Q(status__in=[Status.PLACING, Status.UNCONFIRMED]) | Q(status=Status.REFUSED, reason=reasons.NOT_TAKEN)
    recent = Q(attempt_at__gt=timezone.now() - LATE_EVIDENCE)
    return list(Rental.objects.filter(uncertain, recent, token=token).prefetch_related("service", "again_of"))


def _give_up(token: Token, upstream_clock: UpstreamClock) -> int:
    """Refuse the orders that the history, read after `GIVE_UP_SECONDS`, does not show. One whose price is missing from the
    balance stays: something was paid for."""
    given_up = 0
    for rental in Rental.objects.filter(token=token, status=Status.UNCONFIRMED).prefetch_related("service"):
        waited = upstream_clock.seconds_since(rental)
        if waited < settings.THUESIM_TIMEOUT_SECONDS + GIVE_UP_SECONDS:
            continue
        if waited < MISSING_MONEY_SECONDS and _money_is_missing(token, rental):
            continue
        given_up += lifecycle.refuse(rental, reason=reasons.NOT_TAKEN, detail=rental.reason_detail)
    return given_up


def _money_is_missing(token: Token, rental: Rental) -> bool:
    balance = token.balance
    price = rental.service.price
    read_after = token.balance_at is not None and rental.attempt_at is not None and token.balance_at > rental.attempt_at
    return (
        balance is not None
        and price is not None
        and read_after
        and balances.explained_balance(token) - balance >= price
    )


def _import_the_rest(
    token: Token, by_key: dict[str, thuesim.HistoryEntry], upstream_clock: UpstreamClock, progress: Progress | None
) -> None:
    """Import the entries that no order of ours can have made: they were rented elsewhere with this token."""
    team = token.teams.order_by("pk").first()
    if team is None or not by_key:
        return
    in_doubt = token.rentals.filter(status__in=[Status.PLACING, Status.UNCONFIRMED])
    orders = list(in_doubt.prefetch_related("service", "again_of"))
    entries = [entry for entry in by_key.values() if not any(fits(rental, entry, upstream_clock) for rental in orders)]
    rows = list(zip(entries, _services(entries), strict=True))
    opening = token.ledger.filter(kind=LedgerEntry.Kind.OPENING).values_list("at", flat=True).first()
    # By the upstream's clock, as the entries' own times.
    booked_from = opening + timedelta(seconds=token.clock_skew or 0) if opening else None
    imported = 0
    size = AT_ONCE if connection.vendor == "postgresql" else AT_ONCE_ON_SQLITE
    for done in range(0, len(rows), size):
        if progress:
            progress(done, len(rows))
        part = rows[done : done + size]
        imported += _record(part, partial(lifecycle.record_imported, token=token, team=team, booked_from=booked_from))
    if imported:
        enqueue.poll_token(token.pk)


def _record(rows: Rows, record: Callable[[Rows], int]) -> int:
    """Import the rows, in parts where the database refuses one of them. A refused row is noted for an admin and left out."""
    try:
        return record(rows)
    except (DataError, IntegrityError) as error:
        if len(rows) > 1:
            middle = len(rows) // 2
            return _record(rows[:middle], record) + _record(rows[middle:], record)
        _note_refused(rows[0][0], error)
        return 0


def _note_refused(entry: thuesim.HistoryEntry, error: DatabaseError) -> None:
    logger.warning("the database refused row %s of the history: %s", entry.id, type(error).__name__)
    drift.record(thuesim.Drift("history", f"a row that the database refused: {type(error).__name__}", sample=""))


def _services(entries: Sequence[thuesim.HistoryEntry]) -> list[Service]:
    """Return the service of each entry; one that the catalog never had is added as not offered."""
    by_id: dict[str, list[Service]] = {}
    for service in Service.objects.filter(upstream_id__in={e.service_id.rsplit(".", 1)[-1] for e in entries}):
        by_id.setdefault(service.upstream_id, []).append(service)
    services = []
    for entry in entries:
        bare = entry.service_id.rsplit(".", 1)[-1]
        # A row that names no server does not mean the service without one: ThueSim lists services with servers or without.
        sv = entry.id.partition(".")[2] or entry.service_id.rpartition(".")[0] or None
        name = searchable(entry.service_name)
        candidates = by_id.get(bare, [])
        best = max(candidates, key=lambda s: (s.search_name == name, s.sv == sv, s.active), default=None)
        if best is None:
            best, _ = Service.objects.get_or_create(
                sv="",
                upstream_id=bare or "?",
                defaults={
                    "name": entry.service_name or bare or "?",
                    "search_name": name,
                    "active": False,
                },
            )
            by_id.setdefault(bare, []).append(best)
        services.append(best)
    return services
