"""The demo is another world: the true service in the same folder begins with none of it, and the demo opens again."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from sandbox.catalog import demo_token
from thuesim_site.start import demo
from thuesim_site.start.kept_secrets import sha256
from thuesim_site.testing import RunningDesk, known_names, wait_until

TOKEN = demo_token(seed=1)
TRUE = {"THUESIM_BASE_URL": "http://127.0.0.1:9", "THUESIM_TOKEN": "4802-" + "a" * 32}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in known_names():
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("DESK_DATA_DIR", str(tmp_path))
    return tmp_path


def earlier_version(folder: Path, *tokens: str, teams: int = 1) -> None:
    """A data directory in which an earlier version worked with these tokens."""
    with closing(sqlite3.connect(folder / "desk.sqlite3")) as database, database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE rentals_token (id INTEGER, value_digest TEXT)")
        database.execute("CREATE TABLE rentals_token_teams (token_id INTEGER, team_id INTEGER)")
        rows = [(number, sha256(token)) for number, token in enumerate(tokens)]
        database.executemany("INSERT INTO rentals_token VALUES (?, ?)", rows)
        database.executemany("INSERT INTO rentals_token_teams VALUES (0, ?)", [(team,) for team in range(teams)])
    for name in ("secret_key", "token_key", "admin-password", "sandbox.sqlite3"):
        (folder / name).write_text(name)
    (folder / "media" / "calls").mkdir(parents=True)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_only_the_demo_has_a_folder_of_its_own(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert demo.data_dir() == folder / "demo"
    monkeypatch.setenv("DATABASE_URL", "postgres://desk@localhost/desk")  # both are in the one that is named
    assert demo.data_dir() == folder
    monkeypatch.setenv("DATABASE_URL", "")
    monkeypatch.setenv("THUESIM_BASE_URL", "https://thuesim.xyz")
    assert demo.data_dir() == folder


def test_an_earlier_versions_demo_is_moved_with_all_that_belongs_to_it(folder: Path) -> None:
    earlier_version(folder, TOKEN)
    before = names(folder)
    assert demo.set_apart(folder, TOKEN)
    assert names(folder) == {"demo"}
    assert names(folder / "demo") == before - {"desk.sqlite3-wal", "desk.sqlite3-shm"}
    with closing(sqlite3.connect(folder / "demo" / "desk.sqlite3")) as database:
        assert database.execute("SELECT count(*) FROM rentals_token").fetchone() == (1,)
    assert not demo.set_apart(folder, TOKEN)


@pytest.mark.parametrize(
    ("tokens", "teams"),
    [((), 0), (("4802-true",), 1), ((TOKEN, "4802-true"), 1), ((TOKEN,), 0)],
    ids=["none", "the true one", "both", "the demo's, after a start with the true service"],
)
def test_what_has_seen_the_true_service_stays(folder: Path, tokens: tuple[str, ...], teams: int) -> None:
    earlier_version(folder, *tokens, teams=teams)
    before = names(folder)
    assert not demo.set_apart(folder, TOKEN)
    assert names(folder) >= before - {"desk.sqlite3-wal", "desk.sqlite3-shm"}
    assert "demo" not in names(folder)


@pytest.mark.parametrize("content", [None, b"", b"no database"])
def test_what_is_no_database_of_ours_stays(folder: Path, content: bytes | None) -> None:
    if content is not None:
        (folder / "desk.sqlite3").write_bytes(content)
    assert not demo.set_apart(folder, TOKEN)
    assert "demo" not in names(folder)


def test_a_move_that_was_cut_off_is_finished_by_the_next_start(folder: Path) -> None:
    earlier_version(folder, TOKEN)
    (folder / "demo").mkdir()
    (folder / "secret_key").rename(folder / "demo" / "secret_key")
    assert demo.set_apart(folder, TOKEN)
    assert {"secret_key", "token_key", "desk.sqlite3"} <= names(folder / "demo")


@pytest.fixture
def desks(tmp_path: Path) -> Iterator[list[RunningDesk]]:
    started: list[RunningDesk] = []
    yield started
    for running in started:
        running.stop()


@pytest.mark.alone
def test_the_true_service_begins_with_none_of_the_demo_and_the_demo_opens_again(
    tmp_path: Path, desks: list[RunningDesk], migrated_file: str
) -> None:
    var, apart = tmp_path / "var", tmp_path / "var" / demo.FOLDER

    def run(environment: dict[str, str], until: Callable[[], object] = lambda: True) -> RunningDesk:
        desks.append(RunningDesk(tmp_path, migrated=migrated_file, **environment))
        desks[-1].start()
        wait_until(until, "what is asked of it is in its database")
        assert desks[-1].stop() == 0
        return desks[-1]

    def count(database: Path, what: str) -> int:
        with closing(sqlite3.connect(database)) as connection:
            return int(connection.execute(f"SELECT count(*) FROM {what}").fetchone()[0])

    def is_without_the_demo() -> bool:
        database = var / demo.DATABASE
        return [count(database, what) for what in ("accounts_user", "rentals_token", "rentals_service")] == [1, 1, 0]

    first = run({})
    passwords = first.passwords
    assert sorted(passwords) == ["admin", "linh"]
    # As an earlier version left it.
    for path in apart.iterdir():
        if not path.is_dir():
            path.rename(var / path.name)

    upgraded = run(TRUE)  # its database is made here, by all migrations
    assert "was moved to" in upgraded.output()
    assert "Nothing of the demo is in this database" in upgraded.output()
    assert is_without_the_demo()
    assert count(apart / demo.DATABASE, "accounts_user") == 2
    true_password = (var / "admin-password").read_text()
    assert true_password not in passwords.values()

    again = run({}, until=lambda: count(apart / demo.DATABASE, "rentals_service") > 0)
    assert all(password in again.output() for password in passwords.values())
    assert true_password not in again.output()

    true = run(TRUE)
    assert "Nothing of the demo is in this database" in true.output()
    assert "was moved to" not in true.output()
    assert is_without_the_demo()
    assert "Traceback" not in "".join(desk.output() for desk in desks)
