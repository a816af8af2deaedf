"""`./run` once the requirements are there: checks, loads, prepares, keeps the processes running, and says how to sign in.

Whatever ends it (Ctrl-C, SIGTERM, a closed terminal, even SIGKILL) ends all of them.
"""

import argparse
import contextlib
import errno
import fcntl
import json
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import textwrap
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Any

from sandbox.catalog import demo_token
from thuesim_site.start import (
    checks,
    demo,
    embedded_redis,
    health,
    loading,
    modes,
    prepare,
    processes,
    programs,
    public_url_check,
    signs,
    upgrade,
    variables,
    welcome,
)
from thuesim_site.start.addresses import local_host
from thuesim_site.start.environment import read_dot_env, version
from thuesim_site.start.roles import listener, machine
from thuesim_site.start.variables import NoAnswer, WrongSetting, first_line

TICK_SECONDS = 0.2
GROUND_TICK_SECONDS = 0.05
MAX_GROUND_SECONDS = 20  # for the sandbox to answer; then the rest starts without it
READY_SECONDS = 60  # for a process to be ready that takes another one's place
MAX_START_SECONDS = 120  # until the first page, with the preparation
OPEN_FILES = 65536
ALL = "all"
ALIVE_SECONDS = 5.0  # from one sign of life to the next


def say(text: str) -> None:
    """Print, unless the terminal is gone."""
    try:
        print(text, flush=True)
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:  # the output is a file on a full disk: the next line may fit
            return
        # The terminal is closed.
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - for the rest of the process


def _json_line(message: str, level: str = "INFO", process: str = "run") -> str:
    """Return an object with the keys of `lib.log_lines.JsonLines`."""
    at = datetime.now().astimezone().isoformat(timespec="milliseconds")
    return json.dumps({"at": at, "level": level, "process": process, "message": message}, ensure_ascii=False)


class Signals:
    """What signals have asked for: to stop (`stop`; at a second one at once, `hurry`), or to upgrade. `wakes` can be read
    once one has come."""

    def __init__(self) -> None:
        self.stop = self.hurry = self.upgrade = False
        signals = [signal.SIGINT, signal.SIGTERM, signal.SIGQUIT]
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # under nohup it stays ignored
            signals.append(signal.SIGHUP)
        for number in signals:
            signal.signal(number, self._stop)
        signal.signal(signs.UPGRADE, self._upgrade)
        # That a process has ended wakes as well: nobody has to look all the time.
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self.wakes, wake = os.pipe()
        os.set_blocking(self.wakes, False)
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        # What came while the version before handed over.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {*signals, signs.UPGRADE})

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.stop, self.hurry = True, self.stop

    def _upgrade(self, number: int, frame: FrameType | None) -> None:
        self.upgrade = True


@contextlib.contextmanager
def hold(data_dir: Path, roles: Iterable[checks.Role] = checks.Role) -> Iterator[list[int]]:
    """Keep other runs out of the data directory inside the block, but for those of other roles. Gives the numbers of the
    files that lock it. Raises WrongSetting."""
    kinds = dict.fromkeys(_locks(roles), fcntl.LOCK_EX)
    kinds["run.lock"] = fcntl.LOCK_EX if len(kinds) == 1 else fcntl.LOCK_SH
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context((data_dir / name).open("a+")) for name in kinds]
        for file, kind in zip(files, kinds.values(), strict=True):
            try:
                fcntl.flock(file, kind | fcntl.LOCK_NB)
            except OSError:
                raise WrongSetting(f"DESK_DATA_DIR names {data_dir}, which another ./run is using now.") from None
        files[-1].truncate(0)
        files[-1].write(f"{os.getpid()}\n")
        files[-1].flush()
        yield [file.fileno() for file in files]


def _locks(roles: Iterable[checks.Role]) -> list[str]:
    """Return the names of the files that a run with these roles locks; the last one has its process id."""
    roles = set(roles)
    return ["run.lock", *(f"run-{role}.lock" for role in sorted(roles) if roles != set(checks.Role))]


class Supervision:
    """One run, from the preparation to the last process's end. `given` is the environment at its start, `handed` the
    processes and files of the former version in an upgrade, `locks` the files that lock the data directory.
    """

    def __init__(
        self, setup: checks.Setup, given: dict[str, str], handed: upgrade.HandedOver | None, locks: list[int]
    ) -> None:
        self.setup, self.given, self.handed, self.locks = setup, given, handed, locks
        self.environment = checks.environment_for(setup)
        self.environment[signs.RUN] = machine.run_sign(version(), _shown(setup.roles))
        self.signals = Signals()
        self.demo_moved = False
        self.about: dict[str, Any] = {}
        self.began = self.alive_at = time.monotonic()
        self.preparation: subprocess.Popen[bytes] | None = None
        self.is_replacing = handed is not None
        self.logs_json = variables.LOG_FORMAT.read() == "json"

    def say(self, text: str, level: str = "INFO") -> None:
        """Print; with DESK_LOG_FORMAT=json as one object, without the rules and the columns that a terminal shows."""
        if self.logs_json:
            lines = (" ".join(line.strip("─").split()) for line in text.splitlines())
            text = _json_line("\n".join(filter(None, lines)), level)
        say(text)

    def warn(self, text: str) -> None:
        """Print what a person is to look at."""
        self.say(text, "WARNING")

    def relay(self, process: str, line: str) -> None:
        """Print what a process wrote: an object of its log, or a line past it such as one of a traceback."""
        if not self.logs_json or line.startswith("{"):
            say(line)
        elif line:
            say(_json_line(line, process=process))

    def run(self) -> int:
        """Return the exit status. In an upgrade everything is prepared."""
        self.say("Starting ThueSim Desk …" if self.handed is None else f"Upgrading to {version()} …")
        if self.setup.storage_problem:
            self.warn(f"{self.setup.storage_problem} Recordings and exports wait for it; orders and codes do not.")
        self.demo_moved = self.handed is None and _set_demo_apart(self.setup)
        os.environ.update(self.environment)  # beside what only the first start reads
        loading.load_django()
        if self.handed is not None:
            loading.load_libraries()
        elif (status := self._prepare()) or self.signals.stop:
            return status
        for name in set(os.environ) - set(self.environment):
            del os.environ[name]
        _allow_open_files()
        listening = self._listen()
        former = self.handed.processes if self.handed else ()
        running = processes.Processes(
            programs.programs(self.setup), self.warn, former, relay=self.relay, wakes=self.signals.wakes
        )
        try:
            running.tend(0, ground_only=True)
            loading.load_site()  # meanwhile
            self._watch(running)
            self._drain(running)
        finally:
            self.say("\nStopping …")
            if self.preparation is not None:
                self.preparation.kill()
            if listening is not None:
                listening.close()
            running.stop(hurry=lambda: self.signals.hurry)
        self.say("Stopped.")
        return 0

    def _listen(self) -> socket.socket | None:
        """Open the port of the pages, or take it over. Raises WrongSetting."""
        if checks.Role.WEB not in self.setup.roles:
            return None
        try:
            opened = listener.listening(self.setup.host, self.setup.port)
        except OSError as error:
            raise WrongSetting(f"PORT is {self.setup.port}, which cannot be used ({first_line(error)}).") from None
        opened.set_inheritable(False)
        os.environ[signs.LISTENER] = str(opened.fileno())
        return opened

    def _drain(self, running: processes.Processes) -> None:
        """Go on for a while as a machine that is not ready: so a load balancer sends no more to it."""
        if not self.setup.drain or checks.Role.WEB not in self.setup.roles:
            return
        self.say(f"Not ready from now on; stopping in {self.setup.drain:g} s …")
        running.send_to_web(signs.LEAVE)
        end = time.monotonic() + self.setup.drain
        while time.monotonic() < end and not self.signals.hurry:
            running.tend(TICK_SECONDS)

    def _prepare(self) -> int:
        """Migrate and the rest, in a process of its own; what it says about signing in is kept."""
        if self.setup.redis_server:
            socket = embedded_redis.socket_path(self.setup.data_dir)
            if socket.parent != self.setup.data_dir:
                embedded_redis.private_folder(socket.parent)
        answer, answer_to = os.pipe()

        def work() -> int:
            os.write(answer_to, json.dumps(prepare.prepare()).encode())
            return 0

        pid = processes.fork("prepare", work, sys.stderr.fileno())
        os.close(answer_to)
        loading.load_libraries()  # meanwhile
        with os.fdopen(answer, "rb") as file:
            while not select.select([file], [], [], TICK_SECONDS)[0]:
                if self.signals.stop:
                    os.kill(pid, signal.SIGTERM)
            output = file.read()
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if status == 0:
            self.about = json.loads(output)
        elif not self.signals.stop:
            self.warn("The database could not be prepared; the reason stands above.")
        return 0 if self.signals.stop else status

    def _watch(self, running: processes.Processes) -> None:
        """Until it is time to stop: pass the callback address on, then say that the first page is there.

        The workers begin once the sandbox has its callback address. They would read the services from it at once, and what
        failed is read again only after 15 s.
        """
        end = time.monotonic() + MAX_GROUND_SECONDS
        pass_on, welcome = self._pass_on_callback_url, self._welcome_once
        steps = [pass_on, welcome] if self.handed is None else []
        while not self.signals.stop:
            ground_only = pass_on in steps and time.monotonic() < end
            is_quiet = not steps and not self.is_replacing
            seconds = GROUND_TICK_SECONDS if ground_only else ALIVE_SECONDS if is_quiet else TICK_SECONDS
            running.tend(seconds, ground_only=ground_only)
            if not steps:
                self._upgrade(running)
            elif steps[0]():
                steps.pop(0)
            self._note_alive(running)

    def _note_alive(self, running: processes.Processes) -> None:
        """Every `ALIVE_SECONDS`, while all processes run, touch the file that `health` looks at."""
        if time.monotonic() - self.alive_at > ALIVE_SECONDS and running.are_well:
            self.alive_at = time.monotonic()
            health.note_alive(self.setup)

    def _upgrade(self, running: processes.Processes) -> None:
        """Take the next step of an upgrade: replace a process, have the next version prepare, or hand over to it."""
        arguments = sys.argv[1:]
        if self.is_replacing:
            self.is_replacing = running.is_replacing
            if not running.replace(READY_SECONDS):
                self.warn(
                    f"Not upgraded: a process of {version()} is not ready. The former ones go on. Mend it, and try again."
                )
            elif not self.is_replacing:
                self.say(f"Upgraded to {version()}.")
        elif self.preparation is not None:
            status = self.preparation.poll()
            if status == 0:
                handed = upgrade.HandedOver(str(self.setup.data_dir), running.former_for_next(), self.locks)
                number = os.environ.get(signs.LISTENER)
                upgrade.execute_next(arguments, self.given, self.setup, handed, int(number) if number else None)
            elif status is not None:
                self.preparation = None
                self.warn("Not upgraded: the reason stands above. The desk goes on as it was.")
        elif self.signals.upgrade:
            self.signals.upgrade = False
            self.say("Preparing an upgrade …")
            self.preparation = upgrade.begin_preparation(arguments, self.given, self.setup)

    def _pass_on_callback_url(self) -> bool:
        """Tell the sandbox where to post, over its control address: a command line could be read by others.

        Returns whether there is nothing left to do.
        """
        if not self.about["callback_url"]:
            return True
        body = json.dumps({"url": self.about["callback_url"]}).encode()
        return _request(f"http://127.0.0.1:{self.setup.sandbox_port}/_sandbox/callback", body)

    def _welcome_once(self) -> bool:
        """Say how to sign in once the first page is there, or where to look when it takes long. Returns whether it did."""
        if checks.Role.WEB not in self.setup.roles:
            self.say(
                f"Running: {', '.join(program.name for program in programs.programs(self.setup))}. Ctrl-C stops them."
            )
            # Of this machine alone, perhaps: no page and no /readyz of another one says so.
            if self.about["key_missing"]:
                self.warn(self.about["key_missing"])
        elif self._answers():
            url = self.setup.public_url or self._local_url()
            self.say(welcome.welcome(self.setup, self.about, url, demo_moved=self.demo_moved))
        elif time.monotonic() - self.began > MAX_START_SECONDS:
            self.warn("The web server does not answer yet; the reason may stand above.")
        else:
            return False
        return True

    def _local_url(self) -> str:
        return f"http://{local_host(self.setup.host)}:{self.setup.port}"

    def _answers(self) -> bool:
        return _request(f"{self._local_url()}/accounts/login/")


def _set_demo_apart(setup: checks.Setup) -> bool:
    """Move an earlier version's demo out of the data directory, unless that is in use. Returns whether it was moved."""
    folder = variables.DATA_DIR.read()
    if setup.data_dir == folder:  # which is held already
        return demo.set_apart(folder, demo_token(seed=1))
    try:
        with hold(folder):
            return demo.set_apart(folder, demo_token(seed=1))
    except WrongSetting:
        return False


def _request(url: str, body: bytes | None = None) -> bool:
    """Whether a GET (or, with a body, a POST of JSON) is answered well, within two seconds.

    A redirect is a good answer: where the public address is https, plain requests are sent there.
    """
    request = urllib.request.Request(url, data=body, headers={"Content-Type": "application/json"})  # noqa: S310 - ours
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect)
    try:
        with opener.open(request, timeout=2) as answer:
            return bool(answer.status == 200)
    except urllib.error.HTTPError as answer:
        return answer.status == 301
    except OSError:
        return False


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Leave a redirect to the caller, as an HTTPError: it leads away from this machine."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _allow_open_files() -> None:
    """Each open screen is an open file: raise the limit as far as we may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _ask_for_upgrade(roles: set[checks.Role]) -> int:
    read_dot_env()
    pid = upgrade.ask_for_upgrade(demo.data_dir() / _locks(roles)[-1])
    say(f"Process {pid} upgrades; its log says how it goes.")
    return 0


def _check(roles: set[checks.Role], *, newer_database_is_fine: bool) -> int:
    """Check the settings, of a desk that runs as well; then have it ask itself through its public address. Returns the exit
    status: 1 where people would not get through that address, or not as they should."""
    is_running = _is_held(demo.data_dir(), roles)
    setup = checks.check(roles, ports_are_ours=is_running, newer_database_is_fine=newer_database_is_fine)
    if setup.storage_problem:
        raise NoAnswer(setup.storage_problem)
    checks.check_providers()
    unknown = {"sandbox_port"} if is_running else set()
    say("\n".join(f"{name}: {_shown(value)}" for name, value in vars(setup).items() if name not in unknown))
    for name, digits in checks.fingerprints().items():
        say(f"{name}: fingerprint {digits}")
    others, differences = machine.other_machines(version(), _shown(setup.roles))
    for line in ([f"other machines: {', '.join(others)}"] if others else []) + differences:
        say(line)
    if not setup.public_url:
        return int(bool(differences))
    say(f"\nAsking {setup.public_url}/ from here; that takes about twenty seconds …")
    answers_here = checks.Role.WEB in setup.roles and not is_running
    findings = public_url_check.findings(setup, answers_here=answers_here)
    lines = [f"Warning: {sentence}" if is_warning else sentence for sentence, is_warning in findings]
    for line in lines or ["All arrives as it should."]:
        say(textwrap.fill(f"- {line}", 110, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False))
    return int(bool(differences) or not all(is_warning for _sentence, is_warning in findings))


def _is_held(data_dir: Path, roles: Iterable[checks.Role]) -> bool:
    """Whether another run has the data directory."""
    try:
        with hold(data_dir, roles):
            return False
    except WrongSetting:
        return True
    except OSError:  # there is none yet
        return False


def _shown(value: object) -> str:
    return " ".join(role for role in checks.Role if role in value) if isinstance(value, frozenset) else str(value)


def main() -> int:
    """Return the exit status: 2 for a wrong setting, 75 where what it names does not answer now."""
    os.umask(modes.UMASK)
    given, handed = dict(os.environ), upgrade.taken_over()
    given.pop(signs.FORMER, None)
    parser = argparse.ArgumentParser("./run", description="Start ThueSim Desk; .env.example lists the settings.")
    parser.add_argument(
        "roles",
        nargs="*",
        metavar="ROLE",
        help="what this machine does: web, worker, slow, beat, or all of it (the default); several may be named",
    )
    parser.add_argument("--check", action="store_true", help="check the settings, show what follows from them, and end")
    parser.add_argument(
        "--upgrade", action="store_true", help="have the desk that runs go on with the code that is in its folder now"
    )
    parser.add_argument(
        "--newer-database",
        action="store_true",
        help="start although the version after this one has migrated the database",
    )
    parser.add_argument(upgrade.PREPARE, action="store_true", help=argparse.SUPPRESS)  # which it asks of the new code
    parser.add_argument("--version", action="version", version=f"ThueSim Desk {version()}")
    options = parser.parse_args()
    unknown = set(options.roles) - {ALL, *checks.Role}
    if unknown:
        parser.error(f"there is no role {', '.join(sorted(unknown))}: take of {', '.join(checks.Role)}, or {ALL}")
    everything = not options.roles or ALL in options.roles
    roles = set(checks.Role if everything else map(checks.Role, options.roles))
    try:
        if options.upgrade:
            return _ask_for_upgrade(roles)
        if options.check:
            return _check(roles, newer_database_is_fine=options.newer_database)
        setup = checks.check(roles, ports_are_ours=handed is not None, newer_database_is_fine=options.newer_database)
        if options.prepare and handed is not None:
            return upgrade.prepare_next(setup, handed)
        if handed is not None:
            return Supervision(setup, given, handed, handed.locks).run()
        with hold(setup.data_dir, roles) as locks:
            return Supervision(setup, given, None, locks).run()
    except WrongSetting as wrong:
        print(f"./run: {wrong}", file=sys.stderr)
        return os.EX_TEMPFAIL if isinstance(wrong, NoAnswer) else 2  # systemd starts again but after 2


if __name__ == "__main__":
    sys.exit(main())
