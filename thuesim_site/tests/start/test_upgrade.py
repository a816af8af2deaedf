"""An upgrade while the desk works: clients ask all the time, and an order is between its payment and its row."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from django.db import connection

from thuesim_site.start import upgrade
from thuesim_site.start.signs import UPGRADE
from thuesim_site.start.variables import WrongSetting
from thuesim_site.testing import RunningDesk, wait_until
from thuesim_site.tests.person import Person

# Longer than the processes of a desk are given to stop.
REPLY_MS = 10_000


class Clients:
    """Programs that ask for a page after each `pause` in seconds: one on a connection that it keeps, one on a new one each
    time."""

    pause = 0.2

    def __init__(self, url: str) -> None:
        self._url, self._stop = url, threading.Event()
        self.answered = 0
        self.failed: list[str] = []
        self._threads = [threading.Thread(target=self._ask, args=(keeps,), daemon=True) for keeps in (True, False)]
        for thread in self._threads:
            thread.start()

    def _ask(self, keeps: bool) -> None:
        session = requests.Session()
        headers = {} if keeps else {"Connection": "close"}
        while not self._stop.wait(self.pause):
            try:
                session.get(self._url, headers=headers, timeout=90).raise_for_status()
                self.answered += 1
            except requests.RequestException as error:
                self.failed.append(repr(error))

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


@pytest.fixture
def desk(tmp_path: Path, migrated_file: str) -> Iterator[RunningDesk]:
    running = RunningDesk(tmp_path, migrated=migrated_file)
    running.start()
    yield running
    running.stop()


@pytest.mark.alone
@pytest.mark.skipif(connection.vendor != "sqlite", reason="the processes are the same on both databases")
def test_every_process_is_replaced_and_nobody_notices(desk: RunningDesk) -> None:
    person = Person(desk, "linh")
    person.wait_until(lambda: "02.97" in person.get("/").text, "the catalog was read")
    before = {pid for pid, command in desk.processes().items() if command[0] == "desk"}
    requests.post(
        f"{desk.sandbox_url}/_sandbox/faults",
        json={"name": "slow-reply", "endpoint": "rent", "count": 1, "value": REPLY_MS},
        timeout=60,
    ).raise_for_status()
    clients = Clients(f"{desk.base_url}/accounts/login/")
    person.rent()
    person.wait_until(lambda: person.statuses() == ["placing"], "the order's request has left")
    assert desk.process is not None
    desk.process.send_signal(UPGRADE)
    wait_until(lambda: "Upgrading to" in desk.output(), "it is prepared", 300)
    clients.pause = 0.02
    wait_until(lambda: not desk.pids_of("desk", "web") & before, "the former web process has left", 300, every=0.2)
    clients.pause = 0.2
    wait_until(lambda: "Upgraded to" in desk.output(), "it is upgraded", 300)
    clients.stop()
    assert (clients.failed, clients.answered > 50) == ([], True)
    after = {pid for pid, command in desk.processes().items() if command[0] == "desk"}
    assert len(after) == len(before)
    assert not after & before, desk.output()
    # It was paid, and the worker that had asked has written that down before it ended.
    assert "placing" not in person.statuses()
    assert "unconfirmed" not in person.statuses()
    calls = requests.get(f"{desk.sandbox_url}/_sandbox/calls", timeout=60).json()["calls"]
    assert [call["endpoint"] for call in calls].count("rent") == 1
    person.wait_until(lambda: person.statuses() == ["received"], "its code")


def test_without_a_desk_that_runs_there_is_nothing_to_upgrade(tmp_path: Path) -> None:
    (tmp_path / "run.lock").write_text("1\n")  # left behind by one that was killed
    with pytest.raises(WrongSetting, match=r"no \./run is using"):
        upgrade.ask_for_upgrade(tmp_path / "run.lock")
