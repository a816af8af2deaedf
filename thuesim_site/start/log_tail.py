"""Shows on the terminal what the processes write to their log files."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO


class _Follower:
    """One growing file; what stood in it at the start is old. A rotated file is read to its end first."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._rest = b""
        if path.exists():
            self._file = path.open("rb")
            self._file.seek(0, os.SEEK_END)

    def lines(self) -> list[str]:
        """Return the whole lines that are new."""
        new = self._file.read() if self._file else b""
        if self._replaced():
            self.close()
            self._file = self._path.open("rb")
            new += self._file.read()
        *whole, self._rest = (self._rest + new).split(b"\n")
        return [line.decode(errors="replace").rstrip() for line in whole]

    def close(self) -> None:
        """Let go of the file."""
        if self._file:
            self._file.close()

    def _replaced(self) -> bool:
        try:
            now = self._path.stat()
        except FileNotFoundError:
            return False
        return self._file is None or os.fstat(self._file.fileno()).st_ino != now.st_ino


class LogTail:
    """Passes on each new line with the name of the process that wrote it. Bounded by nothing but what is written."""

    def __init__(self, files: dict[str, Path], say: Callable[[str], None]) -> None:
        self._followers = {name: _Follower(path) for name, path in files.items()}
        self._width = max(map(len, files), default=0)
        self._say = say

    def close(self) -> None:
        """Let go of the files."""
        for follower in self._followers.values():
            follower.close()

    def pump(self) -> None:
        """Say what has come since the last time."""
        for name, follower in self._followers.items():
            for line in follower.lines():
                if line:
                    self._say(f"{name:>{self._width}} | {line}")
