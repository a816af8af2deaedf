"""Run programs side by side: each is started again when it ends, and all are stopped in order.

A program of the desk's own code is forked from this process, which has loaded that code once: all share its memory, and it
begins at once. So this process has no threads and no connections, which a fork would tear in two.
"""

import contextlib
import ctypes
import logging
import os
import runpy
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from thuesim_site.start import signs
from thuesim_site.start.programs import Program

STOP_SECONDS = 8.0  # then a process that ignores SIGTERM is killed, unless its program names more
LEAVE_SECONDS = 60.0  # in which a process that an upgrade has replaced finishes what it has begun
START_SECONDS = 1.0  # what ends sooner is started again after a pause
MAX_PAUSE_SECONDS = 10.0
HURRY_SECONDS = 0.2  # at most between two looks at processes that are to be started, replaced or killed
MAX_FAILURES = 3  # in a row, of a process that is still well
MAX_OUTPUT_BYTES = 65536
STOP_SIGNALS = {signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP}
_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15
_ARGV_FIELDS = slice(45, 47)  # of /proc/self/stat behind the name: proc(5), arg_start and arg_end


def fork(name: str, work: Callable[[], int], output: int) -> int:
    """Do `work` in a process of its own, which ends with this one; return its id. `work` returns the exit status.

    The process has its own session, so that a terminal's Ctrl-C does not reach it, and nothing to read; what it writes goes
    to the file number `output`. Raises OSError where the system has no room for another process.
    """
    parent = os.getpid()
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)  # what comes in between is not for our own handlers
    try:
        pid = os.fork()
    except OSError:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
        raise
    if pid == 0:
        status = 1
        # Never past this block: the rest of the stack belongs to the parent.
        try:
            os.setsid()
            _end_with(parent)
            _show_as(name)
            for number, file in enumerate((os.open(os.devnull, os.O_RDONLY), output, output)):
                os.dup2(file, number)
            sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
            for number in (*STOP_SIGNALS, signs.UPGRADE, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            signal.set_wakeup_fd(-1)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
            status = work()
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
        except BaseException:  # noqa: BLE001 - the edge of the process
            traceback.print_exc()
        finally:
            with contextlib.suppress(OSError, ValueError):
                threading._shutdown()  # type: ignore[attr-defined]  # threads finish what they began, as at any exit
                logging.shutdown()
                sys.stdout.flush()
            os._exit(status)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    return pid


def _end_with(parent: int) -> None:
    """Have the kernel kill this process when its parent ends: nobody would be left to stop it. Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)


def _show_as(name: str) -> None:
    """Have `ps` and `top` show this process by its name, in the place of its parent's command line. Linux only."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_NAME, f"desk-{name}".encode(), 0, 0, 0)
    start, end = map(int, Path("/proc/self/stat").read_text().rpartition(")")[2].split()[_ARGV_FIELDS])
    title = f"desk\0{name}".encode()[: end - start - 1]
    ctypes.memmove(start, title.ljust(end - start, b"\0"), end - start)


class Running:
    """One program with its process. `pid` is None while it waits to be started again. `former` is a process that an upgrade
    found running, with the files that its output goes through."""

    def __init__(self, program: Program, former: "Former | None" = None) -> None:
        self.program = program
        # One for each: where several write to one pipe, their lines run into each other.
        self.output, self._write_end = (former.output, former.write_end) if former else os.pipe()
        os.set_blocking(self.output, False)
        self._line = b""
        self.pid: int | None = former.pid if former else None
        self.failures = 0  # in a row
        self.start_at = self.started_at = 0.0  # monotonic
        self.leaves = False  # it is not started again
        self.kill_at: float | None = None  # monotonic
        self._ready: int | None = None  # what its process says on, once it is ready

    def start(self, *, replaces: bool = False) -> None:
        """Start it, in the place of a former process that still runs if it `replaces` one. Its errors, and unless it is
        quiet its output, are read by `lines`."""
        self.started_at = time.monotonic()
        self._forget_ready()
        self._ready, ready_to = os.pipe()
        os.set_blocking(self._ready, False)
        try:
            self.pid = fork(self.program.name, lambda: self._work(ready_to, replaces=replaces), self._write_end)
        except OSError:  # too many processes, or no memory for one more
            self._wait()
        finally:
            os.close(ready_to)

    def _work(self, ready_to: int, *, replaces: bool) -> int:
        executable, *arguments = self.program.command
        os.environ["DESK_PROCESS"] = self.program.name
        keep = {self.program.name: ready_to} if self.program.is_ours else {}
        if self.program.is_ours:
            os.environ[signs.READY] = str(ready_to)
        if replaces:
            os.environ[signs.REPLACES] = "1"
        listener = os.environ.get(signs.LISTENER)
        if listener and self.program.listens:
            keep["listener"] = int(listener)
        elif listener:
            os.close(int(listener))  # the port closes with the web processes
            del os.environ[signs.LISTENER]
        if self.program.quiet:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        # Elsewhere than on Linux the system's own libraries may not be used after a fork.
        if not self.program.is_ours or sys.platform != "linux":
            for number in keep.values():
                os.set_inheritable(number, True)
            os.execv(executable, self.program.command)  # noqa: S606 - the command line is ours
        _, module, *options = arguments
        sys.argv = [module, *options]
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        return 0

    def has_ended(self) -> bool:
        """Whether its process has ended since the last call; then it is due to be started again."""
        if self.pid is None:
            return False
        ended, _status = os.waitpid(self.pid, os.WNOHANG)
        if ended == 0:
            return False
        self.pid = None
        self._wait()
        return True

    def is_ready(self) -> bool:
        """Whether its process has said that it can do its work."""
        if self._ready is None:
            return False
        with contextlib.suppress(BlockingIOError):
            return bool(os.read(self._ready, 1))
        return False

    def _forget_ready(self) -> None:
        if self._ready is not None:
            os.close(self._ready)
            self._ready = None

    def leave(self) -> None:
        """Have it finish what it has begun, and end; it is not started again. It is killed where that takes too long."""
        self.leaves = True
        self.kill_at = time.monotonic() + max(LEAVE_SECONDS, self.program.stop_seconds)
        if self.program.listens:
            self.send(signs.LEAVE)
        self.send(signal.SIGTERM)

    def kill_if_late(self) -> None:
        """Kill it where it was to end by now."""
        if self.kill_at is not None and time.monotonic() > self.kill_at:
            self.send(signal.SIGKILL)

    def close(self) -> None:
        """Close the files that its output went through."""
        self._forget_ready()
        os.close(self.output)
        os.close(self._write_end)

    @property
    def former(self) -> "Former | None":
        """What the next version has to know to take it over; None where it has no process."""
        if self.pid is None:
            return None
        return Former(
            self.program.name, self.pid, self.output, self._write_end, self.program.listens, self.program.stop_seconds
        )

    def _wait(self) -> None:
        now = time.monotonic()
        self.failures = self.failures + 1 if now - self.started_at < START_SECONDS else 0
        self.start_at = now + min(self.failures, MAX_PAUSE_SECONDS)

    def lines(self) -> list[str]:
        """Return the whole lines that have come."""
        with contextlib.suppress(BlockingIOError):
            *lines, self._line = (self._line + os.read(self.output, MAX_OUTPUT_BYTES)).split(b"\n")
            return [line.decode(errors="replace").rstrip() for line in lines]
        return []

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process and to what it started."""
        if self.pid is not None:
            with contextlib.suppress(ProcessLookupError):  # it has not come to its own session yet
                os.killpg(self.pid, number)


@dataclass(frozen=True)
class Former:
    """A process of the version before: its program's name, its id, the numbers of the files of its output, and what
    `Program` says of it."""

    name: str
    pid: int
    output: int
    write_end: int
    listens: bool
    stop_seconds: float

    @property
    def program(self) -> Program:
        """Its program, without a command: it is never started again."""
        return Program(self.name, [], listens=self.listens, stop_seconds=self.stop_seconds)


class Processes:
    """Keeps programs running. `say` prints that a program has ended; `relay` (else `say`) prints a line of the program
    of that name. `tend` is to be called all the time.

    `former` are the processes of the version before. What serves the others is taken over as it is; the rest is replaced:
    see `replacing`. `wakes` is a file that can be read once a signal has come.
    """

    def __init__(
        self,
        programs: Iterable[Program],
        say: Callable[[str], None],
        former: Iterable[Former] = (),
        *,
        relay: Callable[[str, str], None] | None = None,
        wakes: int | None = None,
    ) -> None:
        self._wakes = [] if wakes is None else [wakes]
        found = {process.name: process for process in former}
        self._say, self._relay = say, relay or (lambda _name, line: say(line))
        self._all = [
            Running(program, found.pop(program.name, None) if program.ground else None) for program in programs
        ]
        self._former = [Running(process.program, process) for process in found.values()]
        self._waiting = [process for process in self._all if not process.program.ground] if self._former else []
        self._gave_up = False

    def tend(self, seconds: float, *, ground_only: bool = False) -> None:
        """Start what is not running (or only what serves the others), and print what comes within `seconds`."""
        if self._gave_up:
            still = {old.program.name for old in self._former}
            self._waiting = [process for process in self._waiting if process.program.name in still]
        for process in self._all:
            if (ground_only and not process.program.ground) or process in self._waiting:
                continue
            if process.has_ended():
                self._say(f"{process.program.name} ended; it is started again.")
            if process.pid is None and time.monotonic() >= process.start_at:
                process.start()
        for process in list(self._former):
            process.kill_if_late()
            if process.has_ended():
                self._print(0)  # its last lines, too
                self._former.remove(process)
                process.close()
        self._print(
            min(seconds, HURRY_SECONDS)
            if self._former or any(process.pid is None for process in self._all)
            else seconds
        )

    @property
    def are_well(self) -> bool:
        """Whether each has a process, and none ends again and again."""
        here = [process for process in self._all if process not in self._waiting]
        return all(process.pid is not None and process.failures < MAX_FAILURES for process in here)

    @property
    def is_replacing(self) -> bool:
        """Whether processes of the version before are still to be replaced, or to end."""
        return bool(self._former) and not self._gave_up

    def replace(self, seconds: float) -> bool:
        """Take the next step: start a program beside the former one, which leaves once the new one is ready.

        Returns False where that is not ready within `seconds`: then those that are not replaced yet stay, and each is
        started from the new code once it has ended.
        """
        process = next(iter(self._waiting), None)
        if process is None:
            for old in self._former:
                if not old.leaves:
                    old.leave()
        elif not process.started_at:
            process.start(replaces=True)
        elif process.is_ready():
            self._waiting.remove(process)
            for old in self._former:
                if old.program.name == process.program.name:
                    old.leave()
        elif process.has_ended() or time.monotonic() - process.started_at > seconds:
            self._gave_up = True
            process.send(signal.SIGKILL)
        return not self._gave_up

    def former_for_next(self) -> list[Former]:
        """Return all processes, for the version that takes them over."""
        return [former for process in (*self._all, *self._former) if (former := process.former) is not None]

    def send_to_web(self, number: signal.Signals) -> None:
        """Send a signal to the web processes."""
        for process in (*self._all, *self._former):
            if process.program.listens:
                process.send(number)

    def stop(self, *, hurry: Callable[[], bool] = lambda: False) -> None:
        """Stop all, those that serve the others last; what does not stop in time, or when it is to `hurry`, is killed."""
        for is_ground in (False, True):
            level = [process for process in (*self._all, *self._former) if process.program.ground == is_ground]
            begun = time.monotonic()
            for process in level:
                process.send(signal.SIGTERM)
            while running := [process for process in level if process.pid]:
                for process in running:
                    late = time.monotonic() - begun - (process.program.stop_seconds or STOP_SECONDS)
                    if late > 0 or hurry():
                        process.send(signal.SIGKILL)
                    process.has_ended()
                if late > STOP_SECONDS:
                    break
                self._print(0.02)
        self._print(0)

    def _print(self, seconds: float) -> None:
        """Print the whole lines that come within `seconds`, until some have, or a signal."""
        by_output = {one.output: one for one in (*self._all, *self._former)}
        for output in select.select([*by_output, *self._wakes], [], [], seconds)[0]:
            if output in self._wakes:
                os.read(output, MAX_OUTPUT_BYTES)
                continue
            for line in by_output[output].lines():
                self._relay(by_output[output].program.name, line)
