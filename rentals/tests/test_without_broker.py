"""Workers find their work by themselves while Redis takes no messages."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
import redis
from django.utils import timezone
from pytest_django import Settings

from rentals import enqueue
from rentals.enqueue import Wakeup
from rentals.models import JobName, JobRun
from rentals.task_names import TaskName, TaskQueue
from rentals.without_broker import WithoutBroker
from thuesim_site.testing import RedisServer

pytestmark = pytest.mark.django_db
PLACE = Wakeup(TaskName.PLACE, 5, TaskQueue.RENTING, 0)


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[WithoutBroker]:
    """A worker process; `submitted` has what its threads were given."""
    worker = WithoutBroker()
    monkeypatch.setattr(worker, "submitted", [], raising=False)
    monkeypatch.setattr(worker, "_submit", lambda name, *ids: worker.submitted.append((name, *ids)))  # type: ignore[attr-defined]
    yield worker
    enqueue.put_instead(None)


def submitted(worker: WithoutBroker) -> list[tuple[str | int, ...]]:
    return worker.submitted  # type: ignore[attr-defined, no-any-return]


def ticked(seconds_ago: float) -> None:
    at = timezone.now() - timedelta(seconds=seconds_ago)
    JobRun.objects.update_or_create(name=JobName.TICK, token=None, defaults={"at": at})


def test_it_does_nothing_while_the_scheduler_runs(worker: WithoutBroker) -> None:
    ticked(1)
    worker.look()
    assert submitted(worker) == []


def test_it_ticks_each_second_while_redis_is_away(worker: WithoutBroker, settings: Settings) -> None:
    settings.REDIS_URL = "unix:///nowhere"
    ticked(5)
    worker.look()
    assert (TaskName.TICK,) in submitted(worker)
    assert (TaskName.READ_BALANCES,) in submitted(worker)
    ticked(1)  # its own tick
    worker._ran_at[TaskName.TICK] -= 1
    worker.look()
    assert submitted(worker).count((TaskName.TICK,)) == 2
    assert submitted(worker).count((TaskName.READ_BALANCES,)) == 1


def test_what_a_tick_finds_is_done_here_while_redis_is_full(worker: WithoutBroker, real_redis: RedisServer) -> None:
    with redis.Redis.from_url(real_redis.url) as client:
        client.config_set("maxmemory", 1)
        try:
            ticked(5)
            worker.look()
        finally:
            client.config_set("maxmemory", 0)
    enqueue.put(PLACE)
    assert (TaskName.PLACE, 5) in submitted(worker)
    worker.look()  # Redis takes messages again
    submitted(worker).clear()
    enqueue.put(PLACE)
    assert submitted(worker) == []


def test_a_beat_that_stopped_is_stood_in_for(worker: WithoutBroker, real_redis: RedisServer) -> None:
    ticked(5)
    worker.look()
    assert (TaskName.TICK,) in submitted(worker)


def test_the_outbox_outlives_a_full_redis(real_redis: RedisServer) -> None:
    with redis.Redis.from_url(real_redis.url) as client:
        client.config_set("maxmemory", 1)
        try:
            enqueue._send(PLACE)
        finally:
            client.config_set("maxmemory", 0)
