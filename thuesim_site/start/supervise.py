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
import sys
import textwrap
import time
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from sandbox.catalogue import demo_token
from thuesim_site.start import checks, demo, embedded_redis, loading, modes, prepare, processes, programs, variables
from thuesim_site.start.addresses import local_host
from thuesim_site.start.environment import BASE_DIR
from thuesim_site.start.variables import WrongSetting

TICK_SECONDS = 0.2
GROUND_TICK_SECONDS = 0.05
MAX_GROUND_SECONDS = 20  # for the sandbox to answer; then the rest starts without it
MAX_START_SECONDS = 120  # until the first page, with the preparation
OPEN_FILES = 65536
ALL = "all"


def say(text: str) -> None:
    """Print, unless the terminal is gone."""
    try:
        print(text, flush=True)
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:  # the output is a file on a full disk: the next line may fit
            return
        # The terminal is closed.
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - for the rest of the process


class Stop:
    """Whether a stop signal came; true from the first signal on."""

    def __init__(self) -> None:
        self.wanted = False
        signals = [signal.SIGINT, signal.SIGTERM, signal.SIGQUIT]
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # under nohup it stays ignored
            signals.append(signal.SIGHUP)
        for number in signals:
            signal.signal(number, self._want)

    def _want(self, number: int, frame: FrameType | None) -> None:
        self.wanted = True


@contextlib.contextmanager
def hold(data_dir: Path, roles: Iterable[checks.Role] = checks.Role) -> Iterator[None]:
    """Keep other runs out of the data directory inside the block, but for those of other roles. Raises WrongSetting."""
    roles = set(roles)
    everything = roles == set(checks.Role)
    locks = [("run.lock", fcntl.LOCK_EX if everything else fcntl.LOCK_SH)]
    locks += [] if everything else [(f"run-{role}.lock", fcntl.LOCK_EX) for role in sorted(roles)]
    with contextlib.ExitStack() as files:
        for name, kind in locks:
            file = files.enter_context((data_dir / name).open("a+"))
            try:
                fcntl.flock(file, kind | fcntl.LOCK_NB)
            except OSError:
                raise WrongSetting(f"DESK_DATA_DIR names {data_dir}, which another ./run is using now.") from None
        yield


class Supervision:
    """One run, from the preparation to the last process's end."""

    def __init__(self, setup: checks.Setup) -> None:
        self.setup = setup
        self.environment = checks.environment_for(setup)
        self.stop = Stop()
        self.demo_moved = False
        self.about: dict[str, Any] = {}
        self.began = time.monotonic()

    def run(self) -> int:
        """Return the exit status."""
        say("Starting ThueSim Desk …")
        if self.setup.storage_problem:
            say(f"{self.setup.storage_problem} Recordings and exports wait for it; orders and codes do not.")
        self.demo_moved = _set_demo_apart(self.setup)
        os.environ.update(self.environment)  # beside what only the first start reads
        loading.load_django()
        status = self._prepare()
        if status or self.stop.wanted:
            return status
        for name in set(os.environ) - set(self.environment):
            del os.environ[name]
        _allow_open_files()
        running = processes.Processes(programs.programs(self.setup), say)
        try:
            running.tend(0, ground_only=True)
            loading.load_site()  # meanwhile
            self._watch(running)
        finally:
            say("\nStopping …")
            running.stop()
        say("Stopped.")
        return 0

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
                if self.stop.wanted:
                    os.kill(pid, signal.SIGTERM)
            output = file.read()
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if status == 0:
            self.about = json.loads(output)
        elif not self.stop.wanted:
            say("The database could not be prepared; the reason stands above.")
        return 0 if self.stop.wanted else status

    def _watch(self, running: processes.Processes) -> None:
        """Until it is time to stop: hand the callback address over, then say that the first page is there.

        The workers begin once the sandbox has its callback address. They would read the services from it at once, and what
        failed is read again only after 15 s.
        """
        end = time.monotonic() + MAX_GROUND_SECONDS
        hand_over, welcome = self._hand_over_callback_url, self._welcome_once
        steps = [hand_over, welcome]
        while not self.stop.wanted:
            ground_only = hand_over in steps and time.monotonic() < end
            running.tend(GROUND_TICK_SECONDS if ground_only else TICK_SECONDS, ground_only=ground_only)
            if steps and steps[0]():
                steps.pop(0)

    def _hand_over_callback_url(self) -> bool:
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
            say(f"Running: {', '.join(program.name for program in programs.programs(self.setup))}. Ctrl-C stops them.")
        elif self._answers():
            say(self._welcome())
        elif time.monotonic() - self.began > MAX_START_SECONDS:
            say("The web server does not answer yet; the reason may stand above.")
        else:
            return False
        return True

    def _local_url(self) -> str:
        return f"http://{local_host(self.setup.host)}:{self.setup.port}"

    def _answers(self) -> bool:
        return _request(f"{self._local_url()}/accounts/login/")

    def _welcome(self) -> str:
        lines = [f"  {self.setup.public_url or self._local_url()}/", ""]
        for person in self.about["people"]:
            password = person["password"] or person["password_file"] or "(the one you set)"
            lines.append(f"  sign in as  {person['username']:<8}  password  {password:<16}  {person['role']}")
        lines += self._about_the_demo()
        if self.setup.demo:
            lines += ["", "  Demo mode: the sandbox stands in for ThueSim, and no money is spent."]
            if variables.THUESIM_TOKEN.read():
                lines.append("  THUESIM_TOKEN is not used in demo mode: set THUESIM_BASE_URL as well.")
        if refused := self.about["token_refused"]:
            lines += ["", f"  THUESIM_TOKEN: {refused}", "  Sign in as an admin and open System, Set up ThueSim."]
        if not self.about["has_token"]:
            lines += ["", "  No token yet: sign in as an admin, and the desk leads from the token to the first number."]
        if self.setup.public_url.startswith("https://") and not variables.PROXIES.read():
            lines += ["", "  DESK_PROXIES names no proxy: all who come through one count as one address (see README)."]
        lines.append(f"  Ctrl-C stops everything; the data stays in {self.setup.data_dir}")
        rule = "─" * max(len(line) + 2 for line in lines)
        warning = [textwrap.fill(self.about["key_missing"], len(rule)), rule] if self.about["key_missing"] else []
        return "\n".join([rule, "  ThueSim Desk is ready", "", *lines, rule, *warning])

    def _about_the_demo(self) -> list[str]:
        """Say where the demo is, seen from the true service."""
        lines, apart = [], variables.DATA_DIR.read() / demo.FOLDER
        if self.demo_moved:
            lines.append(f"  The demo of an earlier version was moved to {apart}.")
        if not self.setup.demo and (apart / demo.DATABASE).exists():
            lines.append(f"  Nothing of the demo is in this database: it stays in {apart}.")
        if rentals := self.about["demo_rentals"]:
            lines.append(
                f"  This database has {rentals} rentals of the demo, with their money: filter by the token Demo."
            )
        return ["", *lines] if lines else []


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


def version() -> str:
    """Return the release, as `pyproject.toml` has it."""
    return str(tomllib.loads((BASE_DIR / "pyproject.toml").read_text())["project"]["version"])


def _shown(value: object) -> str:
    return " ".join(role for role in checks.Role if role in value) if isinstance(value, frozenset) else str(value)


def main() -> int:
    """Return the exit status: 2 for a wrong setting."""
    os.umask(modes.UMASK)
    parser = argparse.ArgumentParser("./run", description="Start ThueSim Desk; .env.example lists the settings.")
    parser.add_argument(
        "roles",
        nargs="*",
        metavar="ROLE",
        help="what this machine does: web, worker, slow, beat, or all of it (the default); several may be named",
    )
    parser.add_argument("--check", action="store_true", help="check the settings, show what follows from them, and end")
    parser.add_argument("--version", action="version", version=f"ThueSim Desk {version()}")
    options = parser.parse_args()
    unknown = set(options.roles) - {ALL, *checks.Role}
    if unknown:
        parser.error(f"there is no role {', '.join(sorted(unknown))}: take of {', '.join(checks.Role)}, or {ALL}")
    everything = not options.roles or ALL in options.roles
    try:
        setup = checks.check(checks.Role if everything else map(checks.Role, options.roles))
        with hold(setup.data_dir, setup.roles):
            if options.check:
                if setup.storage_problem:
                    raise WrongSetting(setup.storage_problem)
                say("\n".join(f"{name}: {_shown(value)}" for name, value in vars(setup).items()))
                return 0
            return Supervision(setup).run()
    except WrongSetting as wrong:
        print(f"./run: {wrong}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
