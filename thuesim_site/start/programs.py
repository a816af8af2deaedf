"""What runs: the processes of `./run` with their command lines."""

import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rentals.task_names import QUICK_QUEUES, TaskQueue
from thuesim_site.start import embedded_redis
from thuesim_site.start.checks import Setup

# The web process, without its address and its log. The measurements start it as it is here.
WEB = [
    *[sys.executable, "-m", "uvicorn", "thuesim_site.asgi:application"],
    *["--loop", "uvloop", "--http", "thuesim_site.connections:Connection", "--ws", "none"],
    *["--lifespan", "off", "--no-proxy-headers"],
    *["--timeout-graceful-shutdown", "5", "--no-access-log", "--no-server-header"],
]
QUICK_THREADS, SLOW_THREADS = 16, 2


@dataclass(frozen=True)
class Program:
    """One process. A `ground` one serves the others and stops after them; of a `quiet` one only errors are shown."""

    name: str
    command: list[str]
    ground: bool = False
    quiet: bool = False

    @property
    def is_ours(self) -> bool:
        """Whether it runs the desk's own code, which `./run` has loaded already."""
        return not self.ground


def programs(setup: Setup) -> list[Program]:
    """Return everything that runs."""
    return [
        *_ground(setup),
        Program("web", _web(setup)),
        *(
            Program(name, _worker(setup, name, QUICK_QUEUES, QUICK_THREADS))
            for name in (f"worker-{number}" for number in range(1, setup.workers + 1))
        ),
        Program("slow", _worker(setup, "slow", [TaskQueue.SLOW], SLOW_THREADS)),
        Program("beat", _beat(setup)),
    ]


def _ground(setup: Setup) -> list[Program]:
    found = []
    if setup.redis_server:
        command = embedded_redis.command(setup.redis_server, embedded_redis.socket_path(setup.data_dir))
        found.append(Program("redis", command, ground=True, quiet=True))
    if setup.demo:
        state = str(setup.data_dir / "sandbox.sqlite3")
        options = ["--port", str(setup.sandbox_port), "--state", state, "--gap", str(setup.rent_gap)]
        found.append(Program("sandbox", [sys.executable, "-m", "sandbox", *options], ground=True, quiet=True))
    return found


def _web(setup: Setup) -> list[str]:
    return [
        *[*WEB, "--host", setup.host, "--port", str(setup.port)],
        *["--log-config", str(_log_config(setup.data_dir)), "--log-level", "warning"],
    ]


def _log_config(data_dir: Path) -> Path:
    """Write uvicorn's log settings: its own handlers would print past the redaction of ours, so its loggers get none."""
    path = data_dir / "uvicorn-log.json"
    path.write_text(json.dumps({"version": 1, "disable_existing_loggers": False}))
    return path


def _worker(setup: Setup, name: str, queues: Iterable[TaskQueue], threads: int) -> list[str]:
    options = [name, ",".join(queues), str(threads), setup.log_level]
    return [sys.executable, "-m", "thuesim_site.start.worker", *options]


def _beat(setup: Setup) -> list[str]:
    return [sys.executable, "-m", "thuesim_site.start.beat", setup.log_level]
