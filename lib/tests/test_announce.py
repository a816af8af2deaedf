"""Announcements go out after the commit, hold ids alone, and never break or delay the caller."""

import json
import logging
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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
        assert self.subscription.get_message(timeout=60)

    def next(self, seconds: float = 60) -> dict[str, object] | None:
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


class Attempts:
    """What the process sends to Redis: with which time-outs, and how often."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.options: dict[str, Any] = {}
        self.messages: list[object] = []
        connect, publish = redis.Redis.from_url, redis.Redis.publish

        def from_url(url: str, **options: Any) -> redis.Redis:
            self.options = options
            return connect(url, **options)

        def counted(client: redis.Redis, channel: Any, message: Any, **options: Any) -> Any:
            self.messages.append(message)
            return publish(client, channel, message, **options)

        monkeypatch.setattr(redis.Redis, "from_url", from_url)
        monkeypatch.setattr(redis.Redis, "publish", counted)


@pytest.fixture
def attempts(monkeypatch: pytest.MonkeyPatch) -> Attempts:
    return Attempts(monkeypatch)


def test_redis_that_is_away_is_logged_once_and_only_the_first_caller_tries_it(
    settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture, attempts: Attempts
) -> None:
    settings.REDIS_URL = f"unix://{tmp_path}/none.sock"
    with caplog.at_level(logging.WARNING, "lib.announce"):
        for _ in range(1000):
            announce.rental(5, team=3)
    assert len(attempts.messages) == 1
    assert len(caplog.records) == 1


def test_redis_that_hangs_costs_one_short_wait(settings: Settings, tmp_path: Path, attempts: Attempts) -> None:
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(tmp_path / "deaf.sock"))
        deaf.listen()  # and never answers
        settings.REDIS_URL = f"unix://{tmp_path}/deaf.sock"
        for _ in range(100):
            announce.rental(5, team=3)
    assert len(attempts.messages) == 1
    assert attempts.options["socket_timeout"] <= 0.5
    assert attempts.options["socket_connect_timeout"] <= 0.5


def test_when_redis_is_back_every_screen_is_told_to_read_again(real_redis: RedisServer) -> None:
    real_redis.stop()
    announce.rental(5, team=3)
    real_redis.start()
    listener = Listener(real_redis.url)
    wait_until(lambda: listener.next(1) == {"refresh": True}, "the refresh is published")
    listener.subscription.close()
    listener.client.close()
