"""Real processes for the benchmarks, all on this machine and in a folder of their own: the sandbox, Redis, PostgreSQL
where it is wanted, and the whole desk as `./run` starts it. Whatever is killed here is started again by `./run`.
"""

import contextlib
import json
import logging
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import django
import psycopg
import requests

from sandbox.catalog import demo_token
from thuesim_site.start.environment import BASE_DIR
from thuesim_site.testing import RedisServer, RunningDesk, free_port, wait_until

DATABASES = ("sqlite", "postgresql")
# Where a test starts a benchmark: a migrated database to begin with, since to migrate one takes seven seconds. A SQLite
# file is copied; `bench.history` works in the PostgreSQL database whose URL it is.
MIGRATED = "BENCH_MIGRATED_DATABASE"


class Postgres:
    """A cluster of its own, run by a user who is not root, as PostgreSQL requires. One that is in `folder` is used again."""

    def __init__(self, folder: Path) -> None:
        self._user = "postgres" if os.getuid() == 0 else None
        self._data, self.port = folder / "postgresql", free_port()
        self.url = f"postgres://desk@127.0.0.1:{self.port}/desk"
        self._process: subprocess.Popen[bytes] | None = None
        if self._data.exists():
            return
        self._data.mkdir(mode=0o700)
        if self._user:
            folder.chmod(0o755)
            owner = pwd.getpwnam(self._user)
            os.chown(self._data, owner.pw_uid, owner.pw_gid)
        self._call("initdb", "-D", str(self._data), "-U", "desk", "-E", "UTF8", "--auth=trust", "--no-sync")

    def start(self) -> None:
        """Start, wait until it answers, and make the database where there is none."""
        command = [self._binary("postgres"), "-D", str(self._data), "-p", str(self.port), "-h", "127.0.0.1"]
        self._process = subprocess.Popen(
            [*command, "-k", "", "-c", "log_min_messages=fatal", "-c", "max_wal_size=8GB"],
            user=self._user,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        wait_until(self.answers, "PostgreSQL answers", 60)
        with psycopg.connect(self._address("postgres"), autocommit=True) as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = 'desk'").fetchone():
                connection.execute("CREATE DATABASE desk")

    def answers(self) -> bool:
        """Whether it can be talked to."""
        try:
            psycopg.connect(self._address("postgres")).close()
        except psycopg.OperationalError:
            return False
        return True

    def stop(self, number: signal.Signals = signal.SIGQUIT) -> None:
        """Stop it; SIGQUIT drops everything at once, as a crash does."""
        if self._process:
            self._process.send_signal(number)
            self._process.wait(30)
            self._process = None

    def _address(self, database: str) -> str:
        return f"host=127.0.0.1 port={self.port} user=desk dbname={database} connect_timeout=2"

    def _call(self, *command: str) -> None:
        subprocess.run([self._binary(command[0]), *command[1:]], user=self._user, check=True, capture_output=True)

    @staticmethod
    def _binary(name: str) -> str:
        found = shutil.which(name) or max(map(str, Path("/usr/lib/postgresql").glob(f"*/bin/{name}")), default="")
        if not found:
            raise FileNotFoundError(f"there is no {name} of PostgreSQL on this machine")
        return found


class Desk(RunningDesk):
    """The desk on a machine that is busy: ready when its pages come, however long that took."""

    def ready(self) -> bool:
        """Whether the pages come and a worker can be woken."""
        try:
            return requests.get(f"{self.base_url}/healthz", timeout=5).ok
        except requests.RequestException:
            return False


class Stage:
    """Everything that runs. `tokens` are known to the sandbox from the start; `environment` goes to the desk."""

    def __init__(
        self, *, database: str, tokens: int, sandbox_options: list[str], seed: int = 1, **environment: str
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="desk-bench-"))
        self.redis = RedisServer(self.folder)
        self.postgres = Postgres(self.folder) if database == "postgresql" else None
        self.tokens = [demo_token(seed, number) for number in range(1, tokens + 1)]
        self._seed, self._options = seed, sandbox_options
        self._sandbox: subprocess.Popen[bytes] | None = None
        self._sandbox_port = free_port()
        self.environment = {
            "THUESIM_BASE_URL": f"http://127.0.0.1:{self._sandbox_port}",
            "REDIS_URL": self.redis.url,
            "DATABASE_URL": self.postgres.url if self.postgres else "",
            "DESK_WORKERS": "2",
            "DESK_LOG_LEVEL": "WARNING",
            **environment,
        }
        migrated = "" if self.postgres else os.environ.get(MIGRATED, "")
        self.desk = Desk(self.folder, migrated=migrated, **self.environment)
        self._started: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop(keep=kind is not None)

    def _start(self) -> None:
        self.redis.start()
        if self.postgres:
            self.postgres.start()
        command = [sys.executable, "-m", "sandbox", "--port", str(self._sandbox_port), "--seed", str(self._seed)]
        tokens = [part for token in self.tokens for part in ("--token", token)]
        with (self.folder / "sandbox.log").open("w") as log:
            self._sandbox = subprocess.Popen(
                [*command, *tokens, *self._options],
                cwd=BASE_DIR,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_another_machine,
            )
        wait_until(self._sandbox_listens, "the sandbox listens")
        self.desk.start(240)
        os.environ.update(self.environment, DESK_DATA_DIR=str(self.desk.data_dir))
        os.environ["DJANGO_SETTINGS_MODULE"] = "thuesim_site.settings"
        django.setup()
        logging.getLogger("psycopg.pool").setLevel(logging.ERROR)

    def _stop(self, *, keep: bool = False) -> None:
        for process in self._started:
            process.kill()
        self.desk.stop()
        if self._sandbox:
            self._sandbox.kill()
            self._sandbox.wait()
        if self.postgres:
            self.postgres.stop()
        self.redis.stop()
        if keep:
            print(f"what the processes wrote is kept in {self.folder}")
        else:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _sandbox_listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self._sandbox_port), 5).close()
        except OSError:
            return False
        return True

    def upstream(self, name: str, /, **body: Any) -> Any:
        """Read (without a body) or turn a knob of the sandbox; see `sandbox.control_api`. Returns what it answers."""
        wait_until(self._sandbox_listens, "the sandbox listens again")
        address = f"{self.environment['THUESIM_BASE_URL']}/_sandbox/{name}"
        answer = requests.post(address, json=body, timeout=60) if body else requests.get(address, timeout=60)
        answer.raise_for_status()
        return json.loads(answer.content)

    def books(self, token: str) -> dict[str, Any]:
        """The sandbox's own books of a token."""
        found: dict[str, Any] = self.upstream(f"books?token={token}")
        return found

    def second_beat(self) -> None:
        """Start another beat beside the one that `./run` keeps running, in place of an earlier such one."""
        for process in self._started:
            process.kill()
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        command = [sys.executable, "-m", "celery", "-q", "-A", "thuesim_site", "beat", "--pidfile=", "-l", "WARNING"]
        schedule = str(self.folder / "second-beat")
        with (self.folder / "second-beat.log").open("a") as log:
            self._started.append(
                subprocess.Popen([*command, "-s", schedule], cwd=BASE_DIR, env=environment, stdout=log, stderr=log)
            )

    def kill(self, program: str) -> bool:
        """Kill a process of the desk (`worker-1`, `slow`, `web`, `beat`) at once. False where it is not there now."""
        found = self.desk.pids_of("desk", program)
        with contextlib.suppress(ProcessLookupError):
            for pid in sorted(found)[:1]:
                os.kill(pid, signal.SIGKILL)
        return bool(found)

    def freeze(self, program: str, seconds: float) -> None:
        """Let a worker of the desk, with all its children, stand still for so long."""
        found = self.desk.pids_of("desk", program)
        for number in (signal.SIGSTOP, signal.SIGCONT):
            for pid in found:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            if number == signal.SIGSTOP:
                time.sleep(seconds)

    def alive(self, *programs: str) -> bool:
        """Whether `./run` has all these running."""
        return all(self.desk.pids_of("desk", program) for program in programs)


def _another_machine() -> None:
    """Raise the priority of the sandbox, if we may: it stands for another machine, whose answers no load here delays."""
    with contextlib.suppress(PermissionError):
        os.nice(-10)


def settled(holds: Any, seconds: float, every: float = 1.0) -> bool:
    """Wait until `holds()` is true, for at most `seconds`. Returns whether it became true."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(every)
    return True


def processor_seconds(root: int = 0) -> float:
    """Processor time of this process and of all processes below it, or below `root`: a busy machine moves it less."""
    pids = [pid for pid in _below(root or os.getpid()) if pid != os.getpid()]
    return time.process_time() + sum(_worked(pid) for pid in pids)


def _below(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        found = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        return found + [grandchild for child in found for grandchild in _below(child)]
    return []


def _worked(pid: int) -> float:
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0
