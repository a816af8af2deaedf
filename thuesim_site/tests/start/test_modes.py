"""Other users of the machine read nothing: what is ours is tightened, what is not is refused with the command to run."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from thuesim_site.start import modes
from thuesim_site.start.variables import WrongSetting


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(autouse=True)
def no_dot_env(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A project folder of the test's own."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.setattr(modes, "BASE_DIR", folder)
    return folder


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A data directory as an older version left it: every user may read it and its files."""
    folder = tmp_path / "var"
    (folder / "media" / "calls").mkdir(parents=True)
    for name in ("secret_key", "desk.sqlite3", "media/calls/1.mp3"):
        (folder / name).write_text("secret")
        (folder / name).chmod(0o644)
    for each in (folder, folder / "media", folder / "media" / "calls"):
        each.chmod(0o755)
    return folder


def test_a_data_directory_that_others_could_read_is_tightened_with_all_that_is_in_it(data_dir: Path) -> None:
    modes.tighten(data_dir)
    assert {mode_of(path) for path in (data_dir, data_dir / "media", data_dir / "media" / "calls")} == {0o700}
    assert {mode_of(path) for path in data_dir.rglob("*") if path.is_file()} == {0o600}


def test_an_empty_folder_as_systemd_makes_it_is_taken(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    folder.chmod(0o755)
    modes.tighten(folder)
    assert mode_of(folder) == 0o700


def test_a_folder_of_other_things_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "shared things"
    folder.mkdir()
    folder.chmod(0o755)
    (folder / "holiday.txt").touch()
    with pytest.raises(WrongSetting, match=r"^DESK_DATA_DIR names .*: run `chmod 700 '.*shared things'`"):
        modes.tighten(folder)
    assert mode_of(folder) == 0o755


def test_a_folder_of_another_user_is_refused(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: data_dir.stat().st_uid + 1)
    with pytest.raises(WrongSetting, match="chmod 700"):
        modes.tighten(data_dir)


def test_a_dot_env_that_others_could_read_is_tightened(no_dot_env: Path, data_dir: Path) -> None:
    (no_dot_env / ".env").write_text("THUESIM_TOKEN=1")
    (no_dot_env / ".env").chmod(0o644)
    modes.tighten(data_dir)
    assert mode_of(no_dot_env / ".env") == 0o600


@pytest.fixture
def key_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Path]:
    """A file that DESK_SECRET_KEYS_FILE names, of another user, with this mode."""

    def make(mode: int) -> Path:
        path = tmp_path / "keys"
        path.write_text("key")
        path.chmod(mode)
        monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
        monkeypatch.setenv("DESK_SECRET_KEYS_FILE", str(path))
        return path

    return make


def test_a_key_file_of_root_that_our_group_may_read_is_taken(key_file: Callable[[int], Path], tmp_path: Path) -> None:
    key_file(0o640)
    modes.tighten(closed(tmp_path))


def test_a_key_file_of_root_that_everybody_may_read_is_refused(key_file: Callable[[int], Path], tmp_path: Path) -> None:
    key_file(0o644)
    with pytest.raises(WrongSetting, match=r"^DESK_SECRET_KEYS_FILE names .*: run `chmod o= "):
        modes.tighten(closed(tmp_path))


def test_secrets_that_a_container_engine_mounts_are_taken(
    key_file: Callable[[int], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(modes, "CONTAINER_SECRETS", key_file(0o444).parent)
    modes.tighten(closed(tmp_path))


def closed(tmp_path: Path) -> Path:
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o700)
    return folder
