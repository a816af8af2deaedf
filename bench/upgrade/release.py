"""From a release to this code and back, each run by its own code, with orders waiting all the time.

    git clone . /tmp/release && git -C /tmp/release checkout COMMIT
    python -m bench.upgrade.release /tmp/release [--database postgresql]

The release orders, and a copy of its database is made while orders wait. On PostgreSQL this code migrates while the release
goes on, orders and shows pages. Then this code takes over, orders, and finishes what waits. At last the copy is put
back under the release, as `docs/upgrading.md` says. Each time the sandbox's books are held against the desk's.
The release's `./run` installs its own packages beside it. Some five minutes.
"""

import argparse
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import requests

from bench.stage import Postgres, settled
from sandbox.catalog import demo_token
from thuesim_site.start.environment import BASE_DIR
from thuesim_site.testing import free_port, known_names, wait_until

TOKEN = demo_token(7, 1)  # not the one of the demo, which this code would set apart
PASSWORD = "only-for-this-try-1"
SERVICE = "02.97"
SANDBOX = ["--gap", "3", "--message-after", "20-30", "--balance", "5000000", "--waiting-limit", "40"]
ORDERS = 12
SETTLE_SECONDS = 240
OPEN = {"queued", "placing", "waiting", "unconfirmed"}
FACTS = """
import json
from django.db import connection
from rentals.models import LedgerEntry, Rental
rows = [(pk, status, number.partition(".")[0]) for pk, status, number in
        Rental.objects.order_by("pk").values_list("pk", "status", "upstream_id")]
charges = LedgerEntry.objects.filter(kind="rent").count()
print("FACTS" + json.dumps({"rows": rows, "charges": charges}))
"""
# As docs/upgrading.md says. What stood in the queue of the copy has been placed since.
CANCEL = """
from rentals import lifecycle
from rentals.models import Rental
for rental in Rental.objects.filter(status="queued"):
    lifecycle.cancel(rental, person=None)
"""


class Code:
    """A version of the desk in a folder of its own."""

    def __init__(self, name: str, folder: Path, run: list[str], environment: dict[str, str]) -> None:
        self.name, self.folder, self._run, self.environment = name, folder, run, environment
        self.url = f"http://127.0.0.1:{environment['PORT']}"
        self.log = Path(environment["DESK_DATA_DIR"]).with_name(f"{name}.log")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        """Start `./run`; return the seconds until its pages came. Raises TimeoutError."""
        begun = time.monotonic()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._run, cwd=self.folder, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )
        wait_until(self._answers, f"{self.name} answers", 400)
        return time.monotonic() - begun

    def _answers(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            raise RuntimeError(f"{self.name} ended:\n{self.log.read_text()[-3000:]}")
        try:
            return requests.get(f"{self.url}/healthz", timeout=5).ok
        except requests.RequestException:
            return False

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(90)
            self._process = None

    def manage(self, *arguments: str) -> str:
        """Run its `manage.py` and return what it printed. Raises RuntimeError."""
        ran = subprocess.run(
            [".venv/bin/python", "manage.py", *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
        )
        if ran.returncode:
            raise RuntimeError(f"{self.name}: manage.py {arguments[0]}: {ran.stderr[-3000:]}")
        return ran.stdout

    def facts(self) -> dict[str, Any]:
        """Return the rentals and the number of charges, as this version reads them."""
        output = self.manage("shell", "-c", FACTS)
        found: dict[str, Any] = json.loads(output[output.index("FACTS") + 5 :])
        return found


class Visitor:
    """The admin in a browser: orders, and reads the desk twice a second for as long as `reading`."""

    def __init__(self, code: Code) -> None:
        self._url, self._session = code.url, requests.Session()
        self._post("/accounts/login/", "/accounts/login/", login="admin", password=PASSWORD)
        self.pages: Counter[str] = Counter()
        self._leave = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def _get(self, path: str) -> requests.Response:
        return self._session.get(self._url + path, timeout=30)

    def _post(self, page: str, path: str, **fields: str) -> requests.Response:
        html = self._get(page).text
        [form] = re.findall(rf'<form[^>]* action="{path}".*?</form>', html, re.DOTALL)
        hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form))
        return self._session.post(self._url + path, {**hidden, **fields}, headers={"Referer": self._url}, timeout=30)

    def rent(self, times: int = 1) -> None:
        """Order numbers. Raises AssertionError where an order is refused."""
        wait_until(lambda: SERVICE in self._get("/").text, "the catalog was read", 60)
        for _ in range(times):
            answer = self._post("/", "/rent/", service=SERVICE)
            assert answer.status_code == 200, answer.text[:500]

    def begin_reading(self) -> None:
        self._thread.start()

    def end_reading(self) -> Counter[str]:
        self._leave.set()
        self._thread.join()
        return self.pages

    def _read(self) -> None:
        while not self._leave.wait(0.5):
            for path in ("/", "/rentals/", "/spend/", "/system/"):
                try:
                    self.pages[f"{path} {self._get(path).status_code}"] += 1
                except requests.RequestException as error:
                    self.pages[f"{path} {type(error).__name__}"] += 1


class Run:
    """The sandbox, the database and both versions, in a folder of their own."""

    def __init__(self, release: Path, database: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="desk-release-"))
        self.postgres = Postgres(self.folder) if database == "postgresql" else None
        sandbox_port = free_port()
        self.sandbox_url = f"http://127.0.0.1:{sandbox_port}"
        self._sandbox = subprocess.Popen(
            [sys.executable, "-m", "sandbox", "--port", str(sandbox_port), "--token", TOKEN, *SANDBOX],
            cwd=BASE_DIR,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("DESK_", "THUESIM_"))},
            **dict.fromkeys(known_names(), ""),
            "PORT": str(free_port()),
            "DESK_DATA_DIR": str(self.folder / "var"),
            "DATABASE_URL": self.postgres.url if self.postgres else "",
            "THUESIM_BASE_URL": self.sandbox_url,
            "THUESIM_TOKEN": TOKEN,
            "THUESIM_RENT_GAP": "3.0",
            "DJANGO_SUPERUSER_PASSWORD": PASSWORD,
        }
        self.old = Code("release", release, ["./run"], environment)
        self.new = Code("this", BASE_DIR, [sys.executable, "-m", "thuesim_site.start.supervise"], environment)
        self.broken = False

    def check(self, what: str, holds: bool, detail: object = "") -> None:
        """Print a line, and remember what does not hold."""
        print(f"{'ok    ' if holds else 'BROKEN'} {what} {detail}", flush=True)
        self.broken = self.broken or not holds

    def books(self) -> list[str]:
        """The numbers that the sandbox was paid for, one a payment."""
        report = requests.get(f"{self.sandbox_url}/_sandbox/books", params={"token": TOKEN}, timeout=10).json()
        return [str(line["rental"]) for line in report["ledger"] if line["kind"] == "charge"]

    def settle(self, code: Code, when: str) -> None:
        """Wait until nothing is open, and hold the books against each other."""
        settled(lambda: not OPEN & {status for _, status, _ in code.facts()["rows"]}, SETTLE_SECONDS, 5)
        self.compare(code, when)

    def compare(self, code: Code, when: str) -> None:
        """Every number that was paid for has one row and one charge, and is paid for once."""
        settled(lambda: self._same(code.facts()), 90, 5)
        facts, paid = code.facts(), self.books()
        ids = [str(number) for _, _, number in facts["rows"] if number]
        statuses = dict(Counter(status for _, status, _ in facts["rows"]))
        self.check(
            f"{when}: no number lost or there twice", sorted(ids) == sorted(paid), f"{len(paid)} paid, {statuses}"
        )
        self.check(f"{when}: each charged once", facts["charges"] == len(paid), facts["charges"])

    def _same(self, facts: dict[str, Any]) -> bool:
        paid = self.books()
        return sorted(str(number) for *_, number in facts["rows"] if number) == sorted(paid)

    def copy(self, to: Path) -> None:
        """Copy the database as an administrator of the release does: it has no command of its own for it."""
        if self.postgres:
            subprocess.run(["pg_dump", "--format=custom", f"--file={to}", self.postgres.url], check=True)
            return
        with closing(sqlite3.connect(self.folder / "var/desk.sqlite3")) as source, closing(sqlite3.connect(to)) as copy:
            source.backup(copy)

    def put_back(self, copy: Path) -> None:
        """Put the copy in the place of the database, whose versions are stopped."""
        if self.postgres:
            subprocess.run(
                ["psql", "-q", self.postgres.url, "-c", "DROP SCHEMA public CASCADE; CREATE SCHEMA public"], check=True
            )
            subprocess.run(["pg_restore", "--no-owner", f"--dbname={self.postgres.url}", str(copy)], check=True)
            return
        for name in ("desk.sqlite3-wal", "desk.sqlite3-shm"):
            (self.folder / "var" / name).unlink(missing_ok=True)
        shutil.copy(copy, self.folder / "var" / "desk.sqlite3")

    def stop(self) -> None:
        self.old.stop()
        self.new.stop()
        self._sandbox.kill()
        self._sandbox.wait()
        if self.postgres:
            self.postgres.stop()


def there_and_back(run: Run) -> None:
    """Do all of it; what does not hold is printed."""
    print(f"the release started in {run.old.start():.0f} s", flush=True)
    visitor = Visitor(run.old)
    visitor.rent(ORDERS)
    wait_until(lambda: len(run.books()) >= 3, "three numbers", 60)
    before = run.folder / "before"
    run.copy(before)
    print("a copy made while", dict(Counter(status for _, status, _ in run.old.facts()["rows"])), flush=True)
    visitor.rent(2)
    if run.postgres:
        visitor.begin_reading()
        begun = time.monotonic()
        run.new.manage("migrate", "--no-input")
        print(f"migrated under the release in {time.monotonic() - begun:.1f} s", flush=True)
        visitor.rent(3)
        time.sleep(20)
        pages = visitor.end_reading()
        run.check("pages of the release meanwhile", all(page.endswith(" 200") for page in pages), dict(pages))
        run.settle(run.old, "the release on the new schema")
        visitor.rent(3)
    run.old.stop()
    print(f"this code started in {run.new.start():.0f} s", flush=True)
    visitor = Visitor(run.new)
    visitor.rent(3)
    visitor.begin_reading()
    run.settle(run.new, "this code")
    pages = visitor.end_reading()
    run.check("pages of this code", all(page.endswith(" 200") for page in pages), dict(pages))
    visitor.rent(2)
    wait_until(lambda: "waiting" in {status for _, status, _ in run.new.facts()["rows"]}, "a number waits", 60)
    run.new.stop()
    run.put_back(before)
    run.old.manage("shell", "-c", CANCEL)
    print(f"the release came back in {run.old.start():.0f} s", flush=True)
    Visitor(run.old).rent(2)
    run.settle(run.old, "the release on its copy")


def main() -> int:
    """Run once; return the exit status."""
    parser = argparse.ArgumentParser("bench.upgrade.release")
    parser.add_argument("release", type=Path, help="the folder with the release's code")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    options = parser.parse_args()
    run = Run(options.release.resolve(), options.database)
    try:
        if run.postgres:
            run.postgres.start()
        there_and_back(run)
    finally:
        run.stop()
        if run.broken or sys.exc_info()[0]:
            print(f"what the versions wrote is in {run.folder}")
        else:
            shutil.rmtree(run.folder, ignore_errors=True)
    return int(run.broken)


if __name__ == "__main__":
    sys.exit(main())
