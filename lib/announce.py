"""Tell the web processes that something changed, without ever breaking or delaying the caller.

A message in Redis holds ids, never a code, a phone number or a token. The hub of the open screens reads the new state from
the database, and asks `accounts.policy` who may see it.
"""

import json
import logging
import threading
import time
from functools import cache, partial

import redis
from django.conf import settings
from django.db import transaction
from redis.backoff import NoBackoff
from redis.retry import Retry

from lib.redis_access import redis_clients

CHANNEL = "desk:live"
_TIMEOUT_SECONDS = 0.25
_RETRY_SECONDS = 1.0

logger = logging.getLogger(__name__)


def rental(rental_id: int, *, team: int) -> None:
    """Say on commit that a rental of a team changed. Call it inside the transaction of the change; it never raises."""
    _publish_on_commit({"rental": rental_id, "team": team})


def team(team_id: int, what: str) -> None:
    """Say on commit that something else of a team changed: `what` is the event's name on the stream, such as `tokens`."""
    _publish_on_commit({"team": team_id, "event": what})


def handed_over(rental_id: int, *, team: int, person: int) -> None:
    """Tell a person's screens on commit that a rental of their team was handed over, from them or to them."""
    _publish_on_commit({"handed_over": rental_id, "team": team, "person": person})


def person(person_id: int) -> None:
    """Say on commit that a person's rights changed (role, team, sign-out, deactivation): streams check them at once."""
    _publish_on_commit({"person": person_id})


def _publish_on_commit(message: dict[str, int | str]) -> None:
    transaction.on_commit(partial(_publisher().publish, json.dumps(message)), robust=True)


class _Publisher:
    """One per process. While Redis is away, callers do not try it: a thread waits for it to come back and then tells every
    screen to read its board again, which makes up for the lost messages."""

    def __init__(self, url: str) -> None:
        # Retry once: the first attempt may meet a pooled connection that a restarted Redis has dropped.
        retry = Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,))
        self._client = redis_clients.client(
            url, socket_timeout=_TIMEOUT_SECONDS, socket_connect_timeout=_TIMEOUT_SECONDS, retry=retry
        )
        self._lock = threading.Lock()
        self._away = False

    def publish(self, message: str) -> None:
        if self._away:
            return
        try:
            self._client.publish(CHANNEL, message)
        except (redis.RedisError, OSError) as error:
            self._redis_lost(type(error).__name__)

    def _redis_lost(self, error: str) -> None:
        with self._lock:
            if self._away:
                return
            self._away = True
        logger.warning("Redis takes no announcements (%s): screens poll until it is back.", error)
        threading.Thread(target=self._wait_for_redis, name="live-redis", daemon=True).start()

    def _wait_for_redis(self) -> None:
        while True:
            time.sleep(_RETRY_SECONDS)
            try:
                self._client.ping()
                # Callers publish again before the refresh goes out, so that no change falls between the two.
                self._away = False
                self._client.publish(CHANNEL, json.dumps({"refresh": True}))
            except (redis.RedisError, OSError):
                self._away = True
            else:
                logger.info("Redis takes announcements again.")
                return


@cache
def _publisher_for(url: str) -> _Publisher:
    return _Publisher(url)


def _publisher() -> _Publisher:
    return _publisher_for(settings.REDIS_URL)
