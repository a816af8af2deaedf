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
from pathlib import Path

from thuesim_site.start.programs import Program

STOP_SECONDS = 8.0  # then a process that ignores SIGTERM is killed
START_SECONDS = 1.0  # what ends sooner is started again after a pause
MAX_PAUSE_SECONDS = 10.0
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
            for number in STOP_SIGNALS:
                signal.signal(number, signal.SIG_DFL)
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


class _Running:
    """One program with its process. `pid` is None while it waits to be started again."""

    def __init__(self, program: Program) -> None:
        self.program = program
        # One for each: where several write to one pipe, their lines run into each other.
        self.output, self._write_end = os.pipe()
        os.set_blocking(self.output, False)
        self._line = b""
        self.pid: int | None = None
        self.failures = 0  # in a row
        self.start_at = self.started_at = 0.0  # monotonic

    def start(self) -> None:
        """Start it. Its errors, and unless it is quiet its output, are read by `lines`."""
        self.started_at = time.monotonic()
        try:
            self.pid = fork(self.program.name, self._work, self._write_end)
        except OSError:  # too many processes, or no memory for one more
            self._wait()

    def _work(self) -> int:
        executable, *arguments = self.program.command
        os.environ["DESK_PROCESS"] = self.program.name
        if self.program.quiet:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        # Elsewhere than on Linux the system's own libraries may not be used after a fork.
        if not self.program.is_ours or sys.platform != "linux":
            os.execv(executable, self.program.command)  # noqa: S606 - the command line is ours
        _, module, *options = arguments
        sys.argv = [module, *options]
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        return 0

    def has_ended(self) -> bool:
        """Whether its process has ended since the last call; then it is due to be started again."""
        if self.pid is None or os.waitpid(self.pid, os.WNOHANG)[0] == 0:
            return False
        self.pid = None
        self._wait()
        return True

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


class Processes:
    """Keeps programs running. `say` prints a line; `tend` is to be called all the time."""

    def __init__(self, programs: Iterable[Program], say: Callable[[str], None]) -> None:
        self._all = [_Running(program) for program in programs]
        self._say = say

    def tend(self, seconds: float, *, ground_only: bool = False) -> None:
        """Start what is not running (or only what serves the others), and print what comes within `seconds`."""
        for one in self._all:
            if ground_only and not one.program.ground:
                continue
            if one.has_ended():
                self._say(f"{one.program.name} ended; it is started again.")
            if one.pid is None and time.monotonic() >= one.start_at:
                one.start()
        self._print(seconds)

    def stop(self) -> None:
        """Stop all, those that serve the others last; what does not stop in time is killed."""
        for is_ground in (False, True):
            level = [one for one in self._all if one.program.ground == is_ground]
            for number in (signal.SIGTERM, signal.SIGKILL):
                for one in level:
                    one.send(number)
                end = time.monotonic() + STOP_SECONDS
                while any(one.pid for one in level) and time.monotonic() < end:
                    for one in level:
                        one.has_ended()
                    self._print(0.02)
        self._print(0)

    def _print(self, seconds: float) -> None:
        """Print the whole lines that come within `seconds`, until some have."""
        by_output = {one.output: one for one in self._all}
        for output in select.select(list(by_output), [], [], seconds)[0]:
            for line in by_output[output].lines():
                self._say(line)
