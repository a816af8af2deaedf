"""The database of the last release, cut off with orders in the queue and numbers that wait, comes to this version.

Made by the code of 0.2.0 itself: its desk ordered eight numbers on its sandbox, had a code for one, waited for three, and
was killed.
"""

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from thuesim_site.start.environment import BASE_DIR
from thuesim_site.testing import known_names

RELEASES = BASE_DIR / "thuesim_site" / "tests" / "releases"
KILLED_AT = 1795758290.76
TOKEN_KEY = "Ab-Kxca1rssAtH6HLqry0ot55ARYdbQsz9FKhrYxqx4="  # the demo's token is encrypted with it


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data directory as the release left it."""
    for name in ("desk", "sandbox"):
        with closing(sqlite3.connect(tmp_path / f"{name}.sqlite3")) as database:
            database.executescript((RELEASES / f"0.2.0-{name}.sql").read_text())
    return tmp_path


@pytest.mark.programs
def test_every_order_gets_its_code_and_is_paid_once(folder: Path) -> None:
    unset = dict.fromkeys(known_names(), "")
    completed = subprocess.run(
        [sys.executable, "-m", "thuesim_site.tests.releases.carry_on", str(folder), str(KILLED_AT)],
        cwd=BASE_DIR,
        env={**os.environ, **unset, "DESK_SECRET_KEYS": TOKEN_KEY, "DJANGO_SETTINGS_MODULE": "thuesim_site.settings"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert completed.returncode == 0, completed.stderr
    facts: dict[str, Any] = json.loads(completed.stdout)
    assert sorted(facts["before"].values()) == ["queued"] * 4 + ["received"] + ["waiting"] * 3
    assert set(facts["after"].values()) == {"received"}
    assert [facts[what] for what in ("numbers", "with_code", "charged", "paid", "wrong_sums")] == [8, 8, 8, 8, 0]
