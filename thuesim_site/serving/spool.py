"""Buffer long responses in temporary files, so that a slow client holds no page thread.

The thread writes a response as fast as Django makes it; the event loop reads the file as fast as the client takes it.
"""

import asyncio
import contextlib
import os
import tempfile
import threading
from collections import Counter
from pathlib import Path

from thuesim_site.serving.asgi_responses import PART_BYTES


class TooMuchUnread(Exception):
    """A client has too many bytes waiting already, so this response is ended."""


class Unread:
    """Counts the bytes in files that each client has still to read. A client without a name has no limit."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._bytes: Counter[str] = Counter()
        self._lock = threading.Lock()

    def check(self, client: str, more: int = 0) -> None:
        """Raise TooMuchUnread where `more` bytes would be too many. A client's only response may have any size."""
        waiting = self._bytes.get(client, 0)
        if client and waiting and waiting + more > self._limit:
            raise TooMuchUnread

    def add(self, client: str, size: int) -> None:
        """Count `size` bytes more, or fewer where it is negative."""
        with self._lock:
            self._bytes[client] += size
            if not self._bytes[client]:
                del self._bytes[client]


class Spool:
    """The temporary file of one response. The thread calls `write` and `finish`, the event loop all else."""

    def __init__(self, folder: Path | None, unread: Unread, client: str, loop: asyncio.AbstractEventLoop) -> None:
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - closed by `close`
        self._unread, self._client, self._loop = unread, client, loop
        self._written = self._read = 0
        self._finished = self._closed = False
        self._error: BaseException | None = None
        self._lock = threading.Lock()
        self._news = asyncio.Event()

    def write(self, part: bytes) -> None:
        """Append a part of the body. Raises TooMuchUnread, and ConnectionResetError where its reader is gone."""
        self._unread.check(self._client, len(part))
        rest = memoryview(part)
        with self._lock:  # or the file could be closed meanwhile, and its number be another file's
            if self._closed:
                raise ConnectionResetError
            while rest:
                count = os.pwrite(self._file.fileno(), rest, self._written)
                self._written, rest = self._written + count, rest[count:]
                self._unread.add(self._client, count)
        self._tell()

    def finish(self, error: BaseException | None = None) -> None:
        """End the response. With an `error`, the reader's next `read` raises it."""
        self._error, self._finished = error, True
        self._tell()

    async def read(self) -> bytes:
        """Return the next part, waiting for it; empty at the end, or where the spool is closed."""
        while not self._closed:
            if self._read < self._written:
                part = os.pread(self._file.fileno(), PART_BYTES, self._read)
                self._read += len(part)
                return part
            if self._finished:
                if self._error is not None:
                    raise self._error
                break
            self._news.clear()
            if self._read == self._written and not self._finished:
                await self._news.wait()
        return b""

    def close(self) -> None:
        """Throw away what was written; a writer is stopped at its next part. May be called twice."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._file.close()
                self._unread.add(self._client, -self._written)
        self._news.set()

    def _tell(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: the process ends
            self._loop.call_soon_threadsafe(self._news.set)
