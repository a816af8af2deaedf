"""The benchmark of the history writes its rows by SQL of its own, which has to follow every migration."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.alone


def test_the_benchmark_of_the_history_runs_on_todays_tables_within_its_queries() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "bench.history", "600", "1"], capture_output=True, text=True, timeout=600, check=False
    )

    assert "Traceback" not in run.stderr, run.stderr
    assert "600 rentals" in run.stdout
    assert "queries at most 8 (bar 8)" in run.stdout
