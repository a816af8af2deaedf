"""Mirror the upstream's networks and services, with every change of a price kept.

What the upstream no longer lists becomes inactive, never deleted: rentals point to it. An empty list takes nothing
away; for a list that shrank by more than half see `_believed_gone`.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

import thuesim
from rentals.jobs import service_twins
from rentals.models import Network, Service, ServicePrice, Token
from rentals.models.catalog import in_order, searchable
from rentals.upstream import breaker
from rentals.upstream.client import client_for
from thuesim import limits

# The most seconds that a price may be old, but for the 15 s between two ticks.
SYNC_SECONDS = 60
# How long a list that lost more than half is doubted.
DOUBT = timedelta(hours=1)
# `seen_at` of a list that stays the same is written once in so long.
SEEN_EVERY = timedelta(minutes=5)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Synced:
    """What a sync saw: how many networks and services are offered now, and how many prices are new or changed."""

    networks: int
    services: int
    prices: int


def sync_catalog(token: Token) -> Synced:
    """Ask the upstream for both lists and bring ours up to date. May run anywhere, at once with itself.

    A failure of one list does not keep the other from being taken; raises `ThueSimError` afterwards.
    """
    client = client_for(token)
    error: thuesim.ThueSimError | None = None
    networks = services = prices = 0
    try:
        with breaker.reporting(token):
            listed_networks = client.networks()
        networks = take_networks(listed_networks)
    except thuesim.ThueSimError as raised:
        error = raised
    try:
        services, prices = sync_services(token)
    except thuesim.ThueSimError as raised:
        error = error or raised
    if error is not None:
        raise error
    return Synced(networks, services, prices)


def sync_services(token: Token) -> tuple[int, int]:
    """Ask the upstream for the services and their prices alone, by one call. Returns the same as `take_services`.

    Raises `ThueSimError`.
    """
    with breaker.reporting(token):
        listed = client_for(token).services()
    taken = take_services(listed)
    service_twins.move_to_offered()
    return taken


def take_networks(listed: Sequence[thuesim.Network]) -> int:
    """Take the upstream's list (API page, section 1). At most seven queries, and one where it has nothing new. Returns
    how many networks it names.

    A network is known by its name in whatever case; its name is what an order sends, so the upstream's spelling counts.
    """
    now = timezone.now()
    by_name = {network.name.casefold(): network for network in reversed(listed)}
    if not by_name:
        return 0
    active = {row.name: row for row in Network.objects.filter(active=True)}
    listed_ids = {network.name: network.id for network in by_name.values()}
    if {name: row.upstream_id for name, row in active.items()} != listed_ids or not _seen_lately(active.values(), now):
        _write_networks(by_name, now)
    return len(by_name)


@transaction.atomic
def _write_networks(by_name: Mapping[str, thuesim.Network], now: datetime) -> None:
    old_names = {name.casefold() for name in Network.objects.values_list("name", flat=True)}
    Network.objects.bulk_create(
        [Network(name=by_name[key].name, seen_at=now) for key in sorted(by_name.keys() - old_names)],
        ignore_conflicts=True,
    )
    rows = list(Network.objects.select_for_update(no_key=True).order_by("pk"))
    names = {row.name for row in rows}
    listed_names: set[str] = set()
    changed: list[Network] = []
    for row in rows:
        key = row.name.casefold()
        if key not in by_name or key in listed_names:
            continue
        listed_names.add(key)
        spelled = by_name[key].name
        fresh = (row.name if spelled in names else spelled, by_name[key].id)
        if fresh != (row.name, row.upstream_id):
            row.name, row.upstream_id = fresh
            changed.append(row)
    Network.objects.bulk_update(changed, ["name", "upstream_id"])
    listed_rows = [row for row in rows if row.name.casefold() in listed_names]
    Network.objects.filter(pk__in=[row.pk for row in listed_rows]).update(active=True, seen_at=now)
    gone = _believed_gone(rows, listed_rows, now)
    Network.objects.filter(pk__in=gone).update(active=False)


def take_services(listed: Sequence[thuesim.Service]) -> tuple[int, int]:
    """Take the upstream's list (API page, section 2). At most ten queries for a hundred rows, in batches for more, and
    one where it has nothing new: then nothing is written or locked.

    Returns how many services it names, and how many prices are new or changed. An odd price is taken as it is (the
    client has noted it); without one, the last price stays.
    """
    now = timezone.now()
    by_id = {(service.sv, service.id): service for service in reversed(listed) if _fits(service)}
    if not by_id:
        return 0, 0
    active = {(row.sv, row.upstream_id): row for row in Service.objects.filter(active=True)}
    same = active.keys() == by_id.keys() and not any(_refresh(row, by_id[key]) for key, row in active.items())
    if same and _seen_lately(active.values(), now):
        return len(by_id), 0
    return _write_services(by_id, now)


@transaction.atomic
def _write_services(by_id: Mapping[tuple[str, str], thuesim.Service], now: datetime) -> tuple[int, int]:
    old_ids = set(Service.objects.values_list("sv", "upstream_id"))
    # In one order in every process, so that two syncs at once wait for each other instead of locking up.
    added = Service.objects.bulk_create(
        [_new(by_id[key], now) for key in sorted(by_id.keys() - old_ids)], ignore_conflicts=True
    )
    # Locked from here on: a second sync sees the prices of the first, and adds no second line to the price history.
    rows = list(Service.objects.select_for_update(no_key=True).order_by("pk"))
    priced = set(ServicePrice.objects.values_list("service", flat=True).distinct()) if added else None
    listed_rows: list[Service] = []
    changed: list[Service] = []
    prices: list[ServicePrice] = []
    for row in rows:
        service = by_id.get((row.sv, row.upstream_id))
        if service is None:
            continue
        listed_rows.append(row)
        before = row.price
        if _refresh(row, service):
            changed.append(row)
        if row.price is not None and (row.price != before or (priced is not None and row.pk not in priced)):
            prices.append(ServicePrice(service=row, price=row.price, since=now))
    Service.objects.bulk_update(changed, ["name", "search_name", "sort_name", "price", "seconds"])
    ServicePrice.objects.bulk_create(prices)
    Service.objects.filter(pk__in=[row.pk for row in listed_rows]).update(active=True, seen_at=now)
    gone = _believed_gone(rows, listed_rows, now)
    Service.objects.filter(pk__in=gone).update(active=False)
    return len(listed_rows), len(prices)


@transaction.atomic
def price_rose(service: Service, price: int) -> bool:
    """Take a price in đồng that the upstream charged, where it is above the one known. False where it is not."""
    row = Service.objects.select_for_update(no_key=True).get(pk=service.pk)
    if row.price is not None and price <= row.price:
        return False
    row.price = price
    row.save(update_fields=["price"])
    ServicePrice.objects.create(service=row, price=price, since=timezone.now())
    return True


def _seen_lately(rows: Iterable[Network | Service], now: datetime) -> bool:
    """Whether no row's `seen_at` is to be written yet. The rows of a list are written together, since `_believed_gone`
    compares their times."""
    return all(row.seen_at is not None and abs(now - row.seen_at) < SEEN_EVERY for row in rows)


def _fits(service: thuesim.Service) -> bool:
    """Whether the columns hold its ids whole; cut short, they would rent something else."""
    return len(service.sv) <= limits.MAX_ID_LENGTH and 0 < len(service.id) <= limits.MAX_ID_LENGTH


def _new(service: thuesim.Service, now: datetime) -> Service:
    row = Service(sv=service.sv, upstream_id=service.id, seen_at=now)
    _refresh(row, service)
    return row


def _refresh(row: Service, service: thuesim.Service) -> bool:
    """Take over what the upstream says. Returns whether something changed."""
    name = (service.name or row.name or service.key)[: limits.MAX_NAME_LENGTH]
    price = service.price if service.price is not None and 0 <= service.price <= limits.MAX_PRICE else row.price
    search_name = searchable(name)
    fresh = (name, search_name, in_order(search_name), price, service.seconds)
    if fresh == (row.name, row.search_name, row.sort_name, row.price, row.seconds):
        return False
    row.name, row.search_name, row.sort_name, row.price, row.seconds = fresh
    return True


def _believed_gone(rows: Sequence[Network | Service], listed: Sequence[Network | Service], now: datetime) -> list[int]:
    """Return the keys of the active rows that the upstream has withdrawn, as far as its list can be believed.

    `listed` are those of `rows` that the list names; what is new in it has `now` as its `seen_at`. The rule: a list that
    lost at most half is believed at once. One that lost more is more likely a broken reply: a row goes only when it was
    missing from the list before, too, and has not been seen for an hour.
    """
    listed_keys = {row.pk for row in listed}
    missing = [row for row in rows if row.active and row.pk not in listed_keys]
    offered_before = sum(row.active and row.seen_at != now for row in rows)
    if len(missing) <= offered_before / 2:
        return [row.pk for row in missing]
    logger.warning("%d of %d are missing from the upstream's list: still offered for now", len(missing), offered_before)
    last_list_at = max((row.seen_at for row in rows if row.seen_at and row.seen_at != now), default=now)
    return [row.pk for row in missing if row.seen_at and row.seen_at < last_list_at and row.seen_at <= now - DOUBT]
