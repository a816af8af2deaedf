"""Several processes run each test once, report as one would, and none ends unnoticed."""

import os
import subprocess
import sys
from pathlib import Path

from thuesim_site.start.environment import BASE_DIR
from thuesim_site.testing import wait_until

THIRTY = """
import os, pytest

@pytest.mark.parametrize("number", range(30))
def test_adds_a_line(number):
    with open("ran", "a") as file:
        file.write(f"{number} {os.getpid()}\\n")
"""
FAILS = """
def test_fails():
    print("what it printed")
    assert 1 == 2
"""
LEAVES_A_FILE = """
def test_fails(tmp_path):
    (tmp_path / "left").write_text("it")
    assert 1 == 2

def test_passes(tmp_path):
    (tmp_path / "left").write_text("it")
"""
WARNS = """
import warnings

def test_warns():
    class OfTheTest(UserWarning):
        pass
    warnings.warn("look here", OfTheTest)
"""
# The process that it leaves behind keeps the pipe open.
DIES = """
import os, time

def test_dies():
    if os.fork() == 0:
        time.sleep(2)
        os._exit(0)
    os._exit(7)
"""

# Each process has a server until it ends.
SERVERS = """
import os, pytest, time

@pytest.fixture(scope="session")
def server():
    open(f"up-{os.getpid()}", "w").close()
    yield
    os.remove(f"up-{os.getpid()}")

@pytest.mark.parametrize("number", range(400))
def test_asks_it(server, number):
    time.sleep(0.05)
    open("asked", "w").close()
    assert number != 5
"""


def test_each_test_runs_once_and_a_failure_is_told_with_what_it_printed(tmp_path: Path) -> None:
    run = _pytest(tmp_path, test_thirty=THIRTY, test_fails=FAILS)
    ran = [line.split() for line in (tmp_path / "ran").read_text().splitlines()]
    assert sorted(int(number) for number, _ in ran) == list(range(30))
    assert str(os.getpid()) not in {process for _, process in ran}
    assert run.returncode == 1
    assert "1 failed, 30 passed" in run.stdout
    assert "what it printed" in run.stdout


def test_the_folder_of_a_failed_test_alone_is_kept_and_named(tmp_path: Path) -> None:
    run = _pytest(tmp_path, test_leaves=LEAVES_A_FILE, test_thirty=THIRTY)
    [left] = tmp_path.glob("desk-tests-*/**/left")
    assert left.parent.name == "test_fails0"
    assert str(left.parent) in run.stdout.splitlines()
    run = _pytest(tmp_path, "--deselect", "test_leaves.py::test_fails")
    assert run.returncode == 0
    assert list(tmp_path.glob("desk-tests-*/**/left")) == [left]
    assert len(list(tmp_path.glob("desk-tests-*"))) == 1


def test_a_warning_of_a_test_is_listed_at_the_end(tmp_path: Path) -> None:
    run = _pytest(tmp_path, test_warns=WARNS, test_thirty=THIRTY)
    assert "31 passed, 1 warning" in run.stdout
    assert "test_warns.py::test_warns" in run.stdout
    assert "OfTheTest: look here" in run.stdout


def test_a_process_that_ends_in_a_test_fails_the_run_and_names_the_test(tmp_path: Path) -> None:
    run = _pytest(tmp_path, test_thirty=THIRTY, test_dies=DIES)
    assert run.returncode == 1
    assert "a process of the tests ended with 7 in test_dies.py::test_dies" in run.stdout


def test_a_run_that_ends_at_the_first_failure_leaves_no_servers_behind(tmp_path: Path) -> None:
    run = _pytest(tmp_path, "--exitfirst", "--capture=sys", test_servers=SERVERS)
    assert "stopping after 1 failures" in run.stdout
    assert (tmp_path / "asked").exists()
    assert not list(tmp_path.glob("up-*"))


def test_processes_whose_run_was_killed_end_by_themselves(tmp_path: Path) -> None:
    (tmp_path / "test_servers.py").write_text(SERVERS)
    run = subprocess.Popen(_command(tmp_path), cwd=tmp_path, env=_environment(tmp_path), stdout=subprocess.DEVNULL)
    wait_until((tmp_path / "asked").exists, "tests run")
    run.kill()
    run.wait()
    wait_until(lambda: not list(tmp_path.glob("up-*")), "the servers are down")


def test_a_folder_that_each_process_would_empty_is_for_one_process(tmp_path: Path) -> None:
    run = _pytest(tmp_path, "--basetemp", str(tmp_path / "base"), test_thirty=THIRTY)
    assert run.returncode == 0
    assert len({line.split()[1] for line in (tmp_path / "ran").read_text().splitlines()}) == 1


def _pytest(folder: Path, *options: str, **files: str) -> "subprocess.CompletedProcess[str]":
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    return subprocess.run(
        [*_command(folder), *options], cwd=folder, env=_environment(folder), capture_output=True, text=True, check=False,
        timeout=120,
    )  # fmt: skip


def _command(folder: Path) -> list[str]:
    plugin = ["-p", "thuesim_site.testing_processes", "--processes", "2"]
    return [sys.executable, "-m", "pytest", "-c", os.devnull, "--rootdir", str(folder), *plugin]


def _environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(BASE_DIR), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "TMPDIR": str(folder)}
