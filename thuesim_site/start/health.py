"""Whether the `./run` of this data directory works, for a container's health check: `python -m thuesim_site.start.health`.

It loads nothing of the desk, since it runs every half minute. `/readyz` and the system page say more.
"""

import json
import sys
import time
import urllib.request
from pathlib import Path

from thuesim_site.start import demo
from thuesim_site.start.addresses import local_host
from thuesim_site.start.checks import Role, Setup
from thuesim_site.start.variables import WrongSetting

FILE = "alive"
STALE_SECONDS = 30.0
ANSWER_SECONDS = 5.0


def note_alive(setup: Setup) -> None:
    """Write down that all processes run, and where the web server listens, if this run has one."""
    url = f"http://{local_host(setup.host)}:{setup.port}/healthz" if Role.WEB in setup.roles else ""
    try:
        (setup.data_dir / FILE).write_text(json.dumps({"url": url}))
    except OSError:  # a full disk: then it is not well
        return


def problem(data_dir: Path) -> str:
    """Return what is wrong, or `""`."""
    file = data_dir / FILE
    try:
        age, url = time.time() - file.stat().st_mtime, str(json.loads(file.read_text())["url"])
    except (OSError, ValueError):
        return f"nothing has run in {data_dir} yet"
    if not 0 <= age < STALE_SECONDS:
        return f"a process does not stay up, or nothing runs: the last sign of life is {age:.0f} s old"
    return _unanswered(url) if url else ""


def _unanswered(url: str) -> str:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=ANSWER_SECONDS):
            return ""
    except OSError as error:
        return f"the web server does not answer ({type(error).__name__})"


def main() -> int:
    """Return the exit status."""
    try:
        found = problem(demo.data_dir())
    except WrongSetting as wrong:
        found = str(wrong)
    print(found or "well")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
