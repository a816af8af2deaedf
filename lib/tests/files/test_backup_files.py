"""A file that says it is a backup, and is none that this desk wrote."""

import io
import json
import stat
import tarfile
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from lib.files import backup, encrypted_files

MANIFEST = {
    "format": 1,
    "made_at": "2026",
    "database": "sqlite",
    "migrations": ["accounts.0001_initial"],
    "files": {"desk.sqlite3": "0" * 64},
}


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


@pytest.fixture
def data_dir(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory with a key of its own."""
    monkeypatch.setattr(encrypted_files, "_SCRYPT_COST", 1 << 4)
    settings.DATA_DIR = tmp_path / "var"
    settings.DATA_DIR.mkdir()
    settings.TOKEN_KEYS, settings.SECRET_KEY = ["own-key"], "own-secret"
    (settings.DATA_DIR / "token_key").write_text("own-key\n")
    (settings.DATA_DIR / "secret_key").write_text("own-secret\n")
    return Path(settings.DATA_DIR)


@pytest.mark.parametrize(
    ("passphrase", "words"),
    [("", "is encrypted: set DESK_BACKUP_PASSPHRASE"), ("another one", "is damaged, or DESK_BACKUP")],
)
def test_an_encrypted_backup_without_its_passphrase_is_refused(data_dir: Path, passphrase: str, words: str) -> None:
    path = data_dir / "desk.encrypted"
    with path.open("wb") as file:
        writer = encrypted_files.EncryptedWriter(file, "correct horse battery")
        writer.write(b"a tar")
        writer.close()
    with pytest.raises(backup.BackupFailed, match=words), backup.opened(path, passphrase):
        pass
    assert not list(data_dir.glob(".desk-backup-*"))


def restored_keys(data_dir: Path, keys: str) -> Path:
    """Restore the keys of a backup; return the folder with what was there before."""
    scratch = data_dir / "scratch"
    (scratch / "keys").mkdir(parents=True)
    (scratch / backup.TOKEN_KEYS).write_text(keys)
    (scratch / backup.SECRET_KEY).write_text("former-secret")
    backup._restore_keys(scratch, data_dir / "before")
    return data_dir / "before"


def test_the_keys_of_a_backup_take_the_place_of_those_that_a_start_made(data_dir: Path, settings: Settings) -> None:
    before = restored_keys(data_dir, "former-key")
    assert settings.TOKEN_KEYS == ["former-key"]
    assert [(data_dir / name).read_text() for name in ("token_key", "secret_key")] == ["former-key", "former-secret"]
    assert sorted(path.name for path in before.iterdir()) == ["secret_key", "token_key"]


@pytest.mark.parametrize(
    ("in_use", "of_backup", "together"),
    [
        (["set", "older"], "former-key", "set,older,former-key"),
        (["own-key"], "former-key,older", "own-key,former-key,older"),
    ],
)
def test_keys_are_put_beside_those_that_the_settings_name(
    data_dir: Path, settings: Settings, in_use: list[str], of_backup: str, together: str
) -> None:
    settings.TOKEN_KEYS = in_use
    restored_keys(data_dir, of_backup)
    assert (data_dir / backup.OTHER_KEYS).read_text() == together
    assert stat.S_IMODE((data_dir / backup.OTHER_KEYS).stat().st_mode) == 0o600
    assert (data_dir / "token_key").read_text() == "own-key\n"


def test_keys_that_are_in_use_already_change_nothing(data_dir: Path, settings: Settings) -> None:
    settings.TOKEN_KEYS = ["own-key", "former-key"]
    restored_keys(data_dir, "former-key")
    assert not (data_dir / backup.OTHER_KEYS).exists()
