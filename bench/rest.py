"""What the desk costs while nobody is signed in, and how soon it is there again: `python -m bench.rest`.

The whole desk as `./run` starts it, with the sandbox, the embedded Redis, SQLite and the default of two workers. Memory is
the proportional set size (PSS, `/proc/…/smaps_rollup`), in which a page that several processes share counts once.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import requests

from bench.measures import cpu_seconds
from thuesim_site.testing import RunningDesk

MAX_MEGABYTES, MAX_CORE, MAX_START_SECONDS = 300.0, 0.01, 3.0
QUIET_SECONDS = 45.0  # until the catalog is read and the first of the recurring work is done


def proportional_megabytes(pid: int) -> float:
    """Return a process's share of the memory, in MB of 1,000,000 bytes."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise ValueError(f"/proc/{pid}/smaps_rollup names no Pss")


class Desk(RunningDesk):
    """The desk with its own defaults, ready when the sign-in page comes."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, DESK_WORKERS="", THUESIM_RENT_GAP="", THUESIM_POLL_INTERVAL="")

    def ready(self) -> bool:
        """Whether the sign-in page comes."""
        try:
            return requests.get(f"{self.base_url}/accounts/login/", timeout=5).ok
        except requests.RequestException:
            return False


def _tree(pid: int) -> dict[int, str]:
    """Return a process and all below it, each with how it is shown."""
    command = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip()
    found = {pid: command.replace(sys.executable, "python")[:70]}
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        found |= _tree(int(child))
    return found


def _say(what: str, value: float, limit: float, unit: str) -> bool:
    kept = value <= limit
    print(f"{'ok    ' if kept else 'BROKEN'} {what}: {value:.2f} {unit} (at most {limit:g})", flush=True)
    return kept


def at_rest(desk: Desk, seconds: float) -> bool:
    """Print what each process takes, and judge the sums."""
    time.sleep(QUIET_SECONDS)
    processes = _tree(desk.process.pid if desk.process else 0)
    before, begun = {pid: cpu_seconds(pid) for pid in processes}, time.monotonic()
    time.sleep(seconds)
    took = time.monotonic() - begun
    used = {pid: cpu_seconds(pid) - before[pid] for pid in processes}
    memory = {pid: proportional_megabytes(pid) for pid in processes}
    for pid, command in processes.items():
        print(f"       {memory[pid]:6.1f} MB  {used[pid] / took:7.2%} of a core  {command}")
    small = _say(f"memory of {len(processes)} processes", sum(memory.values()), MAX_MEGABYTES, "MB")
    return _say("processor", sum(used.values()) / took * 100, MAX_CORE * 100, "% of a core") and small


def second_start(desk: Desk) -> bool:
    """Stop, start again, and judge the seconds until the sign-in page comes."""
    desk.stop()
    begun = time.monotonic()
    desk.start()
    return _say("second start, to the sign-in page", time.monotonic() - begun, MAX_START_SECONDS, "s")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; returns 1 where a bound was not kept."""
    parser = argparse.ArgumentParser("bench.rest")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long the processor is watched")
    parser.add_argument("--starts", type=int, default=3)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        desk = Desk(Path(folder))
        try:
            desk.start()
            kept = at_rest(desk, options.seconds)
            for _ in range(options.starts):
                kept = second_start(desk) and kept
        finally:
            desk.stop()
        print(f"       load {os.getloadavg()[0]:.1f}")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
