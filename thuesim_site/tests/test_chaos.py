"""The short form of `bench.chaos`: real processes, all the upstream's faults, kills, and the books compared."""

import os
import subprocess
import sys

import pytest
from django.conf import settings

from bench.stage import MIGRATED

MAX_SECONDS = 900  # it ends by itself within five minutes

pytestmark = pytest.mark.alone


def test_no_number_is_lost_or_paid_twice_while_everything_fails(migrated_file: str) -> None:
    command = [sys.executable, "-m", "bench.chaos", "--brief", "--orders", "30", "--tokens", "2", "--minutes", "2.5"]
    run = subprocess.run(
        command,
        cwd=settings.BASE_DIR,
        env={**os.environ, MIGRATED: migrated_file},
        capture_output=True,
        text=True,
        timeout=MAX_SECONDS,
    )
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-4000:]
    assert "ok     numbers charged but unknown to us: 0" in run.stdout
