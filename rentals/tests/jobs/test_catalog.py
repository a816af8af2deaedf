"""The catalog mirrors the upstream's, keeps every price, and survives bad replies."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
import time_machine
from django.db import connections
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

import thuesim
from rentals import tasks
from rentals.jobs import catalog, service_twins
from rentals.models import ContractDrift, Network, Service, ServicePrice, Token
from rentals.tests.factories import make_token
from rentals.upstream import drift
from rentals.upstream.client import client_for
from sandbox.server import Sandbox
from thuesim.limits import MAX_ID_LENGTH

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def empty_catalog(db: None) -> Iterator[None]:
    Network.objects.all().delete()
    drift.forget()
    yield
    drift.forget()


def network(name: str, id: str = "") -> thuesim.Network:
    return thuesim.Network(id=id, name=name)


def service(id: str = "97", price: int | None = 1450, *, sv: str = "02", name: str = "", seconds: int = 300) -> Any:
    return thuesim.Service(sv=sv, id=id, name=name or f"Dịch vụ {id}", price=price, seconds=seconds)


def many(count: int, price: int = 1000) -> list[thuesim.Service]:
    return [service(str(n), price) for n in range(count)]


def offered() -> set[str]:
    return {row.key for row in Service.objects.filter(active=True)}


def offered_networks() -> set[str]:
    return set(Network.objects.filter(active=True).values_list("name", flat=True))


# From the upstream


@pytest.fixture
def token(upstream: Sandbox) -> Token:
    return make_token(value=upstream.token)


def test_the_first_sync_brings_networks_services_and_prices(token: Token) -> None:
    synced = catalog.sync_catalog(token)
    assert offered_networks() == {"MOBIFONE", "VINAPHONE", "VIETTEL", "VIETNAMOBILE", "ITELECOM"}
    row = Service.objects.get(sv="02", upstream_id="97")
    assert (row.name, row.price, row.seconds, row.active) == ("DV KHÁC (TEST)", 1450, 300, True)
    assert [price.price for price in row.prices.all()] == [1450]
    assert (synced.networks, synced.services, synced.prices) == (
        5,
        Service.objects.count(),
        Service.objects.exclude(price=None).count(),
    )


def test_a_second_sync_changes_nothing(token: Token) -> None:
    catalog.sync_catalog(token)
    before = list(Service.objects.values("pk", "name", "price", "active"))
    assert catalog.sync_catalog(token).prices == 0
    assert list(Service.objects.values("pk", "name", "price", "active")) == before


def test_a_sync_that_brings_nothing_new_writes_nothing_and_locks_nothing(
    token: Token, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    catalog.sync_catalog(token)
    with django_assert_num_queries(3) as queries:
        catalog.take_networks(client_for(token).networks())
        catalog.take_services(client_for(token).services())
        service_twins.move_to_offered()
    words = " ".join(query["sql"] for query in queries.captured_queries)
    assert not any(word in words for word in ("UPDATE", "INSERT", "SAVEPOINT"))


@pytest.mark.parametrize(("seconds", "is_due"), [(55, False), (61, True)])
def test_prices_are_read_again_each_minute(
    token: Token, monkeypatch: pytest.MonkeyPatch, seconds: int, is_due: bool
) -> None:
    tasks.sync_catalog(token.pk)
    read: list[Token] = []
    monkeypatch.setattr(catalog, "sync_catalog", read.append)
    with time_machine.travel(timezone.now() + timedelta(seconds=seconds), tick=False):
        tasks.sync_catalogs()
    assert bool(read) is is_due


def test_when_a_list_was_last_seen_is_written_though_it_stays_the_same() -> None:
    with time_machine.travel("2026-11-01T10:00:00Z", tick=False) as clock:
        catalog.take_services(many(3))
        for minute in range(1, 12):
            clock.shift(timedelta(minutes=1))
            catalog.take_services(many(3))
            ages = {timezone.now() - row.seen_at for row in Service.objects.all() if row.seen_at}
            assert ages == {timedelta(minutes=minute % 5)}


def test_a_failing_list_of_networks_does_not_keep_the_services_out(token: Token, upstream: Sandbox) -> None:
    upstream.set_fault("maintenance", endpoint="networks")
    with pytest.raises(thuesim.Gibberish):
        catalog.sync_catalog(token)
    assert Service.objects.filter(active=True).exists()


@pytest.mark.parametrize(
    "fault", ["maintenance", "http-500", "lost-cut", "lost-empty", "reset-before", "invalid-token"]
)
def test_a_failed_reply_takes_nothing_away(token: Token, upstream: Sandbox, fault: str) -> None:
    catalog.sync_catalog(token)
    services, networks = offered(), offered_networks()
    upstream.set_fault(fault)
    with pytest.raises(thuesim.ThueSimError):
        catalog.sync_catalog(token)
    assert (offered(), offered_networks()) == (services, networks)


def test_an_empty_list_takes_nothing_away(token: Token, upstream: Sandbox) -> None:
    catalog.sync_catalog(token)
    services = offered()
    upstream.set_fault("services-empty")
    catalog.sync_catalog(token)
    assert offered() == services


def test_networks_that_nobody_knew_are_added(token: Token, upstream: Sandbox) -> None:
    upstream.set_fault("extra-networks")
    catalog.sync_catalog(token)
    assert offered_networks() > {"MOBIFONE", "VINAPHONE", "VIETTEL", "VIETNAMOBILE", "ITELECOM"}


# Disappearing and coming back


def test_what_disappears_becomes_inactive_and_what_returns_is_offered_again() -> None:
    catalog.take_services(many(10))
    catalog.take_services(many(9))
    assert not Service.objects.get(upstream_id="9").active
    catalog.take_services(many(10))
    assert Service.objects.get(upstream_id="9").active
    assert ServicePrice.objects.filter(service__upstream_id="9").count() == 1


def test_a_network_that_disappears_becomes_inactive() -> None:
    names = ["MOBIFONE", "VINAPHONE", "VIETTEL"]
    catalog.take_networks([network(name) for name in names])
    catalog.take_networks([network(name) for name in names[:2]])
    assert offered_networks() == set(names[:2])


def test_a_list_that_lost_more_than_half_is_believed_only_when_it_stays_so() -> None:
    with time_machine.travel("2026-11-01T10:00:00Z", tick=False) as clock:
        catalog.take_services(many(10))
        for _ in range(5):
            clock.shift(timedelta(minutes=10))
            catalog.take_services(many(2))
            assert len(offered()) == 10
        clock.shift(timedelta(minutes=10))
        catalog.take_services(many(2))
        assert len(offered()) == 2


def test_after_a_long_outage_one_broken_list_is_not_believed() -> None:
    with time_machine.travel("2026-11-01T10:00:00Z", tick=False) as clock:
        catalog.take_services(many(10))
        clock.shift(timedelta(days=2))
        catalog.take_services(many(2))
        assert len(offered()) == 10


def test_a_seeded_network_that_the_upstream_never_listed_stays_unoffered() -> None:
    Network.objects.create(name="GMOBILE", active=False)
    catalog.take_networks([network("VIETTEL")])
    assert offered_networks() == {"VIETTEL"}


# What is taken over


def test_a_price_change_is_kept_with_its_time() -> None:
    with time_machine.travel("2026-11-01T10:00:00Z", tick=False):
        catalog.take_services([service(price=1450)])
    with time_machine.travel("2026-11-02T10:00:00Z", tick=False):
        assert catalog.take_services([service(price=1600)]) == (1, 1)
    row = Service.objects.get()
    assert row.price == 1600
    assert [(price.price, price.since.day) for price in row.prices.all()] == [(1600, 2), (1450, 1)]


@pytest.mark.parametrize("price", [0, 1, 99_999_999])
def test_an_odd_price_is_taken(price: int) -> None:
    catalog.take_services([service(price=price)])
    assert Service.objects.get().price == price


def test_a_reply_with_an_odd_price_is_noted_as_drift(transactional_db: None, upstream: Sandbox) -> None:
    from thuesim.replies import parse_services

    body = b'{"ResponseCode":1,"Data":[{"ID":97,"SV":"02","SERVICE_NAME":"X","PRICE":0,"Time":"300"}]}'
    catalog.take_services(parse_services(body, on_drift=drift.record))
    assert Service.objects.get().price == 0
    assert ContractDrift.objects.get(endpoint="services").form == "a price outside 50 to 100,000 đ"


@pytest.mark.parametrize("price", [None, 10**14])
def test_a_price_that_is_missing_or_cannot_be_kept_leaves_the_last_one(price: int | None) -> None:
    catalog.take_services([service(price=1450)])
    assert catalog.take_services([service(price=price)]) == (1, 0)
    assert Service.objects.get().price == 1450


def test_a_service_without_a_price_gets_its_first_one_later() -> None:
    catalog.take_services([service(price=None)])
    assert not ServicePrice.objects.exists()
    catalog.take_services([service(price=1450)])
    assert ServicePrice.objects.get().price == 1450


def test_the_same_id_on_two_servers_is_two_services() -> None:
    catalog.take_services([service(sv="01"), service(sv="02"), service(sv="")])
    assert offered() == {"01.97", "02.97", "97"}


def test_name_and_waiting_time_follow_the_upstream() -> None:
    catalog.take_services([service(name="Momo", seconds=300)])
    catalog.take_services([service(name="Ví Điện Tử", seconds=600)])
    row = Service.objects.get()
    assert (row.name, row.search_name, row.seconds) == ("Ví Điện Tử", "vi dien tu", 600)


def test_a_service_without_a_name_is_called_by_its_key() -> None:
    catalog.take_services([thuesim.Service(sv="02", id="97", name="", price=1, seconds=300)])
    assert Service.objects.get().name == "02.97"


def test_a_service_whose_id_cannot_be_kept_whole_is_left_out_and_harms_no_other() -> None:
    catalog.take_services([service("9" * (MAX_ID_LENGTH + 1)), service(sv="0" * (MAX_ID_LENGTH + 1)), service("1")])
    assert offered() == {"02.1"}


def test_the_first_of_two_equal_entries_counts() -> None:
    catalog.take_services([service(price=100), service(price=200)])
    catalog.take_networks([network("VIETTEL", "3"), network("viettel", "9")])
    assert Service.objects.get().price == 100
    assert (Network.objects.get().name, Network.objects.get().upstream_id) == ("VIETTEL", "3")


def test_a_network_keeps_its_prefixes_when_the_upstream_spells_it_otherwise() -> None:
    row = Network.objects.create(name="VIETTEL", active=False)
    row.prefixes.create(digits="960")
    catalog.take_networks([network("Viettel")])
    row.refresh_from_db()
    assert (row.name, row.active, row.prefixes.count()) == ("Viettel", True, 1)


def test_two_rows_of_one_name_in_other_cases_break_no_sync() -> None:
    for name in ("Viettel", "VIETTEL"):
        Network.objects.create(name=name)
    assert catalog.take_networks([network("VIETTEL")]) == 1
    assert set(Network.objects.values_list("name", flat=True)) == {"Viettel", "VIETTEL"}


# Bulk, and at the same time


def test_a_sync_takes_few_queries(django_assert_max_num_queries: Any) -> None:
    with django_assert_max_num_queries(10):
        catalog.take_services(many(100))
    with django_assert_max_num_queries(10):
        catalog.take_services(many(100, price=2000))
    with django_assert_max_num_queries(8):
        catalog.take_networks([network(f"N{n}") for n in range(20)])


def test_three_thousand_services_are_taken() -> None:
    assert catalog.take_services(many(3000)) == (3000, 3000)
    assert catalog.take_services(many(3000)) == (3000, 0)


@pytest.mark.django_db(transaction=True)
def test_syncs_at_the_same_time_write_each_price_once() -> None:
    Network.objects.all().delete()
    start = Barrier(4)

    def sync(n: int) -> None:
        try:
            for price in (1000, 2000):
                listed = [service(str(id), price) for id in range(60)]
                start.wait()
                catalog.take_services(listed if n % 2 else listed[::-1])
                catalog.take_networks([network(name) for name in ("A", "B", "C")][:: 1 if n % 2 else -1])
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(sync, range(4)))
    assert Service.objects.count() == 60
    assert ServicePrice.objects.count() == 120
    assert Network.objects.filter(active=True).count() == 3
    assert Service.objects.filter(seen_at__lte=timezone.now(), price=2000).count() == 60
