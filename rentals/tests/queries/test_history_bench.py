"""The benchmark of the history writes its rows by SQL of its own, which has to follow every migration."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from django.db import connection

from bench.stage import MIGRATED
from thuesim_site.migrated_database import database_beside

pytestmark = [
    pytest.mark.alone,
    pytest.mark.skipif(connection.vendor != "postgresql", reason="it measures PostgreSQL"),
]


@pytest.fixture
def migrated(django_db_setup: str) -> Iterator[str]:
    """A migrated database beside that of the tests."""
    with database_beside(django_db_setup) as url:
        yield url


def test_the_benchmark_of_the_history_runs_on_todays_tables_within_its_queries(migrated: str) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "bench.history", "600", "1"],
        env={**os.environ, MIGRATED: migrated},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )

    assert "Traceback" not in run.stderr, run.stderr
    assert "600 rentals" in run.stdout
    assert "queries at most 8 (bar 8)" in run.stdout
