"""The fixtures, in a pytest of its own as a user runs it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .stand_in import KEY, StandIn

PACKAGE = Path(__file__).parents[1]
TESTS = """
def test_sign_up(rented_number):
    rental = rented_number("01.2", networks=["VIETTEL"])
    assert rental.phone == "0852222127"
    assert rental.wait_for_code(timeout=60) == "195829"

def test_nothing_free(rented_number):
    rented_number("02.97", number_timeout=0.2)
"""


def _run(folder: Path, *arguments: str, **environment: str) -> str:
    command = [sys.executable, "-m", "pytest", "-p", "thuesim_desk.pytest_plugin", "-p", "no:cacheprovider", *arguments]
    settings = {**os.environ, "PYTHONPATH": str(PACKAGE), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **environment}
    settings.pop("PYTEST_ADDOPTS", None)
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "test_shop.py").write_text(TESTS)
    ended = subprocess.run(command, cwd=folder, env=settings, capture_output=True, text=True, timeout=180, check=False)
    return ended.stdout + ended.stderr


@pytest.mark.usefixtures("signed_in")
def test_a_test_gets_a_number_and_the_report_names_the_rental(stand_in: StandIn, tmp_path: Path) -> None:
    stand_in.second = 1

    def answer() -> None:
        while len(stand_in.rentals) < 1:
            time.sleep(0.01)
        stand_in.number_at_once = False
        stand_in.message(1, "195829")

    stand_in.later(0, answer)
    output = _run(tmp_path, "--junitxml=report.xml", "--showlocals")
    assert "1 failed, 1 passed" in output
    assert "NumberTimeout: rental 2: no number in time" in output
    assert "thuesim-desk: rental 2 cancelled" in output
    assert KEY not in output
    assert 'name="thuesim_desk_rental" value="1"' in (tmp_path / "report.xml").read_text()
    assert stand_in.requests[0][3] == {"service": "01.2", "networks": ["VIETTEL"], "purpose": "test_sign_up"}


def test_without_a_key_the_test_fails_and_says_what_to_do(tmp_path: Path) -> None:
    assert "run `thuesim-desk login`" in _run(tmp_path, "-k", "sign_up")
