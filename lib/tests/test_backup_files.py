"""A file that says it is a backup, and is none that this desk wrote."""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from lib import backup

MANIFEST = {"format": 1, "made_at": "2026", "database": "sqlite", "migrations": [], "files": {"desk.sqlite3": "0" * 64}}


def tar_with(path: Path, manifest: bytes) -> Path:
    with tarfile.open(path, "w") as tar:
        entry = tarfile.TarInfo(backup.MANIFEST)
        entry.size = len(manifest)
        tar.addfile(entry, io.BytesIO(manifest))
    return path


@pytest.mark.parametrize(
    "changes",
    [
        {"files": []},
        {"files": None},
        {"files": {"desk.sqlite3": None}},
        {"files": {}},
        {"files": {"desk.pgdump": "0" * 64}},
        {"migrations": None},
        {"migrations": [1, None, {}]},
        {"database": "mysql"},
        {"database": None},
        {"made_at": ["2026"]},
    ],
)
def test_a_manifest_of_another_shape_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    path = tar_with(tmp_path / "odd.tar", json.dumps({**MANIFEST, **changes}).encode())
    with pytest.raises(backup.BackupFailed, match="cannot be read as a backup"):
        backup.read_manifest(path)


def test_a_manifest_nested_too_deep_is_refused(tmp_path: Path) -> None:
    with pytest.raises(backup.BackupFailed, match="cannot be read as a backup"):
        backup.read_manifest(tar_with(tmp_path / "deep.tar", b"[" * 100_000))


def test_the_manifest_of_our_own_shape_is_read(tmp_path: Path) -> None:
    path = tar_with(tmp_path / "right.tar", json.dumps(MANIFEST).encode())
    assert backup.read_manifest(path) == backup.Manifest(**MANIFEST)  # type: ignore[arg-type]
