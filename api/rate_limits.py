"""How many requests one key may send a minute. Counted in the web process: nothing is written for a request."""

import math
import threading
import time
from collections import OrderedDict
from typing import NamedTuple

PER_MINUTE = 1200
# A wait is answered at once where its event is there already, and else held: a loop of waits is the right use.
WAITS_PER_MINUTE = 6000
_MAX_KEYS = 10_000
_SECONDS = 60.0


class Usage(NamedTuple):
    """What a key has used of the current minute. `seconds` is how long that lasts still, rounded up."""

    limit: int
    used: int
    seconds: int

    @property
    def is_exceeded(self) -> bool:
        return self.used > self.limit

    @property
    def headers(self) -> dict[str, str]:
        """The headers that tell it."""
        usual = {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(max(0, self.limit - self.used)),
            "RateLimit-Reset": str(self.seconds),
        }
        return {**usual, "Retry-After": str(self.seconds)} if self.is_exceeded else usual


class Counter:
    """Counts by key in whole minutes, which begin with the key's first request."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: OrderedDict[tuple[int, int], tuple[float, int]] = OrderedDict()

    def count(self, key_id: int, limit: int, requests: int = 1) -> Usage:
        """Count requests of a key, 0 to see what it has used. Those with different limits are counted apart."""
        now = time.monotonic()
        with self._lock:
            began, used = self._counts.pop((key_id, limit), (now, 0))
            if now - began >= _SECONDS:
                began, used = now, 0
            self._counts[key_id, limit] = (began, used + requests)
            if len(self._counts) > _MAX_KEYS:
                self._counts.popitem(last=False)
        return Usage(limit, used + requests, max(1, math.ceil(began + _SECONDS - now)))

    def forget(self) -> None:
        """Count from zero."""
        with self._lock:
            self._counts.clear()


counter = Counter()
