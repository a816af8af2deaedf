"""Nothing of the desk can be read by other users of the machine: folders and files are tightened, or the start is refused.

The mode of a folder above is not relied on: an admin may change it, or keep the data in a folder that was there before.
"""

import os
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path

from thuesim_site.start import variables
from thuesim_site.start.environment import BASE_DIR
from thuesim_site.start.variables import WrongSetting

UMASK = 0o077
# What shows that a folder is a data directory of ours, and not, say, /tmp.
OUR_FILES = ("secret_key", "token_key", "desk.sqlite3", "run.lock", "sandbox.sqlite3", "demo")
# Where container engines mount secrets, readable by every user in the container: only the desk is in there.
CONTAINER_SECRETS = Path("/run/secrets")


def tighten(data_dir: Path) -> None:
    """Take away what other users may do with the data directory, `.env` and the files that `NAME_FILE` names.

    Raises `WrongSetting`, with the command that mends it, for a file that this user may not change.
    """
    _tighten_data_dir(data_dir)
    if (BASE_DIR / ".env").is_file():
        _tighten_file(BASE_DIR / ".env", ".env")
    for variable in variables.VARIABLES:
        given = os.environ.get(f"{variable.name}_FILE", "")
        if given and CONTAINER_SECRETS not in Path(given).resolve().parents:
            _tighten_file(Path(given), f"{variable.name}_FILE names {given}, which")


def _tighten_data_dir(folder: Path) -> None:
    status = folder.stat()
    if status.st_mode & UMASK:
        empty = next(folder.iterdir(), None) is None
        ours = empty or any((folder / name).exists() for name in OUR_FILES)
        if not ours or status.st_mode & stat.S_ISVTX or not _chmod(folder, status.st_mode):
            raise WrongSetting(
                f"DESK_DATA_DIR names {folder}, which other users of this machine can enter: "
                f"run `chmod 700 {shlex.quote(str(folder))}`, or name a folder of its own."
            )
    for path in _open_to_others(folder):
        _chmod(path, path.stat().st_mode)  # a file of another user stays as it is, behind the folder's own mode


def _open_to_others(folder: Path) -> Iterator[Path]:
    # By descriptor, not by path, which costs four times as much: 100,000 recordings take a quarter second at each start.
    for parent, folders, files, descriptor in os.fwalk(folder):
        for name in (*folders, *files):
            mode = os.lstat(name, dir_fd=descriptor).st_mode
            if mode & UMASK and not stat.S_ISLNK(mode) and not stat.S_ISSOCK(mode):
                yield Path(parent, name)


def _tighten_file(path: Path, named: str) -> None:
    """The group may read a file that is not ours: that is how root hands one to a service."""
    mode = path.stat().st_mode
    if mode & UMASK and not _chmod(path, mode) and mode & 0o007:
        raise WrongSetting(
            f"{named} can be read by other users of this machine: run `chmod o= {shlex.quote(str(path))}`."
        )


def _chmod(path: Path, mode: int) -> bool:
    """Take away what group and others may do; returns whether that was ours to do."""
    try:
        if path.stat().st_uid != os.geteuid():
            return False
        path.chmod(stat.S_IMODE(mode) & ~UMASK)
    except OSError:  # a read-only mount, for one
        return False
    return True
