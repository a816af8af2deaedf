"""A backup that is taken while the desk writes, and what becomes of it."""

import hashlib
import itertools
import json
import os
import runpy
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import tarfile
import tempfile
import traceback
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from importlib import import_module
from pathlib import Path
from typing import IO, Any, TextIO
from urllib.parse import quote

import psycopg
import pytest
from django.conf import settings
from django.core.management import execute_from_command_line
from django.db import connection, connections
from django.utils import timezone
from pytest_django import DjangoDbBlocker

from accounts.models import User
from lib.files import backup
from rentals.models import BalanceReading, Heartbeat, Message, Rental, Status, Token
from rentals.tests.factories import make_person, make_rental, make_team, make_token
from thuesim_site.start import supervise
from thuesim_site.start.environment import BASE_DIR
from thuesim_site.testing import known_names

pytestmark = [pytest.mark.database, pytest.mark.programs]
SECRET = {"DESK_BACKUP_PASSPHRASE": "correct horse battery"}


def fill() -> None:
    """A desk with a token, a number that was received with a recording, and an order in the queue."""
    team = make_team("Support")
    person = make_person(team, username="linh")
    token = make_token(team, value="4801-" + 32 * "a")
    received = make_rental(Status.RECEIVED, team=team, person=person, token=token)
    make_rental(Status.QUEUED, team=team, person=person, token=token)
    folder = Path(settings.MEDIA_ROOT) / "calls"
    folder.mkdir(parents=True)
    (folder / "one.mp3").write_bytes(b"recording")
    now = timezone.now()
    Message.objects.create(rental=received, at=now, is_call=True, audio="calls/one.mp3", source="poll", fingerprint="f")


def print_counts() -> None:
    counts = {
        "people": list(User.objects.values_list("username", flat=True)),
        "statuses": sorted(Rental.objects.values_list("status", flat=True)),
        "readings": sorted(BalanceReading.objects.values_list("balance", flat=True)),
        "recording": Path(settings.MEDIA_ROOT, str(Message.objects.get().audio)).read_bytes().decode(),
        "token": bool(Token.objects.get().value),
    }
    print(json.dumps(counts))


def add_readings() -> None:
    """Add readings one by one, and print after each how many there are, until the process is killed."""
    token = Token.objects.get()
    for number in itertools.count(1):
        BalanceReading.objects.create(token=token, at=timezone.now(), balance=number)
        print(number, flush=True)


class Desk:
    """A data directory with its own database."""

    def __init__(self, data_dir: Path, database_url: str = "") -> None:
        self.data_dir = data_dir
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("DESK_", "THUESIM_"))},
            **dict.fromkeys(known_names(), ""),
            "DESK_DATA_DIR": str(data_dir),
            "DATABASE_URL": database_url,
            "THUESIM_BASE_URL": "http://127.0.0.1:9",  # with the true service: the demo has a folder of its own
            "DJANGO_SETTINGS_MODULE": "thuesim_site.settings",
        }
        data_dir.mkdir(mode=0o700)

    def manage(self, *arguments: str, path: str | None = None) -> "subprocess.CompletedProcess[str]":
        """Run `manage.py` with these arguments."""
        environment = {**self.environment, **({"PATH": path} if path is not None else {})}
        return in_fork(lambda: execute_from_command_line(["manage.py", *arguments]), environment)

    def start_manage(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run `manage.py` as one does by hand: in a process that loads everything first."""
        command = [sys.executable, "manage.py", *arguments]
        return subprocess.run(command, cwd=BASE_DIR, env=self.environment, capture_output=True, text=True, check=False)

    def run(self, work: Callable[[], object]) -> str:
        """Return what `work` prints."""
        done = in_fork(work, self.environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def counts(self) -> dict[str, Any]:
        counts: dict[str, Any] = json.loads(self.run(print_counts))
        return counts

    @contextmanager
    def writing(self) -> Iterator[TextIO]:
        """Inside the block, a worker adds readings. Gives what it prints."""
        reading, writing = os.pipe()
        with os.fdopen(reading) as counted, os.fdopen(writing, "w") as output, Path(os.devnull).open("w") as errors:
            pid = fork(add_readings, self.environment, output, errors)
            output.close()
            try:
                yield counted
            finally:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


def in_fork(work: Callable[[], object], environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    """Do it in a fork of this process, under the settings that follow from `environment`. Nothing is loaded anew, which
    takes most of the time of a small command."""
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        pid = fork(work, environment, output, errors)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        output.seek(0)
        errors.seek(0)
        return subprocess.CompletedProcess("", status, output.read(), errors.read())


def fork(work: Callable[[], object], environment: dict[str, str], output: IO[str], errors: IO[str]) -> int:
    """Begin it in a fork, which writes to `output` and `errors`, and return the id of the process."""
    connections.close_all()  # the fork must not share one, nor PostgreSQL's pool of them
    close_pool: Callable[[], None] = getattr(connection, "close_pool", lambda: None)
    close_pool()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            sys.stdout, sys.stderr = output, errors
            become_desk(environment)
            work()
            status = 0
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 1
        except BaseException:  # noqa: BLE001 - it ends here
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    return pid


def become_desk(environment: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    for name, value in runpy.run_path(str(BASE_DIR / "thuesim_site" / "settings.py")).items():
        if name.isupper():
            setattr(settings, name, value)
    connections.settings = connections.configure_settings(settings.DATABASES)
    connections["default"] = connections.create_connection("default")


def server() -> tuple[dict[str, str], str]:
    """Return how to connect to the tests' PostgreSQL, and the address of a database on it, but for its name."""
    given = connection.settings_dict
    options = {
        **given["OPTIONS"],
        **{key.lower(): value for key, value in given.items() if isinstance(value, str) and value},
    }
    found = {key: str(options[key]) for key in ("host", "port", "user", "password") if options.get(key)}
    address = "&".join(f"{key}={quote(value)}" for key, value in found.items())
    return {**found, "dbname": "postgres"}, f"postgres:///{{}}?{address}"


def prefix() -> str:
    """Return how the names of the databases of this process begin: others run tests of this file, too."""
    return f"backup_test_by{os.getpid()}x"


def make_desk(folder: Path, migrated: str = "") -> Desk:
    """Return a desk on an empty database of the kind that the tests run on, or on a copy of `migrated`."""
    if connection.vendor == "sqlite":
        desk = Desk(folder)
        if migrated:
            shutil.copy(migrated, folder / "desk.sqlite3")
        return desk
    parameters, address = server()
    name = f"{prefix()}{uuid.uuid4().hex[:12]}"
    with psycopg.connect(**parameters, autocommit=True) as postgresql:  # type: ignore[arg-type]
        postgresql.execute(f"CREATE DATABASE {name} TEMPLATE {migrated or 'template1'}")
    return Desk(folder, address.format(name))


@pytest.fixture(scope="module", autouse=True)
def _loaded_once() -> None:
    """Load here what each fork would load for itself: the addresses, which Django's checks go through, and the commands."""
    import_module(settings.ROOT_URLCONF)
    for name in ("backup", "restore"):
        import_module(f"rentals.management.commands.{name}")


@pytest.fixture(scope="module", autouse=True)
def _no_database_stays(django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    with django_db_blocker.unblock():  # for the forks
        yield
    if connection.vendor == "postgresql":
        with psycopg.connect(**server()[0], autocommit=True) as postgresql:  # type: ignore[arg-type]
            made = postgresql.execute(
                "SELECT datname FROM pg_database WHERE datname LIKE %s", [f"{prefix()}%"]
            ).fetchall()
            for (name,) in made:
                postgresql.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def desk(django_db_setup: str, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    desk = make_desk(tmp_path_factory.mktemp("desk") / "var", django_db_setup)
    desk.run(fill)
    return desk


@pytest.fixture(scope="module")
def file(desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("backup") / "desk.tar"
    made = desk.manage("backup", str(file))
    assert made.returncode == 0, made.stderr
    assert "Not in it: the keys" in made.stdout
    return file


def test_a_backup_while_the_desk_writes_has_all_that_was_committed_before(desk: Desk, tmp_path: Path) -> None:
    with desk.writing() as counted:
        before = [int(counted.readline()) for _ in range(20)][-1]
        made = desk.start_manage("backup", str(tmp_path))
    assert made.returncode == 0, made.stderr
    [file] = tmp_path.glob("desk-*.tar")
    other = make_desk(tmp_path / "var")
    shutil.copy(desk.data_dir / "token_key", other.data_dir / "token_key")
    restored = other.start_manage("restore", str(file))
    assert restored.returncode == 0, restored.stderr
    assert "The keys fit" in restored.stdout
    counts = other.counts()
    readings = counts.pop("readings")
    assert len(readings) >= before
    assert readings == list(range(1, len(readings) + 1)), "one moment of it, without holes"
    # The order in the queue may have been placed since.
    assert counts == {
        "people": ["linh"],
        "statuses": ["cancelled", "received"],
        "recording": "recording",
        "token": True,
    }


@pytest.mark.skipif(connection.vendor != "sqlite", reason="it is SQLite whose file is copied")
def test_the_file_of_the_database_alone_would_lack_what_was_written_last(desk: Desk, tmp_path: Path) -> None:
    with desk.writing() as counted:
        for _ in range(5):
            counted.readline()
        copied = shutil.copy(desk.data_dir / "desk.sqlite3", tmp_path / "copied.sqlite3")
    try:
        with sqlite3.connect(copied) as database:
            [readings] = database.execute("SELECT count(*) FROM rentals_balancereading").fetchone()
    except sqlite3.DatabaseError:
        return
    with sqlite3.connect(desk.data_dir / "desk.sqlite3") as database:
        [actual] = database.execute("SELECT count(*) FROM rentals_balancereading").fetchone()
    assert readings < actual


def test_it_is_for_its_owner_alone_and_has_no_key(file: Path, desk: Desk) -> None:
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(file.parent.iterdir()) == [file], "nothing is left beside it"
    with tarfile.open(file) as tar:
        names = tar.getnames()
    assert names[0] == "manifest.json"
    assert "media/calls/one.mp3" in names
    assert not [name for name in names if "key" in name or ".env" in name]
    assert (desk.data_dir / "token_key").read_bytes().strip() not in file.read_bytes()


def test_a_file_that_is_there_is_not_overwritten(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "desk.tar"
    file.write_text("something else")
    made = desk.manage("backup", str(file))
    assert made.returncode == 1
    assert "is not overwritten" in made.stderr
    assert file.read_text() == "something else"


def test_a_missing_key_is_said_when_it_is_restored(file: Path, tmp_path: Path) -> None:
    other = make_desk(tmp_path / "var")
    restored = other.manage("restore", str(file))
    assert restored.returncode == 0, restored.stderr
    assert "A key is missing" in restored.stderr
    assert "token 1" in restored.stderr


def test_a_desk_with_people_is_replaced_only_when_that_is_asked_for(
    file: Path, django_db_setup: str, tmp_path: Path
) -> None:
    other = make_desk(tmp_path / "var", django_db_setup)
    other.run(lambda: make_person(username="former"))
    refused = other.manage("restore", str(file))
    assert refused.returncode == 1
    assert "--replace" in refused.stderr
    restored = other.manage("restore", str(file), "--replace")
    assert restored.returncode == 0, restored.stderr
    assert other.counts()["people"] == ["linh"]
    if connection.vendor == "sqlite":
        [kept] = other.data_dir.glob("before-restore-*")
        with sqlite3.connect(kept / "desk.sqlite3") as former:
            assert former.execute("SELECT username FROM accounts_user").fetchall() == [("former",)]


def test_nothing_is_restored_while_the_desk_runs(file: Path, tmp_path: Path) -> None:
    other = make_desk(tmp_path / "var")
    with supervise.hold(other.data_dir):
        restored = other.manage("restore", str(file))
    assert restored.returncode == 1
    assert "The desk is running" in restored.stderr


def test_a_desk_that_runs_on_another_machine_is_noticed(file: Path, django_db_setup: str, tmp_path: Path) -> None:
    other = make_desk(tmp_path / "var", django_db_setup)
    now = timezone.now()
    other.run(lambda: Heartbeat.objects.create(kind="worker", name="worker-1@other/5", started_at=now, at=now))
    restored = other.manage("restore", str(file), "--replace")
    assert restored.returncode == 1
    assert "worker-1@other/5" in restored.stderr


@pytest.mark.parametrize("damage", ["a byte", "cut off", "another file"])
def test_a_damaged_backup_changes_nothing(file: Path, tmp_path: Path, damage: str) -> None:
    content = bytearray(file.read_bytes())
    middle = content.index(b"recording", content.index(b"media/calls"))
    if damage == "a byte":
        content[content.rindex(b"recording")] ^= 1
    damaged = tmp_path / "damaged.tar"
    wrong = {"a byte": bytes(content), "cut off": bytes(content[: middle // 2]), "another file": b"text"}
    damaged.write_bytes(wrong[damage])
    other = make_desk(tmp_path / "var")
    restored = other.manage("restore", str(damaged))
    assert restored.returncode == 1
    assert "Traceback" not in restored.stderr
    assert not (other.data_dir / "media").exists()
    assert not list(other.data_dir.glob(".desk-backup-*"))


@pytest.mark.skipif(connection.vendor != "sqlite", reason="pg_restore refuses what it cannot read, in one transaction")
@pytest.mark.parametrize("content", ["text", "another program's database", "an empty database"])
def test_a_database_that_is_no_desk_s_replaces_nothing(desk: Desk, tmp_path: Path, content: str) -> None:
    foreign, odd = tmp_path / "desk.sqlite3", tmp_path / "odd.tar"
    foreign.write_bytes(b"text" if content == "text" else b"")
    if content.startswith("another"):
        with closing(sqlite3.connect(foreign)) as database:
            database.execute("CREATE TABLE accounts_user (name)")
    digest = hashlib.sha256(foreign.read_bytes()).hexdigest()
    manifest = {"format": 1, "made_at": "2026", "database": "sqlite", "migrations": ["accounts.0001_initial"]}
    (tmp_path / "manifest.json").write_text(json.dumps({**manifest, "files": {foreign.name: digest}}))
    with tarfile.open(odd, "w") as tar:
        for name in ("manifest.json", foreign.name):
            tar.add(tmp_path / name, name)
    restored = desk.manage("restore", str(odd), "--replace")
    assert restored.returncode == 1
    assert "Traceback" not in restored.stderr
    with closing(sqlite3.connect(desk.data_dir / "desk.sqlite3")) as database:
        assert database.execute("SELECT username FROM accounts_user").fetchall() == [("linh",)]


@pytest.mark.parametrize("database", sorted(backup.DUMP))
def test_a_backup_of_a_database_without_tables_is_no_backup(tmp_path: Path, database: str) -> None:
    manifest = {"format": backup.FORMAT, "made_at": "2026", "database": database, "migrations": []}
    (tmp_path / backup.MANIFEST).write_text(json.dumps({**manifest, "files": {backup.DUMP[database]: "0"}}))
    with tarfile.open(tmp_path / "empty.tar", "w") as tar:
        tar.add(tmp_path / backup.MANIFEST, backup.MANIFEST)
    with pytest.raises(backup.BackupFailed, match="no desk in it"):
        backup.read_manifest(tmp_path / "empty.tar")


def test_an_encrypted_backup_brings_its_keys_to_another_machine(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "desk.encrypted"
    desk.environment |= SECRET
    made = desk.manage("backup", str(file))
    desk.environment["DESK_BACKUP_PASSPHRASE"] = ""
    assert "with the keys in it" in made.stdout, made.stderr
    assert not [word for word in (b"linh", b"recording", b"manifest", b"gAAAA") if word in file.read_bytes()]
    other = make_desk(tmp_path / "var")
    other.environment |= SECRET
    restored = other.manage("restore", str(file))
    assert "The keys fit" in restored.stdout, restored.stderr
    assert (other.data_dir / "token_key").read_text() == (desk.data_dir / "token_key").read_text()
    assert stat.S_IMODE((other.data_dir / "token_key").stat().st_mode) == 0o600
    assert not list(other.data_dir.glob(".desk-backup-*"))


@pytest.mark.skipif(connection.vendor != "postgresql", reason="machines share no SQLite")
def test_a_connection_of_another_machine_is_noticed(file: Path, django_db_setup: str, tmp_path: Path) -> None:
    other = make_desk(tmp_path / "var", django_db_setup)
    name = other.environment["DATABASE_URL"].split("///")[1].split("?")[0]
    with psycopg.connect(**{**server()[0], "dbname": name}):  # type: ignore[arg-type]
        restored = other.manage("restore", str(file), "--replace")
    assert (restored.returncode, "1 other connections" in restored.stderr) == (1, True)


# As long after the first query as a busy machine may take to the next one.
OWN_CONNECTIONS = """
import time
from django.db import connection
from lib.desk_command import use_one_connection
from rentals.management.commands import restore
use_one_connection()
connection.ensure_connection()
time.sleep(0.5)
print("others:", restore._other_connections())
"""


@pytest.mark.skipif(connection.vendor != "postgresql", reason="a pool is of PostgreSQL alone")
def test_its_own_connections_are_no_other_machine_s(tmp_path: Path) -> None:
    counted = make_desk(tmp_path / "var").manage("shell", "-v0", "-c", OWN_CONNECTIONS)
    assert counted.stdout.strip() == "others: 0", counted.stderr


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite needs no program")
def test_a_pg_dump_that_is_too_old_is_named(desk: Desk, tmp_path: Path) -> None:
    program = tmp_path / "bin" / "pg_dump"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 9.6'\n")
    program.chmod(0o755)
    made = desk.manage("backup", str(tmp_path / "desk.tar"), path=f"{program.parent}:{os.environ['PATH']}")
    assert made.returncode == 1
    assert "pg_dump is of PostgreSQL 9, the server of" in made.stderr


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite needs no program")
def test_without_pg_dump_it_says_what_to_install(desk: Desk, tmp_path: Path) -> None:
    made = desk.manage("backup", str(tmp_path / "desk.tar"), path="/nowhere")
    assert made.returncode == 1
    assert "postgresql-client" in made.stderr
    assert not list(tmp_path.iterdir())


def test_without_the_true_service_it_is_the_demo_s_and_restored_for_no_true_desk(
    django_db_setup: str, tmp_path: Path
) -> None:
    demo = make_desk(tmp_path / "var", django_db_setup)
    demo.environment["THUESIM_BASE_URL"] = ""
    if connection.vendor == "sqlite":
        (demo.data_dir / "demo").mkdir()
        (demo.data_dir / "desk.sqlite3").rename(demo.data_dir / "demo" / "desk.sqlite3")
    (tmp_path / "backup").mkdir()
    made = demo.manage("backup", str(tmp_path / "backup"))
    assert made.returncode == 0, made.stderr
    assert "This is the demo's" in made.stderr
    [file] = (tmp_path / "backup").iterdir()
    demo.environment["THUESIM_BASE_URL"] = "http://127.0.0.1:9"
    restored = demo.manage("restore", str(file), "--replace")
    assert restored.returncode == 1
    assert "its numbers and its money are made up" in restored.stderr
