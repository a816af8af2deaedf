"""Files that are read while they are written."""

import os
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self


class Appendable(Protocol):
    """A file, as far as one needs it that writes from the beginning to the end."""

    def write(self, data: bytes, /) -> int: ...

    def flush(self) -> None: ...

    def close(self) -> None: ...


def part_of(path: Path) -> Path:
    """Return where a file is until it is whole."""
    return path.with_name(f"{path.name}.part")


class GrowingFile:
    """A new file that can only be appended to: what is written is there for its readers at once, and stays as it is. Until
    it is whole, it is at `part_of` its path.

    It has no `seek`, so that a ZIP file is written to it in sequence (`zipfile` asks for that).
    """

    def __init__(self, path: Path) -> None:
        """Raises OSError, also where there is such a file."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path = path
        self._file = os.fdopen(os.open(part_of(path), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def write(self, data: bytes, /) -> int:
        """Append bytes. Raises OSError where the disk is full."""
        count = self._file.write(data)
        self._file.flush()
        return count

    def flush(self) -> None:
        """Do nothing: no byte waits."""

    def complete(self) -> None:
        """Give the file, all of which is written, its name. Raises OSError."""
        part_of(self._path).rename(self._path)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
