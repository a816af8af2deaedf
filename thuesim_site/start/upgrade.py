"""An upgrade while the desk works: the new code takes the place of the running `./run`, under its process id.

On `UPGRADE` the running version has the new one prepare the database and load its code, in a process of its own. Only
where that succeeds is the new code executed in the place of the old one. It finds the processes of the version before, and
replaces them one by one.
"""

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NoReturn

from thuesim_site.start import checks, loading, prepare, signs
from thuesim_site.start.environment import BASE_DIR
from thuesim_site.start.processes import STOP_SIGNALS, Former
from thuesim_site.start.variables import FIRST_START_ONLY, WrongSetting

PREPARE = "--prepare"


@dataclass(frozen=True)
class HandedOver:
    """What the version before leaves to the next one: its processes, and the numbers of the files that lock the data
    directory. The socket is in the environment."""

    data_dir: str
    processes: list[Former] = field(default_factory=list)
    locks: list[int] = field(default_factory=list)


def taken_over() -> HandedOver | None:
    """Return what the version before has left, None at an ordinary start. To be called once."""
    text = os.environ.pop(signs.FORMER, "")
    if not text:
        return None
    fields = json.loads(text)
    return HandedOver(fields["data_dir"], [Former(**one) for one in fields["processes"]], fields["locks"])


def _command(arguments: Iterable[str]) -> tuple[list[str], Path]:
    """Return the command line of the new version, and the folder that it is started in.

    A symbolic link above `run` is followed anew: it may point to another version's folder by now.
    """
    folder = os.environ.get(signs.FOLDER)
    if folder:
        return [f"{folder}/run", *arguments], Path(folder)
    return [sys.executable, "-m", "thuesim_site.start.supervise", *arguments], BASE_DIR


def _environment(given: Mapping[str, str], setup: checks.Setup, handed: HandedOver) -> dict[str, str]:
    """What `./run` was started with, so that `.env` is read anew; but for what cannot change while the port is open."""
    in_force = checks.environment_for(setup)
    fixed = ("HOST", "PORT", "DESK_DATA_DIR", "SANDBOX_PORT")
    hidden = {name for variable in FIRST_START_ONLY for name in (variable.name, f"{variable.name}_FILE")}
    return {
        **{name: value for name, value in given.items() if name not in hidden},
        **{name: in_force[name] for name in fixed if name in in_force},
        signs.FORMER: json.dumps(asdict(handed)),
    }


def begin_preparation(
    arguments: Iterable[str], given: Mapping[str, str], setup: checks.Setup
) -> "subprocess.Popen[bytes]":
    """Start what the new version does first. It prints where this process does. Raises OSError."""
    command, folder = _command([PREPARE, *arguments])
    environment = _environment(given, setup, HandedOver(str(setup.data_dir)))
    return subprocess.Popen(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, start_new_session=True)  # noqa: S603


def prepare_next(setup: checks.Setup, handed: HandedOver) -> int:
    """Do what the new version does first: migrate, collect the static files, load everything. Returns the exit status."""
    if str(setup.data_dir) != handed.data_dir:
        raise WrongSetting(f"DESK_DATA_DIR or THUESIM_BASE_URL names another desk than the one in {handed.data_dir}.")
    os.environ.update(checks.environment_for(setup))
    loading.load_django()
    prepare.prepare()
    loading.load_libraries()
    loading.load_site()
    return 0


def execute_next(
    arguments: Iterable[str], given: Mapping[str, str], setup: checks.Setup, handed: HandedOver, listener: int | None
) -> NoReturn:
    """Put the new version in the place of this process. Signals that come meanwhile wait for it. Raises OSError."""
    command, folder = _command(arguments)
    environment = _environment(given, setup, handed)
    files = [*handed.locks, *(number for one in handed.processes for number in (one.output, one.write_end))]
    if listener is not None:
        environment[signs.LISTENER] = str(listener)
        files.append(listener)
    for number in files:
        os.set_inheritable(number, True)
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS | {signs.UPGRADE})
    try:
        os.chdir(folder)
        os.execve(command[0], command, environment)  # noqa: S606 - the command line is ours
    finally:
        for number in files:
            os.set_inheritable(number, False)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS | {signs.UPGRADE})


def ask_for_upgrade(lock: Path) -> int:
    """Tell the `./run` that holds this file to go on with the code in its folder. Returns its process id."""
    with contextlib.suppress(OSError, ValueError), lock.open() as file:
        pid = int(file.read())
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            os.kill(pid, signs.UPGRADE)
            return pid
    raise WrongSetting(f"DESK_DATA_DIR names {lock.parent}, which no ./run is using now.")
