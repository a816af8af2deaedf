"""One file that holds the desk: its database and its recordings; and back from it.

The file is a tar: `manifest.json`, then the database (a SQLite file, or what pg_dump writes), then `media/…`. It may be
written while the desk works. SQLite's file alone must not be copied then: what was written last stands in the `-wal` beside
it. With a passphrase the tar is encrypted, and `keys/…` are in it; without one they are not, so that a found backup gives no
token away.
"""

import contextlib
import fcntl
import hashlib
import io
import json
import os
import re
import shutil
import sqlite3
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import IO, Any

from django.conf import settings
from django.db import connection, connections
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from lib.files import encrypted_files, shared_files

FORMAT = 1
MANIFEST, MEDIA = "manifest.json", "media"
TOKEN_KEYS, SECRET_KEY = "keys/token_keys", "keys/secret_key"
OTHER_KEYS = "restored_token_keys"  # where the settings name keys, beside which those of a backup must be named
DUMP = {"sqlite": "desk.sqlite3", "postgresql": "desk.pgdump"}
MAX_MANIFEST_BYTES = 50_000_000


class BackupFailed(Exception):
    """The backup was not written, or not restored; the text says why and what to do."""


@dataclass(frozen=True)
class Manifest:
    """What is in the file. `files` has the SHA-256 of each by its name, `migrations` are `app.name`. `demo` is whether its
    numbers and its money are made up."""

    format: int
    made_at: str
    database: str
    migrations: list[str]
    files: dict[str, str]
    demo: bool = False


def write(target: Path, passphrase: str = "") -> tuple[Path, Manifest]:
    """Write a backup to the file `target`, or into the folder `target` under a name of its own. Returns its path.

    It is for its owner alone, and verified before it gets its name. Raises `BackupFailed`; then there is no file.
    """
    if target.is_dir():
        kind = "tar.encrypted" if passphrase else "tar"
        target = target / f"desk-{timezone.localtime():%Y-%m-%dT%H%M%S}.{kind}"
    if target.exists():
        raise BackupFailed(f"{target} is there already, and is not overwritten. Name another file.")
    if not target.parent.is_dir():
        raise BackupFailed(f"There is no folder {target.parent}.")
    # What is not encrypted does not come near the place of an encrypted backup.
    with (
        _scratch(Path(settings.DATA_DIR) if passphrase else target.parent) as scratch,
        _scratch(target.parent) as beside,
    ):
        dump = scratch / DUMP[connection.vendor]
        _dump(dump)
        # After the database: each recording that it names has been there before.
        files = {dump.name: dump, **_recordings(), **(_keys(scratch) if passphrase else {})}
        manifest = Manifest(
            FORMAT,
            timezone.localtime().isoformat(timespec="seconds"),
            connection.vendor,
            sorted(f"{app}.{name}" for app, name in MigrationRecorder(connection).applied_migrations()),
            {name: _digest(path.open("rb")) for name, path in files.items()},
            settings.DEMO,
        )
        unfinished = beside / "backup.tar"
        _pack(unfinished, manifest, files, passphrase)
        with opened(unfinished, passphrase) as plain, tarfile.open(plain) as tar:
            _unpack(tar, manifest, None)
        try:
            os.link(unfinished, target)  # unlike a renaming, it replaces nothing
        except FileExistsError:
            raise BackupFailed(f"{target} is there already, and is not overwritten. Name another file.") from None
    return target, manifest


def _keys(folder: Path) -> dict[str, Path]:
    """Write the keys to files of their own, and return these by their names in a backup."""
    found = {TOKEN_KEYS: ",".join(settings.TOKEN_KEYS), SECRET_KEY: settings.SECRET_KEY}
    files = {name: folder / name.replace("/", "-") for name in found}
    for name, path in files.items():
        path.touch(0o600)
        path.write_text(found[name])
    return files


@contextlib.contextmanager
def opened(path: Path, passphrase: str) -> Iterator[Path]:
    """Give the tar of a backup: itself, or where it is encrypted a copy in the data directory for as long as the block.

    Raises `BackupFailed` where the passphrase is missing or not the right one.
    """
    try:
        encrypted = encrypted_files.is_encrypted(path)
    except FileNotFoundError:
        raise BackupFailed(f"There is no file {path}.") from None
    except OSError as error:
        raise BackupFailed(f"{path} cannot be read: {error.strerror}.") from None
    if not encrypted:
        yield path
        return
    if not passphrase:
        raise BackupFailed(f"{path} is encrypted: set DESK_BACKUP_PASSPHRASE to what it was written with.")
    with _scratch(Path(settings.DATA_DIR)) as scratch:
        plain = scratch / "backup.tar"
        plain.touch(0o600)
        try:
            with plain.open("wb") as copy:
                encrypted_files.decrypt(path, passphrase, copy)
        except encrypted_files.WrongPassphrase:
            raise BackupFailed(
                f"{path} is damaged, or DESK_BACKUP_PASSPHRASE is not what it was written with."
            ) from None
        yield plain


def verify(path: Path, passphrase: str = "") -> Manifest:
    """Read a backup to its end, and its database as far as that needs no server. Raises `BackupFailed`."""
    with opened(path, passphrase) as plain, _scratch(Path(settings.DATA_DIR)) as scratch:
        manifest = read_manifest(plain)
        dump = DUMP[manifest.database]
        with tarfile.open(plain) as tar:
            _unpack(tar, replace(manifest, files={dump: manifest.files[dump]}), scratch)
            _unpack(tar, manifest, None)
        if manifest.database == "sqlite":
            _check_dump(scratch / dump, manifest)
        else:
            _run_postgresql("pg_restore", "--list", str(scratch / dump), database=False)
    return manifest


@contextlib.contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """Make a private folder in `folder`, on the same disk. Raises `BackupFailed` where that is full or not ours."""
    try:
        with tempfile.TemporaryDirectory(prefix=".desk-backup-", dir=folder) as name:
            yield Path(name)
    except OSError as error:
        raise BackupFailed(f"In {folder}: {error.strerror}.") from None


def _dump(dump: Path) -> None:
    if connection.vendor == "sqlite":
        _copy_sqlite(Path(connection.settings_dict["NAME"]), dump)
    else:
        _check_version()
        _run_postgresql("pg_dump", "--format=custom", "--no-owner", "--no-acl", f"--file={dump}")
        _run_postgresql("pg_restore", "--list", str(dump), database=False)
    dump.chmod(0o600)


def _copy_sqlite(source: Path, copy: Path) -> None:
    """Copy one moment of the database; writers do not wait meanwhile. Raises `BackupFailed` for a copy that is damaged."""
    copy.touch(0o600)
    try:
        with (
            contextlib.closing(
                sqlite3.connect(f"{source.resolve().as_uri()}?mode=ro", uri=True, timeout=60)
            ) as original,
            contextlib.closing(sqlite3.connect(copy)) as copied,
        ):
            original.backup(copied)
            copied.execute("PRAGMA journal_mode=DELETE")  # one file, with nothing beside it
            _check_sqlite(copied)
    except sqlite3.Error as error:
        raise BackupFailed(f"The database could not be copied: {error}.") from None


def _check_sqlite(database: sqlite3.Connection) -> None:
    [result] = database.execute("PRAGMA integrity_check(1)").fetchone()
    if result != "ok":
        raise BackupFailed(f"The database is damaged: {result}")


def _check_version() -> None:
    """Raise `BackupFailed` where pg_dump is older than the server, which it refuses in words of its own."""
    path = shutil.which("pg_dump")
    if path is None:
        return  # said when it is run
    ran = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)  # noqa: S603
    found = re.search(r"\) (\d+)", ran.stdout)
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version_num")
        server = int(cursor.fetchone()[0]) // 10_000
    if found and int(found[1]) < server:
        raise BackupFailed(
            f"pg_dump is of PostgreSQL {found[1]}, the server of {server}: install postgresql-client-{server}."
        )


def _run_postgresql(program: str, *options: str, database: bool = True) -> None:
    """Run a program of PostgreSQL's client. The password goes by its environment: a command line can be read by others."""
    path = shutil.which(program)
    if path is None:
        raise BackupFailed(
            f"{program} is not installed, and a PostgreSQL database needs it: install postgresql-client of the server's "
            "version or later. Nothing was written."
        )
    parameters = connection.get_connection_params()
    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD", "dbname": "PGDATABASE"}
    names["sslmode"] = "PGSSLMODE"
    environment = {variable: str(parameters[name]) for name, variable in names.items() if parameters.get(name)}
    target = ["--dbname", str(parameters["dbname"])] if database and program == "pg_restore" else []
    ran = subprocess.run(  # noqa: S603
        [path, *target, *options], env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    if ran.returncode:
        raise BackupFailed(f"{program} failed: {ran.stderr.strip()[-500:]}")


def _recordings() -> dict[str, Path]:
    """Return the recordings by their names in a backup; none where they lie in a bucket, which its owner backs up."""
    if shared_files.are_remote():
        return {}
    media = Path(settings.MEDIA_ROOT)
    return {f"{MEDIA}/{path.relative_to(media).as_posix()}": path for path in media.rglob("*") if path.is_file()}


def _digest(file: IO[bytes], copy: IO[bytes] | None = None) -> str:
    """Read a file to its end, and close it; `copy` gets its bytes."""
    digest = hashlib.sha256()
    with file:
        while block := file.read(1 << 20):
            digest.update(block)
            if copy is not None:
                copy.write(block)
    return digest.hexdigest()


def _pack(path: Path, manifest: Manifest, files: dict[str, Path], passphrase: str) -> None:
    text = json.dumps(asdict(manifest)).encode()
    first = tarfile.TarInfo(MANIFEST)
    first.size, first.mode = len(text), 0o600
    with path.open("xb") as file:
        path.chmod(0o600)
        writer: Any = encrypted_files.EncryptedWriter(file, passphrase) if passphrase else file
        with tarfile.open(fileobj=writer, mode="w|") as tar:
            tar.addfile(first, io.BytesIO(text))
            for name, source in files.items():
                tar.add(source, name, recursive=False)
        if passphrase:
            writer.close()
        file.flush()
        os.fsync(file.fileno())


def read_manifest(path: Path) -> Manifest:
    """Return what a backup says of itself. Raises `BackupFailed` for another file, and for a database without tables."""
    try:
        with tarfile.open(path) as tar:
            first = tar.next()
            file = tar.extractfile(first) if first is not None and first.name == MANIFEST else None
            if file is None:
                raise BackupFailed(f"{path} is no backup of a desk.")
            fields: dict[str, Any] = json.loads(file.read(MAX_MANIFEST_BYTES))
            manifest = Manifest(**fields)
            if not _is_whole(manifest):
                raise ValueError
    except FileNotFoundError:
        raise BackupFailed(f"There is no file {path}.") from None
    except (OSError, tarfile.TarError, TypeError, ValueError, RecursionError) as error:
        raise BackupFailed(f"{path} cannot be read as a backup: {type(error).__name__}.") from None
    if manifest.format != FORMAT:
        raise BackupFailed(f"{path} was written by a newer desk. Restore it with that version.")
    if not manifest.migrations:
        raise BackupFailed(f"{path} has no desk in it: its database had no tables.")
    return manifest


def _is_whole(manifest: Manifest) -> bool:
    """Whether a manifest has the shape that `write` gives it, and names the database's file."""
    files: object = manifest.files
    migrations: object = manifest.migrations
    if not isinstance(files, dict) or not isinstance(migrations, list):
        return False
    texts = [manifest.made_at, manifest.database, *migrations, *files, *files.values()]
    return all(isinstance(text, str) for text in texts) and DUMP.get(manifest.database) in files


def _unpack(tar: tarfile.TarFile, manifest: Manifest, folder: Path | None) -> None:
    """Read each file of a backup, into `folder` if there is one. Raises `BackupFailed` where one is missing or damaged."""
    for name, expected in manifest.files.items():
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise BackupFailed(f"The backup has a file that leads out of its folder: {name}.")
        try:
            file = tar.extractfile(name)
        except (KeyError, tarfile.TarError):
            file = None
        if file is None:
            raise BackupFailed(f"The backup is damaged: {name} is missing.")
        if folder is None:
            found = _digest(file)
        else:
            path = folder / name
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with path.open("xb") as copy:
                found = _digest(file, copy)
        if found != expected:
            raise BackupFailed(f"The backup is damaged: {name} is not what was written.")


@contextlib.contextmanager
def desk_stopped() -> Iterator[None]:
    """Keep `./run` from starting meanwhile. Raises `BackupFailed` while it runs."""
    with (Path(settings.DATA_DIR) / "run.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise BackupFailed(
                "The desk is running. Stop it first; a backup is restored while nothing works."
            ) from None
        yield


def restore(path: Path, manifest: Manifest) -> Path | None:
    """Put a backup in the place of the database and the recordings. Returns the folder in which the former ones are kept
    where there were any: SQLite's database, and recordings. A bucket stays as it is. Raises `BackupFailed`; then nothing
    was changed."""
    if manifest.database != connection.vendor:
        raise BackupFailed(
            f"The backup has a {manifest.database} database, and DATABASE_URL names a {connection.vendor} one."
        )
    data_dir, media = Path(settings.DATA_DIR), Path(settings.MEDIA_ROOT)
    if media.is_mount():
        raise BackupFailed(f"{media} is a file system of its own, which cannot be moved aside. Unmount it first.")
    with _scratch(data_dir) as scratch:
        with tarfile.open(path) as tar:
            _unpack(tar, manifest, scratch)
        dump = scratch / DUMP[manifest.database]
        kept = data_dir / f"before-restore-{datetime.now():%Y-%m-%dT%H%M%S}"  # noqa: DTZ005 - a folder's name
        connections.close_all()
        if manifest.database == "sqlite":
            _check_dump(dump, manifest)
            database_file = Path(connection.settings_dict["NAME"])
            for suffix in ("", "-wal", "-shm"):
                _keep(database_file.with_name(database_file.name + suffix), kept)
            shutil.move(dump, database_file)
        else:
            _run_postgresql("pg_restore", "--clean", "--if-exists", "--no-owner", "--single-transaction", str(dump))
        if not shared_files.are_remote():
            _keep(media, kept)
            if (scratch / MEDIA).is_dir():
                shutil.move(scratch / MEDIA, media)
        _restore_keys(scratch, kept)
    return kept if kept.exists() else None


def _restore_keys(scratch: Path, kept: Path) -> None:
    """Put the keys of a backup into their files in the data directory, and use them here.

    Where the settings name keys, or the backup has several, they are left in the file `OTHER_KEYS` for the settings to name.
    """
    if not (scratch / TOKEN_KEYS).exists():
        return
    keys, in_use = (scratch / TOKEN_KEYS).read_text().split(","), list(settings.TOKEN_KEYS)
    if _is_kept("secret_key", settings.SECRET_KEY):
        _replace_secret("secret_key", (scratch / SECRET_KEY).read_text(), kept)
    if set(keys) <= set(in_use):
        return
    if len(keys) == len(in_use) == 1 and _is_kept("token_key", in_use[0]):
        _replace_secret("token_key", keys[0], kept)
        settings.TOKEN_KEYS = keys
    else:
        _replace_secret(OTHER_KEYS, ",".join(dict.fromkeys([*in_use, *keys])), kept)


def _is_kept(name: str, secret: str) -> bool:
    """Whether the secret in use is the one that a start has made and kept in the data directory."""
    file = Path(settings.DATA_DIR) / name
    return file.exists() and file.read_text().strip() == secret


def _replace_secret(name: str, secret: str, kept: Path) -> None:
    file = Path(settings.DATA_DIR) / name
    _keep(file, kept)
    file.touch(0o600)
    file.write_text(secret)


def _check_dump(dump: Path, manifest: Manifest) -> None:
    """Raise `BackupFailed` for a SQLite file that is damaged, or is not the desk's database of the manifest."""
    try:
        with contextlib.closing(sqlite3.connect(dump)) as database:
            _check_sqlite(database)
            applied = {f"{app}.{name}" for app, name in database.execute("SELECT app, name FROM django_migrations")}
    except sqlite3.Error as error:
        raise BackupFailed(f"The backup has no database of a desk: {error}.") from None
    if not applied or applied != set(manifest.migrations):
        raise BackupFailed("The backup is damaged: its database is not the one that its manifest describes.")


def _keep(path: Path, folder: Path) -> None:
    """Move what is there aside."""
    if path.exists():
        folder.mkdir(mode=0o700, exist_ok=True)
        shutil.move(path, folder / path.name)
