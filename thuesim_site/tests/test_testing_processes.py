"""Several processes run each test once, report as one would, and none ends unnoticed."""

import os
import subprocess
import sys
from pathlib import Path

from thuesim_site.start.environment import BASE_DIR

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
# The process that it leaves behind keeps the pipe open.
DIES = """
import os, time

def test_dies():
    if os.fork() == 0:
        time.sleep(5)
        os._exit(0)
    os._exit(7)
"""


def test_each_test_runs_once_and_a_failure_is_told_with_what_it_printed(tmp_path: Path) -> None:
    run = _pytest(tmp_path, test_thirty=THIRTY, test_fails=FAILS)
    ran = [line.split() for line in (tmp_path / "ran").read_text().splitlines()]
    assert sorted(int(number) for number, _ in ran) == list(range(30))
    assert str(os.getpid()) not in {process for _, process in ran}
    assert run.returncode == 1
    assert "1 failed, 30 passed" in run.stdout
    assert "what it printed" in run.stdout


def test_a_process_that_ends_in_a_test_fails_the_run_and_names_the_test(tmp_path: Path) -> None:
    run = _pytest(tmp_path, test_thirty=THIRTY, test_dies=DIES)
    assert run.returncode == 1
    assert "a process of the tests ended with 7 in test_dies.py::test_dies" in run.stdout


def _pytest(folder: Path, **files: str) -> "subprocess.CompletedProcess[str]":
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-c", os.devnull, "--rootdir", folder, "--processes", "2",
         "-p", "thuesim_site.testing_processes"],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(BASE_DIR), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
