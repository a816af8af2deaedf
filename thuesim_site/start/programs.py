"""What runs: the processes of `./run` with their command lines."""

import sys
from collections.abc import Iterable
from dataclasses import dataclass

from rentals.task_names import QUICK_QUEUES, TaskQueue
from thuesim_site.start import embedded_redis
from thuesim_site.start.checks import Role, Setup

# A web process, without its address. The measurements start it as it is here.
WEB = [sys.executable, "-m", "thuesim_site.start.roles.web"]
QUICK_THREADS, SLOW_THREADS = 16, 4
SPARE_SECONDS = 10.0  # to write down what ThueSim has answered at the last moment


@dataclass(frozen=True)
class Program:
    """One process. A `ground` one serves the others and stops after them; of a `quiet` one only errors are shown; one that
    `listens` gets the socket of the pages. It has `stop_seconds` to stop in, 0 for the usual ones."""

    name: str
    command: list[str]
    ground: bool = False
    quiet: bool = False
    listens: bool = False
    stop_seconds: float = 0.0

    @property
    def is_ours(self) -> bool:
        """Whether it runs the desk's own code, which `./run` has loaded already."""
        return not self.ground


def programs(setup: Setup) -> list[Program]:
    """Return everything that runs here, in the order of `Role`."""
    return [*_ground(setup), *(program for role in Role if role in setup.roles for program in _OF_ROLE[role](setup))]


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


def _web(setup: Setup) -> list[Program]:
    command = [*WEB, setup.host, str(setup.port)]
    return [Program(name, command, listens=True) for name in _numbered("web", setup.web_processes)]


def _numbered(name: str, count: int) -> list[str]:
    return [name] if count == 1 else [f"{name}-{number}" for number in range(1, count + 1)]


def _workers(setup: Setup) -> list[Program]:
    names = (f"worker-{number}" for number in range(1, setup.workers + 1))
    return [_worker(setup, name, QUICK_QUEUES, QUICK_THREADS) for name in names]


def _slow(setup: Setup) -> list[Program]:
    return [_worker(setup, "slow", [TaskQueue.SLOW], SLOW_THREADS)]


def _worker(setup: Setup, name: str, queues: Iterable[TaskQueue], threads: int) -> Program:
    """A worker has the time to hear what ThueSim answers to a request that has left: it may be a number that was paid."""
    options = [name, ",".join(queues), str(threads), setup.log_level]
    command = [sys.executable, "-m", "thuesim_site.start.roles.worker", *options]
    return Program(name, command, stop_seconds=setup.thuesim_timeout + SPARE_SECONDS)


def _beat(setup: Setup) -> list[Program]:
    return [Program("beat", [sys.executable, "-m", "thuesim_site.start.roles.beat", setup.log_level])]


_OF_ROLE = {Role.WEB: _web, Role.WORKER: _workers, Role.SLOW: _slow, Role.BEAT: _beat}
