"""What a container's health check says: nothing has begun, a process does not stay up, the web server is silent, or well."""

import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from thuesim_site.start import health, processes
from thuesim_site.start.checks import Role
from thuesim_site.start.programs import Program
from thuesim_site.testing import free_port


def setup(data_dir: Path, *roles: Role, port: int = 1) -> Any:
    return SimpleNamespace(data_dir=data_dir, roles=frozenset(roles), host="0.0.0.0", port=port)


def test_before_anything_ran_it_is_not_well(tmp_path: Path) -> None:
    assert health.problem(tmp_path).startswith("nothing has run")


def test_a_worker_is_well_while_its_processes_run(tmp_path: Path) -> None:
    health.note_alive(setup(tmp_path, Role.WORKER))
    assert health.problem(tmp_path) == ""
    old = time.time() - 2 * health.STALE_SECONDS
    os.utime(tmp_path / health.FILE, (old, old))
    assert "the last sign of life is 60 s old" in health.problem(tmp_path)


def test_a_web_machine_is_well_while_its_server_answers(tmp_path: Path) -> None:
    health.note_alive(setup(tmp_path, Role.WEB, Role.BEAT, port=free_port()))
    assert health.problem(tmp_path) == "the web server does not answer (URLError)"


def test_a_full_disk_is_no_error_of_the_desk(tmp_path: Path) -> None:
    health.note_alive(setup(tmp_path / "gone", Role.BEAT))
    assert health.problem(tmp_path / "gone")


def test_processes_are_well_until_one_ends_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    steady = Program("steady", ["/bin/sleep", "30"], ground=True)
    broken = Program("broken", ["/bin/false"], ground=True)
    monkeypatch.setattr(processes, "MAX_PAUSE_SECONDS", 0.01)
    running = processes.Processes([steady], lines.append)
    running.tend(0.01)
    assert running.are_well
    running.stop()
    running = processes.Processes([broken], lines.append)
    end = time.monotonic() + 60
    while running._all[0].failures < processes.MAX_FAILURES and time.monotonic() < end:
        running.tend(0.01)
    assert not running.are_well
    running.stop()
