"""The short form of `bench.waits`: a real web process holds waits, is killed, and no client loses its code."""

import os
import subprocess
import sys

import pytest
from django.conf import settings

from bench.stage import MIGRATED

pytestmark = pytest.mark.alone


def test_held_waits_take_no_thread_and_outlive_the_web_process(migrated_file: str) -> None:
    command = [sys.executable, "-m", "bench.waits", "--waits", "40", "--clients", "6", "--kills", "1"]
    run = subprocess.run(
        command,
        cwd=settings.BASE_DIR,
        env={**os.environ, MIGRATED: migrated_file},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    verdicts = [line for line in run.stdout.splitlines() if line.startswith(("ok", "BROKEN"))]
    # How quick an answer is depends on what else this machine does: that is measured apart.
    steady = [line for line in verdicts if "p95" not in line]
    assert (len(verdicts), len(steady)) == (9, 7), run.stdout + run.stderr[-4000:]
    assert all(line.startswith("ok") for line in steady), run.stdout
