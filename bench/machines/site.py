"""The desk's own machines, and everything that runs in one run. Needs root."""

import contextlib
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import django
import requests
from cryptography.fernet import Fernet

from bench.machines import parts
from bench.machines.network import SUBNET, Machine, Network
from sandbox.catalog import demo_token
from thuesim_site.start import embedded_redis
from thuesim_site.start.environment import BASE_DIR
from thuesim_site.testing import known_names, wait_until

PORT = 8000
START_SECONDS = 180
GAP_SECONDS, LIFETIME_SECONDS = 5.0, 60.0
ROLES = {"web1": ["web"], "web2": ["web"], "worker1": ["worker", "slow", "beat"], "worker2": ["worker", "slow", "beat"]}


class Desk:
    """What `./run ROLE …` starts on one machine."""

    def __init__(self, machine: Machine, roles: list[str], environment: Mapping[str, str]) -> None:
        self.machine, self._roles = machine, roles
        self._output, self._data = machine.folder / "run.txt", machine.folder / "var"
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("DESK_", "THUESIM_"))},
            **dict.fromkeys(known_names(), ""),
            **environment,
            "PYTHONPATH": str(BASE_DIR),
            "DESK_DATA_DIR": str(self._data),
            "HOST": machine.address,
            "PORT": str(PORT),
        }

    def take_static_files(self, other: "Desk") -> None:
        """Take over what another machine has collected and compressed, which takes a while."""
        self._data.mkdir(mode=0o700)
        shutil.copytree(other._data / "static", self._data / "static")

    def begin(self) -> None:
        """Start, without waiting."""
        with self._output.open("w") as output:
            self._process = self.machine.spawn(
                [sys.executable, "-m", "thuesim_site.start.supervise", *self._roles], self._environment, output=output
            )

    def wait(self) -> None:
        """Wait until it is ready. Raises RuntimeError where it ended."""
        wait_until(
            lambda: self._ready() or self._process.poll() is not None, f"{self.machine.name} is ready", START_SECONDS
        )
        if not self._ready():
            raise RuntimeError(f"{self.machine.name} did not start:\n{self._output.read_text()}")

    def _ready(self) -> bool:
        output = self._output.read_text(errors="replace")
        return "ThueSim Desk is ready" in output or "\nRunning: " in output


class Site:
    """Load balancer, two web machines, two worker machines, PostgreSQL and Redis in twos, and the sandbox."""

    def __init__(
        self, *, tokens: int, workers: int, pgbouncer: bool, redis_server: Path | None, redis_tls: bool
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="desk-machines-"))
        self.folder.chmod(0o755)
        self.network = Network(self.folder)
        self.tokens = [demo_token(1, number) for number in range(1, tokens + 1)]
        self._workers, self._pgbouncer = workers, pgbouncer
        self._redis_server, self._redis_tls = redis_server, redis_tls

    def __enter__(self) -> Self:
        self.network.__enter__()
        try:
            self._start()
        except BaseException:
            self._end(keep=True)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(keep=kind is not None)

    def _start(self) -> None:
        machines = parts.network_machines(self.network)
        self.postgres = parts.PostgresPair(machines["db1"], machines["db2"])
        self.postgres.start()
        server = self._redis_server or embedded_redis.find_server()
        if server is None:
            raise FileNotFoundError("there is no redis-server")
        pair = [machines["redis1"], machines["redis2"]]
        self.redis: parts.RedisPair | parts.TlsRedis = (
            parts.TlsRedis(pair[0], server) if self._redis_tls else parts.RedisPair(pair, machines["lb"], server)
        )
        self.redis.start()
        options = ["--gap", str(GAP_SECONDS), "--lifetime", str(LIFETIME_SECONDS), "--message-after", "1-6"]
        options += ["--refund-after", "4", "--waiting-limit", "40", "--balance", "50000000"]
        self._upstream = parts.Upstream(machines["upstream"], self.tokens, *options)
        parts.load_balancer(machines["lb"], [machines["web1"], machines["web2"]], PORT)
        self.host = machines["lb"].address
        databases = f"{machines['db1'].address}:{parts.POSTGRES_PORT},{machines['db2'].address}:{parts.POSTGRES_PORT}"
        environment = {
            "DATABASE_URL": f"postgres://desk@{databases}/desk?target_session_attrs=read-write",
            "REDIS_URL": self.redis.url,
            "THUESIM_BASE_URL": self._upstream.url,
            "SECRET_KEY": "a key of sessions that all machines share",
            "DESK_SECRET_KEYS": Fernet.generate_key().decode(),
            "DESK_FILES_DIR": str(self.folder / "files"),
            "DESK_PUBLIC_URL": f"http://{self.host}",
            "DESK_ALLOWED_HOSTS": f"{SUBNET}.1",
            "DESK_PROXIES": self.host,
            "DESK_CALLBACK_ALLOW": f"{SUBNET}.0/24",
            "DESK_WORKERS": str(self._workers),
            "DESK_LOG_LEVEL": "WARNING",
            "THUESIM_RENT_GAP": str(GAP_SECONDS),
            "THUESIM_TIMEOUT": "5",
        }
        if self._pgbouncer:
            environment |= {"DATABASE_URL": parts.pgbouncer(machines["lb"], machines["db1"]), "DESK_PGBOUNCER": "yes"}
        self.desks = {name: Desk(machines[name], roles, environment) for name, roles in ROLES.items()}
        self.desks["web1"].begin()
        self.desks["web1"].wait()
        for desk in list(self.desks.values())[1:]:
            desk.take_static_files(self.desks["web1"])
            desk.begin()
        for desk in list(self.desks.values())[1:]:
            desk.wait()
        wait_until(self._answers, "the load balancer has a machine", 60)
        os.environ.update(environment, DESK_DATA_DIR=str(self.folder / "here"))
        os.environ["DJANGO_SETTINGS_MODULE"] = "thuesim_site.settings"
        (self.folder / "here").mkdir()
        django.setup()

    def _answers(self) -> bool:
        with contextlib.suppress(requests.RequestException):
            return requests.get(f"http://{self.host}/readyz", timeout=5).ok
        return False

    def _end(self, *, keep: bool) -> None:
        for desk in getattr(self, "desks", {}).values():
            for pid in desk.machine.processes():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
        time.sleep(1)
        self.network.__exit__(None, None, None)
        if keep:
            print(f"what the processes wrote is kept in {self.folder}")
        else:
            shutil.rmtree(self.folder, ignore_errors=True)

    def machine(self, name: str) -> Machine:
        """The machine of this name."""
        return self.network.machines[name]

    @property
    def address(self) -> str:
        """Where people and callbacks come in."""
        return f"http://{self.host}"

    def upstream(self, name: str, /, **body: Any) -> Any:
        """Read or turn a knob of the sandbox."""
        return self._upstream.ask(name, **body)

    def books(self, token: str) -> Any:
        """The sandbox's own books of a token."""
        return self.upstream(f"books?token={token}")
