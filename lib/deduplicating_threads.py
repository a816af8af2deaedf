"""Threads for work that is harmless to leave out while the same is being done."""

import logging
import threading
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor

from django.db import close_old_connections

logger = logging.getLogger(__name__)


class DeduplicatingThreads:
    """A few threads of a worker process. What is at work, or waits for a thread, is not taken a second time."""

    def __init__(self, threads: int, name: str) -> None:
        self._pool = ThreadPoolExecutor(threads, name)
        self._lock = threading.Lock()
        self._at_work: set[Hashable] = set()

    def submit(self, work: Hashable, do: Callable[[], object]) -> None:
        """Have a thread `do` it, unless `work` is being done. An error is logged."""
        with self._lock:
            if work in self._at_work:
                return
            self._at_work.add(work)
        self._pool.submit(self._run, work, do)

    def _run(self, work: Hashable, do: Callable[[], object]) -> None:
        try:
            close_old_connections()
            do()
        except Exception:
            # The edge of a worker: the work stays due, and is found again.
            logger.exception("%s failed", work)
        finally:
            close_old_connections()
            with self._lock:
                self._at_work.discard(work)
