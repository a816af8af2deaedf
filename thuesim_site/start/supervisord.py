"""The processes of `./run`, and the configuration of supervisord, which keeps them running."""

import json
import os
import shlex
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rentals.task_names import QUICK_QUEUES, TaskQueue
from thuesim_site.start import embedded_redis
from thuesim_site.start.checks import Setup
from thuesim_site.start.environment import BASE_DIR

STOP_SECONDS = 8  # then a process that ignores SIGTERM is killed
CELERY = [sys.executable, "-m", "celery", "-q", "-A", "thuesim_site"]
# The web process, without its address and its log. The measurements start it as it is here.
WEB = [
    *[sys.executable, "-m", "uvicorn", "thuesim_site.asgi:application"],
    *["--loop", "uvloop", "--http", "thuesim_site.connections:Connection", "--ws", "none"],
    *["--lifespan", "off", "--no-proxy-headers"],
    *["--timeout-graceful-shutdown", "5", "--no-access-log", "--no-server-header"],
]
QUICK_THREADS, SLOW_THREADS = 16, 2
OUTPUT = "/dev/fd/1"  # supervisord's own standard output: nothing is logged to a file that could fill a disk


@dataclass(frozen=True)
class Program:
    """One process. A `ground` one serves the others and stops after them; of a `quiet` one only errors are shown."""

    name: str
    command: list[str]
    ground: bool = False
    quiet: bool = False


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
    return data_dir / "uvicorn-log.json"


def _worker(setup: Setup, name: str, queues: Iterable[TaskQueue], threads: int) -> list[str]:
    return [
        *[*CELERY, "worker", "-n", f"{name}@%h", "-Q", ",".join(queues), "-P", "threads", "-c", str(threads)],
        *["-l", setup.log_level, "--without-gossip", "--without-mingle", "--without-heartbeat"],
    ]


def _beat(setup: Setup) -> list[str]:
    return [*CELERY, "beat", "--pidfile=", "-l", setup.log_level]


def write_configuration(setup: Setup) -> Path:
    """Write supervisord's configuration and uvicorn's log settings; return the configuration's path."""
    # uvicorn's own handlers would print past the redaction of ours: its loggers get none.
    _log_config(setup.data_dir).write_text(json.dumps({"version": 1, "disable_existing_loggers": False}))
    path = setup.data_dir / "supervisord.conf"
    path.write_text(configuration(setup))
    return path


def configuration(setup: Setup) -> str:
    """Return supervisord's configuration: every process is started again when it ends, none outlives its SIGTERM long."""
    running = programs(setup)
    sections = {"supervisord": _supervisord(setup)}
    for program in running:
        sections[f"program:{program.name}"] = _program(program)
    ground = [program.name for program in running if program.ground]
    if ground:
        sections["group:ground"] = {"programs": ",".join(ground), "priority": "1"}
    above = [program.name for program in running if not program.ground]
    sections["group:desk"] = {"programs": ",".join(above), "priority": "2"}
    return "\n".join(
        f"[{name}]\n" + "".join(f"{key}={value.replace('%', '%%')}\n" for key, value in options.items())
        for name, options in sections.items()
    )


def _supervisord(setup: Setup) -> dict[str, str]:
    return {
        "nodaemon": "true",
        "silent": "true",
        "identifier": "thuesim-desk",
        "logfile": OUTPUT,
        "logfile_maxbytes": "0",
        "loglevel": "warn",
        **({"user": "root"} if os.getuid() == 0 else {}),  # else it warns of root at each start
        "pidfile": str(setup.data_dir / "supervisord.pid"),
    }


def _program(program: Program) -> dict[str, str]:
    return {
        "command": shlex.join(program.command),
        "directory": str(BASE_DIR),
        "autostart": "true",
        "autorestart": "true",
        "startsecs": "1",
        "startretries": "1000000",
        "stopsignal": "TERM",
        "stopasgroup": "true",
        "killasgroup": "true",
        "stopwaitsecs": str(STOP_SECONDS),
        "environment": f'DESK_PROCESS="{program.name}"',
        "stdout_logfile": "NONE" if program.quiet else OUTPUT,
        "stdout_logfile_maxbytes": "0",
        "stderr_logfile": OUTPUT,
        "stderr_logfile_maxbytes": "0",
    }
