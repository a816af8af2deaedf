"""Shared files in a folder that stand for those of a bucket, and do not answer while `is_down`."""

from typing import Any, ClassVar

from lib.files.shared_files import ExportFolder, Folder, Unreachable


class _Outage:
    is_down: ClassVar[bool] = False
    asked: ClassVar[int] = 0  # calls, for pages that must not make any

    @classmethod
    def ask(cls) -> None:
        """Raise `Unreachable` while they are down."""
        _Outage.asked += 1
        if _Outage.is_down:
            raise Unreachable("no answer")


def set_down(is_down: bool) -> None:
    _Outage.is_down = is_down


def asked() -> int:
    """Return how often the files were asked for something."""
    return _Outage.asked


class Recordings(Folder):
    files_grow = False

    def save(self, name: str | None, content: Any, max_length: int | None = None) -> str:
        _Outage.ask()
        return super().save(name, content, max_length)

    def open(self, name: str, mode: str = "rb") -> Any:
        _Outage.ask()
        return super().open(name, mode)

    def size(self, name: str) -> int:
        _Outage.ask()
        return super().size(name)

    def exists(self, name: str) -> bool:
        _Outage.ask()
        return super().exists(name)

    def delete(self, name: str) -> None:
        _Outage.ask()
        super().delete(name)

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        _Outage.ask()
        return super().listdir(path)


class Exports(Recordings, ExportFolder):
    pass
