"""The whole of it: what `./run` starts, keeps running, and leaves behind."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import requests
from django.db import connection

from thuesim_site.testing import RunningDesk, wait_until

pytestmark = pytest.mark.alone

BACK_SECONDS = 60  # a second or two where the machine has nothing else to do

once = pytest.mark.skipif(connection.vendor != "sqlite", reason="the machines of test_roles end so on PostgreSQL")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One data directory for all of these: only the first start makes what lies in it."""
    return tmp_path_factory.mktemp("run")


@pytest.fixture
def start(folder: Path, outside: dict[str, str], migrated_file: str) -> Iterator[Callable[..., RunningDesk]]:
    started: list[RunningDesk] = []

    def run(**environment: str) -> RunningDesk:
        running = RunningDesk(folder, migrated=migrated_file, **outside | environment)
        started.append(running)
        running.start()
        return running

    yield run
    for running in started:
        running.stop(signal.SIGTERM)
        for pid in running.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def sign_in_page(running: RunningDesk) -> int:
    return requests.get(f"{running.base_url}/accounts/login/", timeout=60).status_code


def test_it_starts_comes_back_after_kills_and_leaves_nothing(start: Callable[..., RunningDesk]) -> None:
    running = start()
    assert sign_in_page(running) == 200
    assert all(password in running.output() for password in running.passwords.values())
    assert sorted(running.passwords) == ["admin", "linh"]
    assert running.base_url in running.output()

    for name in ("worker-1", "slow", "beat", "web", "sandbox"):
        kill_and_wait_for_another(running, name)
    wait_until(lambda: _answers(running), "the sign-in page again", BACK_SECONDS)

    assert running.stop() == 0
    assert running.processes() == {}
    assert "Traceback" not in running.output(), running.output()
    assert "uvicorn" not in running.output()  # which tells of each start


def kill(running: RunningDesk, *words: str, number: signal.Signals = signal.SIGKILL) -> set[int]:
    victims = running.pids_of(*words)
    assert victims
    for pid in victims:
        os.kill(pid, number)
    return victims


def kill_and_wait_for_another(running: RunningDesk, *words: str) -> None:
    victims = kill(running, *words)
    wait_until(lambda: running.pids_of(*words) - victims, f"{words} is back", BACK_SECONDS)


def _answers(running: RunningDesk) -> bool:
    try:
        return sign_in_page(running) == 200
    except requests.RequestException:
        return False


@once
def test_a_process_that_ignores_the_signal_is_killed(start: Callable[..., RunningDesk]) -> None:
    running = start()
    kill(running, "web", number=signal.SIGSTOP)  # it will never see SIGTERM
    assert running.stop(signal.SIGHUP) == 0
    assert running.processes() == {}


@once
def test_nothing_is_left_when_what_holds_them_is_killed(start: Callable[..., RunningDesk]) -> None:
    running = start()
    kill(running, "thuesim_site.start.supervise")
    wait_until(lambda: running.processes() == {}, "everything is gone", BACK_SECONDS)
