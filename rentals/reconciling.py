"""Settle what is uncertain by the upstream's history, and take in what was rented elsewhere with our tokens."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from rentals import clock, health, lifecycle, money, nudge, reasons, thuesim, watching
from rentals.models import LedgerEntry, Rental, Service, Status, Token
from rentals.models.catalog import searchable
from rentals.upstream import client_for

# The history may be a while behind: an order is given up as "not taken" only when this long has passed since its call
# could still have arrived, and some readings of the history later.
SETTLE_SECONDS = 120
SETTLE_PAUSES = (2, 3, 5, 10)
# With money missing that nobody has explained, we look on for so long before an order is given up.
MISSING_MONEY_SECONDS = 1800
# An order given up that recently is still matched with a number that turns up late.
LATE_EVIDENCE = timedelta(hours=24)
# How far the upstream's clock may be off beside what we have learned of it.
CLOCK_TOLERANCE = timedelta(seconds=20)
LIMIT, DEEP_LIMIT = 500, 10_000  # rows of the history asked for
UNKNOWN_CLOCK_TOLERANCE = timedelta(minutes=5)


def due_tokens() -> list[int]:
    """The tokens with an unconfirmed order that wants another look at the history."""
    return list(
        Rental.objects.filter(clock.is_due("due_at", within=max(SETTLE_PAUSES)), status=Status.UNCONFIRMED)
        .order_by()
        .values_list("token", flat=True)
        .distinct()
    )


def settle(token_id: int, *, deep: bool = False) -> int:
    """Read the token's history; give unconfirmed orders the numbers that are theirs, import what is nobody's, and end
    what was surely not taken. Safe to run at any time, any number of times at once. Returns how many orders it settled.

    `deep` reads all that the upstream will give, not just the last days.

    Raises `ThueSimFault`.
    """
    token = Token.objects.filter(pk=token_id).first()
    if token is None:
        return 0
    asked_at = timezone.now()
    _push_back(token, asked_at)
    try:
        if deep:
            entries = client_for(token).history(limit=DEEP_LIMIT)
        else:
            entries = client_for(token).history(limit=LIMIT, since=timezone.localdate() - timedelta(days=2))
    except thuesim.ThueSimFault as fault:
        if health.is_sick(fault):
            health.failed(token, fault)
        raise
    health.answered(token)
    by_key = {thuesim.rental_key(entry.id): entry for entry in entries}
    known = Rental.objects.filter(token=token, upstream_key__in=list(by_key))
    _catch_up(known.filter(status__in=[Status.WAITING, Status.EXPIRED]), by_key)
    for key in known.filter(Q(imported=False) | ~Q(status=Status.WAITING)).values_list("upstream_key", flat=True):
        by_key.pop(key, None)
    settled = _match(token, by_key)
    _import(token, by_key, asked_at)
    return settled + _give_up(token, asked_at)


def _push_back(token: Token, now: datetime) -> None:
    """Say when each unconfirmed order wants the next look: soon at first."""
    for rental in Rental.objects.filter(token=token, status=Status.UNCONFIRMED):
        age = (now - (rental.attempt_at or now)).total_seconds() - settings.THUESIM_TIMEOUT_SECONDS
        pause = SETTLE_PAUSES[min(max(0, int(age // 10)), len(SETTLE_PAUSES) - 1)]
        Rental.objects.filter(pk=rental.pk).update(due_at=now + timedelta(seconds=pause))


def _catch_up(rentals: Iterable[Rental], by_key: dict[str, thuesim.HistoryEntry]) -> None:
    """Messages that came too late for the last look at their number."""
    for rental in rentals:
        entry = by_key[rental.upstream_key]
        if entry.message is not None:
            watching.apply(rental, entry.state, entry.message, source="history")


def _match(token: Token, by_key: dict[str, thuesim.HistoryEntry]) -> int:
    """Give orders the entries that are theirs, in the order in which both were made, and take these out of `by_key`."""
    recent = timezone.now() - LATE_EVIDENCE
    uncertain = (
        Rental.objects.filter(token=token, attempt_at__gt=recent)
        .filter(Q(status=Status.UNCONFIRMED) | Q(status=Status.REFUSED, reason=reasons.NOT_TAKEN))
        .select_related("service", "again_of")
        .order_by("attempt_at")
    )
    settled = 0
    for rental in uncertain:
        fitting = [(key, entry) for key, entry in by_key.items() if fits(rental, entry, token)]
        if not fitting:
            continue
        key, entry = min(fitting, key=lambda pair: (pair[1].created_at or timezone.now(), len(pair[0]), pair[0]))
        rented = thuesim.Rented(
            id=entry.id,
            phone=entry.phone,
            price=entry.price,
            balance=None,
            service_id=entry.service_id,
            service_name=entry.service_name,
            created_at=entry.created_at,
            message="",
        )
        try:
            taken = lifecycle.number_taken(rental, rented, at=_ours(entry.created_at, token) or rental.attempt_at)
        except lifecycle.DuplicateNumber:
            taken = False
        del by_key[key]
        if taken:
            settled += 1
            watching.apply(rental, entry.state, entry.message, source="history")
            watching.number_known(rental)
    return settled


def _ours(time: datetime | None, token: Token) -> datetime | None:
    """Return the upstream's time by our clock, as far as we have learned the difference; never in the future."""
    if time is None:
        return None
    return min(time - timedelta(seconds=token.clock_skew or 0), timezone.now())


def fits(rental: Rental, entry: thuesim.HistoryEntry, token: Token) -> bool:
    """Whether a history entry may be what became of an order: same service, made at or after the attempt and not after
    its call was over, and for a re-rent the same phone."""
    if not _same_service(rental.service, entry):
        return False
    if rental.again_of is not None and entry.phone != rental.again_of.phone:
        return False
    if entry.created_at is None or rental.attempt_at is None:
        return True
    tolerance = CLOCK_TOLERANCE if token.clock_skew is not None else UNKNOWN_CLOCK_TOLERANCE
    made = entry.created_at - timedelta(seconds=token.clock_skew or 0)
    longest = timedelta(seconds=settings.THUESIM_TIMEOUT_SECONDS)
    return rental.attempt_at - tolerance <= made <= rental.attempt_at + longest + 3 * tolerance


def _same_service(service: Service, entry: thuesim.HistoryEntry) -> bool:
    if entry.service_id and entry.service_id.rsplit(".", 1)[-1] == service.upstream_id:
        return True
    return bool(entry.service_name) and searchable(entry.service_name) == service.search_name


def _give_up(token: Token, asked_at: datetime) -> int:
    """End the orders of which the history, read after `SETTLE_SECONDS`, shows nothing. While the balance misses the
    price of one, it stays: something was paid for."""
    latest_end = asked_at - timedelta(seconds=settings.THUESIM_TIMEOUT_SECONDS + SETTLE_SECONDS)
    given_up = 0
    for rental in Rental.objects.filter(token=token, status=Status.UNCONFIRMED, attempt_at__lt=latest_end):
        waited = (asked_at - (rental.attempt_at or asked_at)).total_seconds()
        if waited < MISSING_MONEY_SECONDS and _money_is_missing(token, rental):
            continue
        given_up += lifecycle.refuse(rental, reason=reasons.NOT_TAKEN, detail=rental.reason_detail)
    return given_up


def _money_is_missing(token: Token, rental: Rental) -> bool:
    balance = token.balance
    price = rental.service.price
    read_after = token.balance_at is not None and rental.attempt_at is not None and token.balance_at > rental.attempt_at
    return balance is not None and price is not None and read_after and money.expected_balance(token) - balance >= price


def _import(token: Token, by_key: dict[str, thuesim.HistoryEntry], asked_at: datetime) -> int:
    """Take in what no order of ours can have made."""
    team = token.teams.order_by("pk").first()
    if team is None or not by_key:
        return 0
    pending = list(
        Rental.objects.filter(token=token, status__in=[Status.PLACING, Status.UNCONFIRMED]).select_related(
            "service", "again_of"
        )
    )
    free = [entry for entry in by_key.values() if not any(fits(rental, entry, token) for rental in pending)]
    opening = (
        LedgerEntry.objects.filter(token=token, kind=LedgerEntry.Kind.OPENING).values_list("at", flat=True).first()
    )
    skew = timedelta(seconds=token.clock_skew or 0)
    rows = [(entry, service) for entry, service in zip(free, _services(free), strict=True)]
    count = lifecycle.record_imported(rows, token=token, team=team, booked_from=opening + skew if opening else None)
    if count:
        nudge.watch(token.pk)
    return count


def _services(entries: Sequence[thuesim.HistoryEntry]) -> list[Service]:
    """Return the service of each entry; one that the catalogue never had is added as not offered."""
    by_id: dict[str, list[Service]] = {}
    for service in Service.objects.filter(upstream_id__in={e.service_id.rsplit(".", 1)[-1] for e in entries}):
        by_id.setdefault(service.upstream_id, []).append(service)
    found = []
    for entry in entries:
        bare = entry.service_id.rsplit(".", 1)[-1]
        sv = entry.id.partition(".")[2]
        name = searchable(entry.service_name)
        candidates = by_id.get(bare, [])
        best = max(candidates, key=lambda s: (s.search_name == name, s.sv == sv, s.active), default=None)
        if best is None:
            best, _ = Service.objects.get_or_create(
                sv="",
                upstream_id=bare or "?",
                defaults={
                    "name": entry.service_name[:120] or bare or "?",
                    "search_name": name[:160],
                    "active": False,
                },
            )
            by_id.setdefault(bare, []).append(best)
        found.append(best)
    return found
