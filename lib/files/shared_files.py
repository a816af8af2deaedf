"""The files that all machines of a desk share: recordings of voice calls, and exports that were made in the background.

They lie in a folder (`DESK_FILES_DIR`, or the data directory), or in a bucket that speaks S3 (`DESK_FILES_URL`,
`s3_files`). A row holds a name, never the path of one machine.
"""

import contextlib
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, storages

from lib.files.buckets import Unreachable as Unreachable

if TYPE_CHECKING:
    from lib.files.s3_files import S3Files


class Folder(FileSystemStorage):
    """Files in a folder of this machine, or in one that machines share. Its files are for their owner alone."""

    is_away = False  # a folder says at once what is wrong with it
    files_grow = True  # a file can be read while it is written

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"file_permissions_mode": 0o600, "directory_permissions_mode": 0o700, **options})

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        """Return the folders and the files in a folder; none where it is not there."""
        try:
            return super().listdir(path)
        except FileNotFoundError:
            return [], []

    def modified(self, folder: str) -> dict[str, datetime]:
        """Return when each file of a folder was written last, by its name. A file that goes meanwhile is left out."""
        found = {}
        for name in self.listdir(folder)[1]:
            with contextlib.suppress(FileNotFoundError):
                path = Path(self.path(folder), name)
                found[f"{folder}/{name}".lstrip("/")] = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        return found


class ExportFolder(Folder):
    """The exports' folder, beside that of the recordings."""

    @property
    def base_location(self) -> str:
        return str(Path(settings.FILES_DIR) / "exports")

    location = base_location


def recordings() -> "Folder | S3Files":
    """Return where the recordings of voice calls lie."""
    return cast("Folder | S3Files", storages["default"])


def exports() -> "Folder | S3Files":
    """Return where the exports lie that were made in the background."""
    return cast("Folder | S3Files", storages["exports"])


def are_remote() -> bool:
    """Whether they lie in a bucket: then no page asks for more of them than what its reader wants to have."""
    return settings.FILES_BUCKET is not None


def reason(error: OSError) -> str:
    """Return in a few words why the files cannot be used, without a path."""
    return error.strerror or str(error) or type(error).__name__


def try_out(files: "Folder | S3Files") -> None:
    """Write a file, read it again and delete it. Raises `OSError` where one of the three fails."""
    name, content = f"try-{secrets.token_hex(8)}", secrets.token_bytes(16)
    name = files.save(name, ContentFile(content))
    with files.open(name) as file:
        found = file.read()
    files.delete(name)
    if found != content:
        raise Unreachable("what was written is not what is read")
