"""Several machines that share one database and one Redis, each with some of the roles."""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import requests
from cryptography.fernet import Fernet
from django.db import connection

from sandbox.server import Sandbox
from thuesim_site.testing import RunningDesk, wait_until
from thuesim_site.tests.person import Person

pytestmark = [
    pytest.mark.alone,
    pytest.mark.skipif(connection.vendor != "postgresql", reason="machines share no SQLite"),
]

FAST = {"THUESIM_RENT_GAP": "1.0", "THUESIM_POLL_INTERVAL": "1.0"}


@pytest.fixture
def upstream() -> Iterator[Sandbox]:
    with Sandbox(gap=1.0, message_after=(1, 2)) as running:
        yield running


@pytest.fixture
def machines(tmp_path: Path, outside: dict[str, str], upstream: Sandbox) -> Iterator[list[RunningDesk]]:
    """One with two web processes, and two that each have the workers and a beat."""
    shared = {
        **outside,
        "THUESIM_BASE_URL": upstream.url,
        "THUESIM_TOKEN": upstream.token,
        "SECRET_KEY": "a key of sessions that all machines share",
        "DESK_FILES_DIR": str(tmp_path / "files"),
        "DESK_SECRET_KEYS": Fernet.generate_key().decode(),
    }
    every = [
        RunningDesk(tmp_path / "web", "web", **shared, **FAST, DESK_WEB_PROCESSES="2"),
        RunningDesk(tmp_path / "one", "worker", "slow", "beat", **shared, **FAST),
        RunningDesk(tmp_path / "two", "worker", "slow", "beat", **shared, **FAST),
    ]
    try:
        for machine in every:
            machine.data_dir.parent.mkdir()
            machine.start()
        yield every
    finally:
        for machine in every:
            machine.stop(signal.SIGTERM)


def kill(machine: RunningDesk) -> None:
    """As where the power fails: nothing is said to anybody. The end of what holds the others ends them."""
    assert machine.process is not None
    machine.process.kill()
    wait_until(lambda: machine.processes() == {}, "everything is gone", 90)


def answers(person: Person) -> bool:
    """Whether the desk comes. A connection to a killed process is reset."""
    with suppress(requests.ConnectionError):
        return person.get("/").status_code == 200
    return False


def test_an_order_goes_on_when_the_machine_that_worked_on_it_is_gone(
    machines: list[RunningDesk], upstream: Sandbox
) -> None:
    web, one, two = machines
    assert sorted(command[-1] for command in web.processes().values() if command[0] == "desk") == ["web-1", "web-2"]
    person = Person(web, "admin")
    person.rent()
    person.wait_until(lambda: person.statuses().count("received") == 1, "the code of the first order")
    kill(one)
    person.rent()
    person.wait_until(lambda: person.statuses().count("received") == 2, "the code of the second order")
    victims = web.pids_of("web-1")
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: answers(person), "the other web process answers", 90)
    wait_until(lambda: web.pids_of("web-1") - victims, "the first one is back", 90)
    assert two.stop(signal.SIGTERM) == 0
    assert [call.endpoint for call in upstream.calls()].count("rent") == 2
    for pid in web.pids_of("web-1"):
        os.kill(pid, signal.SIGSTOP)  # it will never see SIGTERM
    assert web.stop(signal.SIGHUP) == 0
    assert web.processes() == {}
