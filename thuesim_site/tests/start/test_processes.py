"""What keeps the processes running, with small programs in the place of the desk's. `test_run` has the desk's own."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from thuesim_site.start.environment import BASE_DIR
from thuesim_site.testing import wait_until

pytestmark = pytest.mark.programs

# In a process of its own, as it forks. Every program says its name when it begins and when it is asked to stop.
KEEPER = """
import sys
from thuesim_site.start import processes
from thuesim_site.start.programs import Program
from thuesim_site.start.supervise import Signals

BEGIN = "import os, signal, sys, time; name = sys.argv[1]; print(name, os.getpid(), flush=True); "
WAIT = "signal.signal(signal.SIGTERM, lambda *_: sys.exit(print('stopping', name, flush=True))); time.sleep(60)"
DEAF = "signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"

def program(name, work, **options):
    return Program(name, [sys.executable, "-c", BEGIN + work, name], **options)

programs = {
    "steady": program("steady", WAIT, ground=True),
    "deaf": program("deaf", DEAF, ground=True),
    "brief": program("brief", "print('at', time.monotonic(), flush=True)", ground=True),
    "quiet": program("quiet", "print('a failure', file=sys.stderr, flush=True); " + WAIT, ground=True, quiet=True),
    "upper": Program("upper", [sys.executable, "-m", "thuesim_site.tests.start.upper"]),
}
signals = Signals()
processes.STOP_SECONDS, processes.START_SECONDS = float(sys.argv[1]), 30.0
chosen = [programs[name] for name in sys.argv[2:]]
running = processes.Processes(chosen, lambda line: print(line, flush=True), wakes=signals.wakes)
for _ in range(20):
    running.tend(0.02, ground_only=True)
print("the rest begins", flush=True)
while not signals.stop:
    running.tend(60)  # the end of a process wakes it, and so does a signal to stop
running.stop()
print("all stopped", flush=True)
"""


class Keeper:
    """A process that keeps programs running, with what they print."""

    def __init__(self, folder: Path, *names: str, stop_seconds: float = 30) -> None:
        self._output = folder / "output.txt"
        with self._output.open("w") as output:
            command = [sys.executable, "-c", KEEPER, str(stop_seconds), *names]
            self.process = subprocess.Popen(command, cwd=BASE_DIR, stdout=output, stderr=output)

    def lines(self) -> list[str]:
        """Return what was printed until now."""
        return self._output.read_text().splitlines()

    def pids(self, name: str) -> list[int]:
        """Return the process ids that a program has had, in order."""
        return [
            int(line.split()[1]) for line in self.lines() if line.startswith(f"{name} ") and line.split()[1].isdigit()
        ]

    def stop(self) -> list[str]:
        """Stop it and return all that was printed."""
        self.process.terminate()
        self.process.wait(180)
        return self.lines()


@pytest.fixture
def keepers() -> Iterator[list[Keeper]]:
    opened: list[Keeper] = []
    yield opened
    for keeper in opened:
        keeper.process.kill()
        keeper.process.wait()


def is_alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def test_what_serves_the_others_stops_last(tmp_path: Path, keepers: list[Keeper]) -> None:
    keepers.append(keeper := Keeper(tmp_path, "steady", "upper"))
    wait_until(lambda: keeper.pids("steady") and keeper.pids("upper"), "both run")
    lines = keeper.stop()
    assert [line for line in lines if "stop" in line] == ["stopping upper", "stopping steady", "all stopped"]
    assert keeper.process.returncode == 0


def test_what_serves_the_others_can_begin_before_them(tmp_path: Path, keepers: list[Keeper]) -> None:
    keepers.append(keeper := Keeper(tmp_path, "upper", "steady"))
    wait_until(lambda: keeper.pids("steady") and keeper.pids("upper"), "both run")
    lines = keeper.stop()
    upper = next(number for number, line in enumerate(lines) if line.startswith("upper "))
    assert lines.index("the rest begins") < upper


def test_one_that_is_killed_is_started_again(tmp_path: Path, keepers: list[Keeper]) -> None:
    keepers.append(keeper := Keeper(tmp_path, "steady", "upper"))
    for pids in (partial(keeper.pids, "steady"), partial(keeper.pids, "upper")):
        wait_until(pids, "it runs")
        os.kill(pids()[0], signal.SIGKILL)
        wait_until(lambda pids=pids: len(pids()) == 2, "it is back")  # type: ignore[misc]
    assert "upper ended; it is started again." in keeper.stop()


def test_one_that_ends_at_once_is_started_again_ever_more_slowly(tmp_path: Path, keepers: list[Keeper]) -> None:
    keepers.append(keeper := Keeper(tmp_path, "brief", "steady"))
    wait_until(lambda: len(keeper.pids("brief")) >= 3 and keeper.pids("steady"), "it was started again")
    begun = [float(line.split()[1]) for line in keeper.stop() if line.startswith("at ")]
    assert begun[1] - begun[0] > 1
    assert begun[2] - begun[1] > 2
    assert len(keeper.pids("steady")) == 1


def test_one_that_ignores_its_signal_is_killed(tmp_path: Path, keepers: list[Keeper]) -> None:
    keepers.append(keeper := Keeper(tmp_path, "deaf", "upper", stop_seconds=0.5))
    wait_until(lambda: "deaf" in keeper.lines() and keeper.pids("upper"), "both run")
    assert keeper.stop()[-1] == "all stopped"
    assert not is_alive(keeper.pids("deaf")[0])


def test_none_outlives_the_one_that_keeps_them(tmp_path: Path, keepers: list[Keeper]) -> None:
    keepers.append(keeper := Keeper(tmp_path, "deaf", "upper"))
    wait_until(lambda: "deaf" in keeper.lines() and keeper.pids("upper"), "both run")
    keeper.process.kill()
    wait_until(lambda: not any(is_alive(keeper.pids(name)[0]) for name in ("deaf", "upper")), "all are gone")


def test_of_a_quiet_one_only_errors_are_shown(tmp_path: Path, keepers: list[Keeper]) -> None:
    keepers.append(keeper := Keeper(tmp_path, "quiet"))
    wait_until(lambda: "a failure" in keeper.lines(), "the error is shown")
    assert keeper.pids("quiet") == []


def test_a_forked_process_is_shown_by_its_name(tmp_path: Path, keepers: list[Keeper]) -> None:
    keepers.append(keeper := Keeper(tmp_path, "upper"))
    wait_until(lambda: keeper.pids("upper"), "it runs")
    [pid] = keeper.pids("upper")
    assert Path(f"/proc/{pid}/cmdline").read_text().rstrip("\0").split("\0") == ["desk", "upper"]
    assert Path(f"/proc/{pid}/comm").read_text() == "desk-upper\n"
    assert f"upper {pid} upper" in keeper.stop()  # DESK_PROCESS, for its log


UPGRADE = """
import json, os, signal, sys
from thuesim_site.start import processes
from thuesim_site.start.programs import Program

WORK = "import os, signal, sys, time; print(sys.argv[1], os.getpid(), flush=True); "
WORK += "signal.signal(signal.SIGTERM, lambda *_: sys.exit(print(sys.argv[1], 'leaves', flush=True))); time.sleep(60)"
ground = Program("ground", [sys.executable, "-c", WORK, "ground"], ground=True)
upper = Program("upper", [sys.executable, "-m", sys.argv[1]])
said = []
say = lambda line: print(line, flush=True) or said.append(line.split()[0])
former = processes.Processes([ground, Program("upper", [sys.executable, "-m", "thuesim_site.tests.start.upper"])], say)
while not {"ground", "upper"} <= set(said):
    former.tend(0.05)
running = processes.Processes([ground, upper], say, former.former_for_next())
going = True
while running.is_replacing and (going := running.replace(float(sys.argv[2]))):
    running.tend(0.02)
print("upgraded" if going else "given up", flush=True)
for _ in range(30):
    running.tend(0.05)
running.stop()
"""


def upgraded_to(module: str, *, seconds: float) -> list[str]:
    """What was printed in an upgrade to a version whose program is `module`, with `seconds` to get ready."""
    command = [sys.executable, "-c", UPGRADE, module, str(seconds)]
    return subprocess.run(
        command, cwd=BASE_DIR, capture_output=True, text=True, timeout=180, check=True
    ).stdout.splitlines()


def test_an_upgrade_stops_a_former_process_once_the_new_one_is_ready() -> None:
    lines = upgraded_to("thuesim_site.tests.start.upper", seconds=60)
    begun = [line.split()[0] for line in lines if line.split()[1:2] and line.split()[1].isdigit()]
    assert sorted(begun) == ["ground", "upper", "upper"]
    second = max(number for number, line in enumerate(lines) if line.startswith("upper "))
    assert second < lines.index("stopping upper") < lines.index("upgraded")
    assert lines.count("ground leaves") == 1  # at the end: it was taken over


def test_an_upgrade_to_what_does_not_get_ready_leaves_the_former_process() -> None:
    lines = upgraded_to("thuesim_site.tests.start.never_ready", seconds=2)
    assert lines.index("given up") < lines.index("stopping upper")
    assert sum(line.startswith("upper ") for line in lines) == 1
