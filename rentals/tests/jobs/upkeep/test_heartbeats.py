"""The heartbeats of workers and beat."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from types import SimpleNamespace
from unittest.mock import Mock, patch

import pytest
import time_machine
from celery import signals
from django.db import OperationalError, connection
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from rentals.jobs.upkeep import heartbeats
from rentals.models import Heartbeat
from thuesim_site.testing import wait_until

# A heartbeat closes the connection of its thread.
pytestmark = pytest.mark.django_db(transaction=True)


def test_a_worker_has_one_row_that_grows_younger() -> None:
    pulse = heartbeats.Pulse(Heartbeat.Kind.WORKER, "worker@here/1", "slow")
    pulse.write()
    with time_machine.travel(timezone.now() + timedelta(seconds=10)):
        pulse.worked()
        pulse.write()
        row = Heartbeat.objects.get()
        assert timezone.now() - row.at < timedelta(seconds=2)
        assert row.worked_at is not None


def test_a_heartbeat_is_one_statement_once_its_process_has_run_a_while(
    monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    pulse = heartbeats.Pulse(Heartbeat.Kind.WORKER, "worker@here/1")
    pulse.write()
    monkeypatch.setattr(pulse, "_began", pulse._began - 2 * heartbeats.STALE_SECONDS)
    with django_assert_num_queries(1):
        pulse.write()
    Heartbeat.objects.all().delete()
    pulse.write()
    assert Heartbeat.objects.get().kind == "worker"


def test_a_process_takes_the_place_of_the_one_before_it() -> None:
    long_ago = timezone.now() - timedelta(minutes=5)
    for name in ("worker@here/1", "worker@there/1"):
        Heartbeat.objects.create(kind="worker", name=name, started_at=long_ago, at=long_ago)
    heartbeats.Pulse(Heartbeat.Kind.WORKER, "worker@here/2").write()
    assert set(Heartbeat.objects.values_list("name", flat=True)) == {"worker@here/2", "worker@there/1"}


def test_a_beat_that_sends_nothing_writes_no_heartbeat() -> None:
    pulse = heartbeats.Pulse(Heartbeat.Kind.BEAT, "beat@here/1")
    pulse.write()
    assert not Heartbeat.objects.exists()
    pulse.worked()
    pulse.write()
    Heartbeat.objects.all().delete()
    pulse.write()
    assert not Heartbeat.objects.exists()


def test_a_process_that_ends_is_not_missed() -> None:
    pulse = heartbeats.Pulse(Heartbeat.Kind.WORKER, "worker@here/1")
    pulse.write()
    pulse.end()
    assert not Heartbeat.objects.exists()


def test_a_worker_whose_threads_are_shut_down_stops_in_silence() -> None:
    pulse, pool = heartbeats.Pulse(Heartbeat.Kind.WORKER, "worker@here/1"), ThreadPoolExecutor(1)
    with patch.object(heartbeats, "INTERVAL_SECONDS", 0.01), patch.object(threading, "excepthook") as unhandled:
        pulse.start(pool.submit)
        pool.shutdown()
        wait_until(lambda: not any(thread.name == "pulse" for thread in threading.enumerate()), "its thread ends")
    unhandled.assert_not_called()


def test_a_database_that_is_away_ends_nothing() -> None:
    pulse = heartbeats.Pulse(Heartbeat.Kind.WORKER, "worker@here/1")
    with patch.object(connection, "cursor", side_effect=OperationalError):
        pulse.write()


def test_a_ready_worker_writes_its_heartbeat_on_its_own_threads() -> None:
    queues = SimpleNamespace(consume_from={"slow": None, "ticks": None})
    app = SimpleNamespace(amqp=SimpleNamespace(queues=queues))
    pool = SimpleNamespace(apply_async=lambda write: write())
    consumer = Mock(hostname="slow@here", app=app, pool=pool)
    signals.worker_ready.send(sender=consumer)
    row = Heartbeat.objects.get()
    assert row.name.startswith("slow@here/")
    assert row.queues == "slow, ticks"
    signals.worker_shutdown.send(sender="test", sig="TERM", how="warm", exitcode=0)
    assert not Heartbeat.objects.exists()


def test_old_heartbeats_are_deleted() -> None:
    old = timezone.now() - timedelta(days=2)
    Heartbeat.objects.create(kind="worker", name="w", started_at=old, at=old)
    heartbeats.delete_old()
    assert not Heartbeat.objects.exists()
