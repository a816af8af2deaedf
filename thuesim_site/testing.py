"""For tests and benchmarks: a real redis-server, and the whole desk as `./run` starts it, both on this machine alone."""

import contextlib
import errno
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import redis
import requests
from django.db import connection

from thuesim_site.start import demo, embedded_redis
from thuesim_site.start.environment import BASE_DIR

EXAMPLE = BASE_DIR / ".env.example"
# Below the ports that Linux, macOS and gVisor give to outgoing connections, so that none of these takes one in the moment
# between `free_port` and the server; above the last one that browsers refuse (10080).
PORTS = range(11_000, 16_000)
CLAIM_OFFSET = 10_000  # not 0: a server may want the UDP port of the same number for HTTP/3

# The first draws the same pages without a window around them, in half of the processor time.
CHROMIUMS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")


def find_chromium() -> str | None:
    """Return the path of this machine's Chromium; None where there is none on PATH."""
    return next(filter(None, map(shutil.which, CHROMIUMS)), None)


def wait_until(holds: Callable[[], object], what: str, seconds: float = 90, *, every: float = 0.05) -> None:
    """Wait until `holds()` is true, which is asked `every` so many seconds. Raises TimeoutError that names `what` after
    `seconds`."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {seconds:g} s: {what}")
        time.sleep(every)


def free_port(count: int = 1) -> int:
    """Return the first of `count` consecutive TCP ports that nothing listens on. While this process lives, `free_port` gives
    them to no other caller on this machine. Raises OSError where all are taken.

    Each is claimed by a UDP socket that stays bound as long as the process lives, so nothing has to be tidied up.
    """
    for _ in range(1000):
        first = random.randrange(PORTS.start, PORTS.stop - count + 1)  # noqa: S311 - no secret
        claims: list[socket.socket] = []
        try:
            for port in range(first, first + count):
                claims.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                claims[-1].bind(("127.0.0.1", port + CLAIM_OFFSET))
                with socket.socket() as probe:
                    probe.bind(("0.0.0.0", port))  # noqa: S104 - for a moment; it does not listen
        except OSError:
            for claim in claims:
                claim.close()
            continue
        for claim in claims:
            claim.detach()  # the descriptor stays open to the end of the process
        return first
    raise OSError(errno.EADDRINUSE, "none of the ports for tests is free")


def known_names() -> list[str]:
    """Return the environment variables that `.env.example` lists, in its order."""
    lines = (line.removeprefix("#").strip() for line in EXAMPLE.read_text().splitlines())
    return [name for line in lines if (name := line.partition("=")[0]).isupper() and "=" in line and " " not in name]


@contextlib.contextmanager
def no_audit_triggers() -> Iterator[None]:
    """Disable the triggers that protect the audit log inside the block."""
    table = "accounts_auditrecord"
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            off = [f"ALTER TABLE {table} DISABLE TRIGGER USER"]
            on = [f"ALTER TABLE {table} ENABLE TRIGGER USER"]
        else:
            cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = %s", [table])
            triggers = cursor.fetchall()
            off, on = [f"DROP TRIGGER {name}" for name, _sql in triggers], [sql for _name, sql in triggers]
        for statement in off:
            cursor.execute(statement)
        try:
            yield
        finally:
            for statement in on:
                cursor.execute(statement)


def _hang_up_counts() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup around the tests would make the child ignore it


class RedisServer:
    """A redis-server on a private socket in `folder`; it can be stopped, emptied and started again."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "redis.sock"
        self.url = f"unix://{self.socket}?db=0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        server = embedded_redis.find_server()
        if server is None:
            raise FileNotFoundError("there is no redis-server 6.2 or later")
        command = embedded_redis.command(server, self.socket)
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603
        wait_until(self.answers, "Redis answers")

    def stop(self) -> None:
        """Kill it; everything in it is gone."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop the process inside the block: connections stay open and nothing answers."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def answers(self) -> bool:
        """Whether it answers a PING."""
        try:
            with redis.Redis.from_url(self.url) as client:
                return bool(client.ping())
        except redis.ConnectionError:
            return False

    def flush(self) -> None:
        """Empty it."""
        with redis.Redis.from_url(self.url) as client:
            client.flushall()


class RunningDesk:
    """What `./run` starts, with a data directory and ports of its own. `environment` goes over the defaults. With `roles`
    it is a machine that does these alone.

    `base_url` and `sandbox_url` have no slash at the end; `passwords` has those of `admin` (manager, Django admin) and
    of `linh` (operator). `environment` is what its processes are given. `migrated` is a SQLite database that it begins
    with: its migrations take longer than the rest of a first start.
    """

    def __init__(self, folder: Path, *roles: str, migrated: str = "", **environment: str) -> None:
        self.roles = roles
        self._migrated = migrated
        self.data_dir = folder / "var"
        self.port = free_port(2)  # the sandbox takes the one after it
        self.base_url = f"http://127.0.0.1:{self.port}"
        self._output = folder / "output.txt"
        # Empty means unset, and keeps a developer's own .env out of it.
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("DESK_", "THUESIM_"))},
            **dict.fromkeys(known_names(), ""),
            "PORT": str(self.port),
            "DESK_DATA_DIR": str(self.data_dir),
            "DESK_WORKERS": "1",
            "THUESIM_RENT_GAP": "1.0",
            "THUESIM_POLL_INTERVAL": "1.0",
            **environment,
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, seconds: float = 400) -> None:
        """Start, and wait until it prints how to sign in, or what runs. Raises RuntimeError where it ends first."""
        if self._migrated and not self._folder.exists():
            self._folder.mkdir(mode=0o700, parents=True)
            shutil.copy(self._migrated, self._folder / demo.DATABASE)
        with self._output.open("w") as output:
            self.process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", "thuesim_site.start.supervise", *self.roles],
                cwd=BASE_DIR,
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=_hang_up_counts,
            )
        wait_until(lambda: self.ready() or not self.running(), "the desk is ready", seconds)
        if not self.ready():
            raise RuntimeError(f"the desk did not start:\n{self.output()}")

    def ready(self) -> bool:
        """Whether it has printed how to sign in, or without web processes what runs."""
        output = self.output()
        return "ThueSim Desk is ready" in output or "\nRunning: " in output

    def running(self) -> bool:
        """Whether `./run` itself still runs."""
        return self.process is not None and self.process.poll() is None

    def output(self) -> str:
        """Return what it printed on the terminal."""
        return self._output.read_text(errors="replace")

    def stop(self, number: signal.Signals = signal.SIGINT, seconds: float = 180) -> int:
        """Send a signal, wait for the end, and return the exit status."""
        if self.process is None:
            return 0
        if self.running():
            self.process.send_signal(number)
        return self.process.wait(seconds)

    @property
    def passwords(self) -> dict[str, str]:
        """The passwords that were made at the first start, by user name."""
        return {file.name.removesuffix("-password"): file.read_text() for file in self._folder.glob("*-password")}

    @property
    def _folder(self) -> Path:
        """Where its database and its secrets lie."""
        is_apart = not self.environment["THUESIM_BASE_URL"] and not self.environment["DATABASE_URL"]
        return self.data_dir / demo.FOLDER if is_apart else self.data_dir

    @property
    def sandbox_url(self) -> str:
        """Where the stand-in upstream listens; its control addresses are below `/_sandbox/`."""
        command = next(command for command in self.processes().values() if "sandbox" in command)
        return f"http://127.0.0.1:{command[command.index('--port') + 1]}"

    def sandbox(self, name: str, **body: Any) -> Any:
        """Control the stand-in upstream: POST `body` to `/_sandbox/<name>` and return its answer."""
        answer = requests.post(f"{self.sandbox_url}/_sandbox/{name}", json=body, timeout=60)
        answer.raise_for_status()
        return answer.json()

    def processes(self) -> dict[int, list[str]]:
        """Return the command line of every running process of this desk, by process id; those that `./run` forks are shown
        as `desk` and their name. Linux only."""
        variable = f"DESK_DATA_DIR={self.data_dir}\0".encode()
        commands = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if variable in (folder / "environ").read_bytes():
                    commands[int(folder.name)] = (folder / "cmdline").read_text().rstrip("\0").split("\0")
            except OSError:  # the process has ended
                continue
        return {pid: command for pid, command in commands.items() if command != [""]}

    def pids_of(self, *words: str) -> set[int]:
        """Return the processes whose command line has all these words."""
        return {pid for pid, command in self.processes().items() if set(words) <= set(command)}
