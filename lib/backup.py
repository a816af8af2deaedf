"""One file that holds the desk: its database and its recordings; and back from it.

The file is a tar: `manifest.json`, then the database (a SQLite file, or what pg_dump writes), then `media/…`. The keys are
not in it, so that whoever finds a backup has no token. It may be written while the desk works. SQLite's file alone must
not be copied then: what was written last stands in the `-wal` beside it.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import IO, Any

from django.conf import settings
from django.db import connection, connections
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from lib import shared_files

FORMAT = 1
MANIFEST, MEDIA = "manifest.json", "media"
DUMP = {"sqlite": "desk.sqlite3", "postgresql": "desk.pgdump"}
MAX_MANIFEST_BYTES = 50_000_000


class BackupFailed(Exception):
    """The backup was not written, or not restored; the text says why and what to do."""


@dataclass(frozen=True)
class Manifest:
    """What is in the file. `files` has the SHA-256 of each by its name, `migrations` are `app.name`."""

    format: int
    made_at: str
    database: str
    migrations: list[str]
    files: dict[str, str]


def write(target: Path) -> tuple[Path, Manifest]:
    """Write a backup to the file `target`, or into the folder `target` under a name of its own. Returns its path.

    It is for its owner alone, and verified before it gets its name. Raises `BackupFailed`; then there is no file.
    """
    if target.is_dir():
        target = target / f"desk-{timezone.localtime():%Y-%m-%dT%H%M%S}.tar"
    if target.exists():
        raise BackupFailed(f"{target} is there already, and is not overwritten. Name another file.")
    if not target.parent.is_dir():
        raise BackupFailed(f"There is no folder {target.parent}.")
    with _scratch(target.parent) as scratch:
        dump = scratch / DUMP[connection.vendor]
        _dump(dump)
        # After the database: each recording that it names has been there before.
        files = {dump.name: dump, **_recordings()}
        manifest = Manifest(
            FORMAT,
            timezone.localtime().isoformat(timespec="seconds"),
            connection.vendor,
            sorted(f"{app}.{name}" for app, name in MigrationRecorder(connection).applied_migrations()),
            {name: _digest(path.open("rb")) for name, path in files.items()},
        )
        unfinished = scratch / "backup.tar"
        _pack(unfinished, manifest, files)
        with tarfile.open(unfinished) as tar:
            _unpack(tar, manifest, None)
        try:
            os.link(unfinished, target)  # unlike a renaming, it replaces nothing
        except FileExistsError:
            raise BackupFailed(f"{target} is there already, and is not overwritten. Name another file.") from None
    return target, manifest


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


def _pack(path: Path, manifest: Manifest, files: dict[str, Path]) -> None:
    with path.open("xb") as file, tarfile.open(fileobj=file, mode="w") as tar:
        path.chmod(0o600)
        text = path.with_name(MANIFEST)
        text.write_text(json.dumps(asdict(manifest)))
        for name, source in {MANIFEST: text, **files}.items():
            tar.add(source, name, recursive=False)
        file.flush()
        os.fsync(file.fileno())


def read_manifest(path: Path) -> Manifest:
    """Return what a backup says of itself. Raises `BackupFailed` for another file."""
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
    return kept if kept.exists() else None


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
