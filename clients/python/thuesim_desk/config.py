"""Where the address and the key come from: arguments, else the environment, else what `thuesim-desk login` stored."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

URL_VARIABLE = "THUESIM_DESK_URL"
KEY_VARIABLE = "THUESIM_DESK_KEY"  # the variable's name


def path() -> Path:
    """Return the file that `login` writes: in `$XDG_CONFIG_HOME`, else `~/.config`."""
    folder = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(folder) / "thuesim-desk" / "config.json"


def url_and_key(url: str | None = None, key: str | None = None) -> tuple[str, str]:
    """Return both, what is not given from the environment or the file.

    The file's key goes to the file's address alone. Raises ValueError that says what to do where one is missing.
    """
    url, key = url or os.environ.get(URL_VARIABLE), key or os.environ.get(KEY_VARIABLE)
    if not url or not key:
        stored = _stored()
        if not url or url.rstrip("/") == stored.get("url"):
            url, key = url or stored.get("url"), key or stored.get("key")
    if not url or not key:
        missing = "address" if not url else "key"
        raise ValueError(f"no {missing} of a desk: run `thuesim-desk login`, or set {URL_VARIABLE} and {KEY_VARIABLE}")
    return url, key


def store(url: str, key: str) -> Path:
    """Write both for their owner alone (0600), in one step, and return the file."""
    file = path()
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=file.parent)  # 0600 from the start
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as output:
            json.dump({"url": url, "key": key}, output)
        os.replace(name, file)
    except BaseException:
        os.unlink(name)
        raise
    return file


def _stored() -> dict[str, str]:
    try:
        stored = json.loads(path().read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:
        raise ValueError(f"{path()} is damaged: run `thuesim-desk login` again") from None
    return stored if isinstance(stored, dict) else {}
