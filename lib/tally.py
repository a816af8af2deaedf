"""Sums that are counted in memory and written down later, so that counting costs its caller next to nothing."""

import threading
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Set
from contextlib import contextmanager
from typing import Generic, Protocol, Self, TypeVar


class Summable(Protocol):
    def __add__(self, other: Self, /) -> Self: ...


K = TypeVar("K", bound=Hashable)
V = TypeVar("V", bound=Summable)


class Tally(Generic[K, V]):
    """Sums by key, for several threads. One per process; a process that ends loses the sums that were not taken.

    `admit` bounds the memory: it gets a new key and the keys known so far, and returns the key to count under, or None
    to drop the value. With `pause_seconds`, a key that was taken is not due again for that long and stays known
    from then on; without, it is due at once and forgotten with its sum.
    """

    def __init__(self, admit: Callable[[K, Set[K]], K | None], *, pause_seconds: float = 0.0) -> None:
        self._admit = admit
        self._pause_seconds = pause_seconds
        self._lock = threading.Lock()
        self._sums: dict[K, V] = {}
        self._due_at: dict[K, float] = {}

    def add(self, key: K, value: V) -> None:
        """Add `value` to the sum of `key`."""
        with self._lock:
            is_known = key in self._sums or key in self._due_at
            admitted = key if is_known else self._admit(key, self._sums.keys() | self._due_at.keys())
            if admitted is not None:
                self._add(admitted, value)

    def is_due(self) -> bool:
        """Whether there is a sum to take now."""
        with self._lock:
            return any(self._is_due(key, time.monotonic()) for key in self._sums)

    def take(self) -> dict[K, V]:
        """Take the sums that are due out of the tally: they count as written."""
        with self._lock:
            now = time.monotonic()
            taken = {key: value for key, value in self._sums.items() if self._is_due(key, now)}
            for key in taken:
                del self._sums[key]
                if self._pause_seconds:
                    self._due_at[key] = now + self._pause_seconds
            return taken

    def put_back(self, taken: Mapping[K, V]) -> None:
        """Count what was taken and could not be written once more."""
        with self._lock:
            for key, value in taken.items():
                self._add(key, value)

    @contextmanager
    def taken(self) -> Iterator[dict[K, V]]:
        """Take the sums that are due for a block that writes them; where it raises, they are put back."""
        sums = self.take()
        try:
            yield sums
        except BaseException:
            self.put_back(sums)
            raise

    def forget(self) -> None:
        """Drop every sum and every known key."""
        with self._lock:
            self._sums.clear()
            self._due_at.clear()

    def _add(self, key: K, value: V) -> None:
        self._sums[key] = self._sums[key] + value if key in self._sums else value

    def _is_due(self, key: K, now: float) -> bool:
        return self._due_at.get(key, float("-inf")) <= now
