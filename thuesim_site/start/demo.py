"""The demo's own folder, so that none of its people, money and services are in the true service's database.

In demo mode everything lies in `demo/` of the data directory: database, keys, passwords, recordings. Only where DATABASE_URL
names one database for both, the demo is in it, and the start says so.
"""

import sqlite3
from pathlib import Path

from thuesim_site.start import variables
from thuesim_site.start.kept_secrets import sha256

FOLDER = "demo"
DATABASE = "desk.sqlite3"
# What an earlier version's demo left in the data directory itself. The rest is made anew at each start.
_LEFT = (
    DATABASE,
    f"{DATABASE}-wal",
    f"{DATABASE}-shm",
    "sandbox.sqlite3",
    "secret_key",
    "token_key",
    "media",
    "exports",
)


def is_on() -> bool:
    """Whether the sandbox stands in for ThueSim."""
    return not variables.THUESIM_BASE_URL.read()


def data_dir() -> Path:
    """Return where everything of this run lies: the data directory, or the demo's folder in it."""
    folder = variables.DATA_DIR.read()
    return folder / FOLDER if is_on() and not variables.DATABASE_URL.read() else folder


def set_apart(folder: Path, demo_token: str) -> bool:
    """Move an earlier version's demo from the data directory `folder` into the demo's folder. Returns whether it did.

    Only where nothing but the demo is in that database: one that has worked with the true service as well stays.
    `demo_token` is the token that the sandbox takes.
    """
    apart = folder / FOLDER
    if variables.DATABASE_URL.read() or (apart / DATABASE).exists() or not _is_alone(folder / DATABASE, demo_token):
        return False
    apart.mkdir(mode=0o700, exist_ok=True)
    # The database last: whatever ends this half-way, the next start goes on.
    for name in (*_LEFT[1:], *(path.name for path in folder.glob("*-password")), DATABASE):
        if (folder / name).exists():
            (folder / name).replace(apart / name)
    return True


def _is_alone(database: Path, demo_token: str) -> bool:
    """Whether a team works with the demo's token in this database, and no other token was ever there."""
    if not database.exists():
        return False
    connection = sqlite3.connect(database)
    try:
        # So that all of it is in the file that is moved.
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        tokens = connection.execute("SELECT id, value_digest FROM rentals_token").fetchall()
        # The true service, where it was started in between, took the demo's token away from its team.
        in_use = connection.execute("SELECT count(*) FROM rentals_token_teams").fetchone()[0]
    except sqlite3.Error:  # no database of ours, or a broken one: the check of the database says so
        return False
    finally:
        connection.close()
    return [digest for _, digest in tokens] == [sha256(demo_token)] and in_use > 0
