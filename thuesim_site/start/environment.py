"""The environment as everything here reads it: `NAME`, or the file that `NAME_FILE` names; empty means unset."""

from pathlib import Path

import environ
from environ.fileaware_mapping import FileAwareMapping

BASE_DIR = Path(__file__).resolve().parent.parent.parent


class Values(FileAwareMapping):  # type: ignore[misc]
    """White space around a value is dropped: a file usually ends with a new line."""

    def __getitem__(self, name: str) -> str:
        value = str(super().__getitem__(name)).strip()
        if not value:
            raise KeyError(name)
        return value


ENVIRON = Values(cache=False)


def read_dot_env() -> None:
    """Take from `.env` what the environment does not say itself."""
    if (BASE_DIR / ".env").is_file():
        environ.Env.read_env(BASE_DIR / ".env")


def version() -> str:
    """Return the release, as `pyproject.toml` has it."""
    import tomllib  # which most processes need not load

    return str(tomllib.loads((BASE_DIR / "pyproject.toml").read_text())["project"]["version"])
