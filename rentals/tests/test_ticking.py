"""One worker process ticks, another takes over, and work goes on while Redis takes no messages or beat has stopped."""

import time
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
import redis
import time_machine
from celery import signals
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from rentals import enqueue, tasks, ticking
from rentals.enqueue import Wakeup
from rentals.models import Heartbeat, JobName, JobRun
from rentals.task_names import TaskName, TaskQueue
from rentals.ticking import Ticker
from thuesim_site.testing import RedisServer

pytestmark = pytest.mark.django_db
PLACE = Wakeup(TaskName.PLACE, 5, TaskQueue.RENTING, 0)


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ticker]:
    """A worker process that asks Redis at each look; `submitted` has its ticks, and what its threads were given."""
    monkeypatch.setattr(ticking, "PROBE_SECONDS", 0)
    yield worker_process(monkeypatch)
    enqueue.put_instead(None)


def worker_process(monkeypatch: pytest.MonkeyPatch) -> Ticker:
    worker = Ticker()
    as_it_is = worker._tick

    def tick(before: datetime | None) -> None:
        submitted(worker).append((TaskName.TICK,))
        as_it_is(before)

    monkeypatch.setattr(worker, "submitted", [], raising=False)
    monkeypatch.setattr(worker, "_submit", lambda name, *ids: submitted(worker).append((name, *ids)))
    monkeypatch.setattr(worker, "_tick", tick)
    return worker


def submitted(worker: Ticker) -> list[tuple[str | int, ...]]:
    return worker.submitted  # type: ignore[attr-defined, no-any-return]


def ticked(seconds_ago: float) -> None:
    at = timezone.now() - timedelta(seconds=seconds_ago)
    JobRun.objects.update_or_create(name=JobName.TICK, token=None, defaults={"at": at})


def test_it_does_nothing_while_another_process_ticks(worker: Ticker, real_redis: RedisServer) -> None:
    ticked(1)
    assert 2 < worker.look() <= 3
    assert submitted(worker) == []


def test_who_ticked_last_goes_on_and_another_takes_over_when_it_stops(
    worker: Ticker, real_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = worker_process(monkeypatch)
    for seconds_later, ticks in ((0, (1, 0)), (1, (2, 0)), (6, (3, 1)), (7, (3, 2))):
        with time_machine.travel(timezone.now() + timedelta(seconds=seconds_later), tick=False):
            for process in (other, worker) if ticks[1] else (worker, other):
                process.look()
            assert (len(submitted(worker)), len(submitted(other))) == ticks


def test_an_idle_tick_asks_one_question_and_notes_that_it_ran(
    worker: Ticker, real_redis: RedisServer, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    worker.look()  # looks for times that lie too far ahead, which it does every ten seconds
    with django_assert_num_queries(2):  # whether anything is due; that it ran
        worker.look()
    assert len(submitted(worker)) == 2


def test_it_ticks_each_second_while_redis_is_away(worker: Ticker, settings: Settings) -> None:
    settings.REDIS_URL = "unix:///nowhere"
    ticked(5)
    worker.look()
    assert (TaskName.TICK,) in submitted(worker)
    assert (TaskName.UPKEEP,) in submitted(worker)
    worker.look()
    assert submitted(worker).count((TaskName.TICK,)) == 2
    assert submitted(worker).count((TaskName.UPKEEP,)) == 1


def test_what_a_tick_finds_is_done_here_while_redis_is_full(worker: Ticker, real_redis: RedisServer) -> None:
    with redis.Redis.from_url(real_redis.url) as client:
        client.config_set("maxmemory", 1)
        try:
            ticked(5)
            worker.look()
        finally:
            client.config_set("maxmemory", 0)
    enqueue.put(PLACE)
    assert (TaskName.PLACE, 5) in submitted(worker)
    worker.look()  # Redis takes messages again, and this process has read none yet
    submitted(worker).clear()
    enqueue.put(PLACE)
    assert submitted(worker) == [(TaskName.PLACE, 5)]
    worker.message_came()
    worker.look()
    submitted(worker).clear()
    enqueue.put(PLACE)
    assert submitted(worker) == []


def test_after_an_outage_no_message_is_waited_for_longer_than_workers_take_to_connect(
    worker: Ticker, real_redis: RedisServer
) -> None:
    worker._without_redis, worker._away_at = True, time.monotonic() - 30
    worker.look()
    enqueue.put(PLACE)
    assert submitted(worker).count((TaskName.PLACE, 5)) == 1
    worker._away_at -= 6
    worker.look()
    enqueue.put(PLACE)
    assert submitted(worker).count((TaskName.PLACE, 5)) == 1


def test_what_comes_by_a_message_is_noted_and_what_is_called_here_is_not(worker: Ticker) -> None:
    signals.task_prerun.connect(worker.message_came)
    tasks.place(0)
    assert worker._message_at == float("-inf")
    tasks.place.apply(args=(0,))  # as a worker runs it
    assert worker._message_at > 0


@pytest.mark.parametrize("seconds_ago", [5, 60])
def test_a_beat_that_stopped_is_stood_in_for(worker: Ticker, real_redis: RedisServer, seconds_ago: int) -> None:
    at = timezone.now() - timedelta(seconds=seconds_ago)
    Heartbeat.objects.create(kind=Heartbeat.Kind.BEAT, name="beat@here/1", started_at=at, at=at)
    worker._beat_asked_at = float("-inf")
    ticked(5)
    worker.look()
    assert (TaskName.TICK,) in submitted(worker)
    assert ((TaskName.UPKEEP,) in submitted(worker)) is (seconds_ago == 60)


def test_what_sends_wakeups_outlives_a_full_redis(real_redis: RedisServer) -> None:
    with redis.Redis.from_url(real_redis.url) as client:
        client.config_set("maxmemory", 1)
        try:
            enqueue._send(PLACE)
        finally:
            client.config_set("maxmemory", 0)
