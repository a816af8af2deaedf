"""Announcing: after the commit, ids alone, and never at the cost of the one who announces."""

import json
import logging
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from django.db import transaction
from pytest_django import Settings

from lib import announce
from lib.announce import CHANNEL
from thuesim_site.testing import RedisServer, wait_until

pytestmark = pytest.mark.django_db(transaction=True)


class Listener:
    """Hears what is published."""

    def __init__(self, url: str) -> None:
        self.client = redis.Redis.from_url(url)
        self.subscription = self.client.pubsub()  # type: ignore[no-untyped-call]
        self.subscription.subscribe(CHANNEL)
        assert self.subscription.get_message(timeout=5)

    def next(self, seconds: float = 5) -> dict[str, object] | None:
        message = self.subscription.get_message(timeout=seconds)
        return json.loads(message["data"]) if message else None


@pytest.fixture
def listener(real_redis: RedisServer) -> Iterator[Listener]:
    listener = Listener(real_redis.url)
    yield listener
    listener.subscription.close()
    listener.client.close()


def test_what_is_said_names_ids_and_nothing_else(listener: Listener) -> None:
    announce.rental(5, team=3)
    announce.team(3, "tokens")
    announce.person(7)
    assert listener.next() == {"rental": 5, "team": 3}
    assert listener.next() == {"team": 3, "event": "tokens"}
    assert listener.next() == {"person": 7}


def test_nothing_is_said_before_the_commit_nor_after_a_rollback(listener: Listener) -> None:
    with transaction.atomic():
        announce.rental(5, team=3)
        assert listener.next(0.2) is None
    assert listener.next() is not None
    with transaction.atomic():
        announce.rental(5, team=3)
        transaction.set_rollback(True)
    assert listener.next(0.2) is None


def test_redis_that_is_away_is_told_of_once_and_delays_nobody(
    settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings.REDIS_URL = f"unix://{tmp_path}/none.sock"
    began = time.monotonic()
    with caplog.at_level(logging.WARNING, "lib.announce"):
        for _ in range(1000):
            announce.rental(5, team=3)
    assert time.monotonic() - began < 2
    assert len(caplog.records) == 1


def test_redis_that_hangs_costs_one_short_wait(settings: Settings, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(tmp_path / "deaf.sock"))
        deaf.listen()  # and never answers
        settings.REDIS_URL = f"unix://{tmp_path}/deaf.sock"
        began = time.monotonic()
        for _ in range(100):
            announce.rental(5, team=3)
        assert time.monotonic() - began < 3


def test_when_redis_is_back_every_screen_is_told_to_read_again(real_redis: RedisServer) -> None:
    real_redis.stop()
    announce.rental(5, team=3)
    real_redis.start()
    listener = Listener(real_redis.url)
    wait_until(lambda: listener.next(1) == {"refresh": True}, "the refresh is published")
    listener.subscription.close()
    listener.client.close()
