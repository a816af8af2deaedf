"""An upgrade under load: a copy of this code with another migration takes the place of a running desk.

`python -m bench.upgrade [--web N] [--clients N]`. Clients ask for pages without pause, on connections that they keep and on
new ones; one reads the live stream as a screen does; orders are placed, of which one is between its payment and its row. It
prints what failed, how long the screen was without its stream, and how many numbers were paid; the exit status is 1 where a
request failed, an order was lost, or one was paid twice.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import requests

from thuesim_site.start import signs
from thuesim_site.start.environment import BASE_DIR
from thuesim_site.testing import RunningDesk, wait_until
from thuesim_site.tests.person import Person
from thuesim_site.tests.start.test_upgrade import Clients

ORDERS = 6
NEXT_VERSION = "9.9.9"
RUN = '#!/bin/sh\nset -eu\ncd "$(dirname "$0")"\nDESK_FOLDER=$PWD\nexport DESK_FOLDER\n'
RUN += 'exec .venv/bin/python -m thuesim_site.start.supervise "$@"\n'
MIGRATION = """
from django.db import migrations
def more(apps, schema_editor):
    schema_editor.execute("CREATE INDEX bench_upgrade ON rentals_rental (queued_at)")
class Migration(migrations.Migration):
    atomic = False
    dependencies = [("rentals", "{last}")]
    operations = [migrations.RunPython(more)]
"""


def copy_code(folder: Path) -> Path:
    """Copy what the repository tracks, with a `run` that installs nothing."""
    files = subprocess.run(["git", "ls-files", "-z"], cwd=BASE_DIR, capture_output=True, check=True, text=True).stdout
    for name in filter(None, files.split("\0")):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (BASE_DIR / name).is_file():
            shutil.copy(BASE_DIR / name, target)
    (folder / ".venv").symlink_to(Path(sys.executable).parent.parent)
    (folder / "run").write_text(RUN)
    (folder / "run").chmod(0o755)
    return folder


def make_next(folder: Path) -> None:
    """Make of a copy the version after it."""
    project = folder / "pyproject.toml"
    lines = project.read_text().splitlines(keepends=True)
    number = next(number for number, line in enumerate(lines) if line.startswith("version = "))
    lines[number] = f'version = "{NEXT_VERSION}"\n'
    project.write_text("".join(lines))
    last = max(path.stem for path in (folder / "rentals" / "migrations").glob("0*.py"))
    (folder / "rentals" / "migrations" / "0999_bench.py").write_text(MIGRATION.replace("{last}", last))


class Screen:
    """Reads the live stream of a person, and comes back 0.5 s after it ends, as the browser does. `gaps` are in seconds."""

    def __init__(self, person: Person, url: str) -> None:
        self._session, self._url = person._session, url
        self.gaps: list[float] = []
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        ended = 0.0
        while True:
            try:
                with self._session.get(self._url, stream=True, timeout=20) as answer:
                    for line in answer.iter_lines():
                        if ended and line.startswith(b"event: hello"):
                            self.gaps.append(time.monotonic() - ended)
                            ended = 0.0
            except requests.RequestException:
                pass
            ended = ended or time.monotonic()
            time.sleep(0.5)


def main() -> int:
    """Run once; return the exit status."""
    parser = argparse.ArgumentParser("bench.upgrade")
    parser.add_argument("--web", type=int, default=2)
    parser.add_argument("--clients", type=int, default=2, help="pairs of them")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="desk-upgrade-"))
    copy_code(folder / "old")
    make_next(copy_code(folder / "new"))
    (folder / "current").symlink_to("old")
    desk = RunningDesk(folder, DESK_WEB_PROCESSES=str(options.web), DESK_WORKERS="2")
    desk.environment[signs.FOLDER] = str(folder / "current")
    desk.start()
    try:
        return upgrade(desk, folder, options.clients)
    finally:
        desk.stop()
        shutil.rmtree(folder, ignore_errors=True)


def upgrade(desk: RunningDesk, folder: Path, pairs: int) -> int:
    """Order, upgrade, and print what came of it; returns the exit status."""
    person = Person(desk, "linh")
    wait_until(lambda: "02.97" in person.get("/").text, "the catalog was read")
    screen = Screen(person, f"{desk.base_url}/live/")
    slow = {"name": "slow-reply", "endpoint": "rent", "count": 1, "value": 8000}
    requests.post(f"{desk.sandbox_url}/_sandbox/faults", json=slow, timeout=10).raise_for_status()
    clients = [Clients(f"{desk.base_url}/accounts/login/") for _ in range(pairs)]
    for _ in range(ORDERS):
        person.rent()
    (folder / "next").symlink_to("new")
    (folder / "next").replace(folder / "current")
    assert desk.process is not None
    begun = time.monotonic()
    desk.process.send_signal(signs.UPGRADE)
    wait_until(lambda: f"Upgraded to {NEXT_VERSION}" in desk.output(), "it is upgraded", 300)
    seconds = time.monotonic() - begun
    wait_until(lambda: person.statuses().count("received") == ORDERS, "all codes", 180)
    for each in clients:
        each.stop()
    calls = requests.get(f"{desk.sandbox_url}/_sandbox/calls", timeout=10).json()["calls"]
    paid = [call["endpoint"] for call in calls].count("rent")
    answered, failed = sum(each.answered for each in clients), [text for each in clients for text in each.failed]
    print(f"upgraded in {seconds:.1f} s, load {os.getloadavg()[0]:.0f}")
    gaps = ", ".join(f"{gap:.2f}" for gap in screen.gaps)
    print(f"requests answered {answered}, failed {len(failed)}; the screen had its stream back after {gaps} s")
    print(f"orders {ORDERS}, codes {person.statuses().count('received')}, numbers asked for {paid}")
    for text in failed[:5]:
        print(f"  {text}")
    return int(bool(failed) or paid != ORDERS)


if __name__ == "__main__":
    sys.exit(main())
