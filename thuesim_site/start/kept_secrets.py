"""Secrets that are made at the first start and kept in the data directory, readable by their owner alone."""

import hashlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path

from cryptography.fernet import Fernet
from django.core.management.utils import get_random_secret_key

new_secret_key = get_random_secret_key


def new_fernet_key() -> str:
    """Return a key for `MultiFernet`, as text."""
    return Fernet.generate_key().decode()


def new_password() -> str:
    """Return a password that can be read aloud and typed: 60 bits in three groups, without letters that look alike."""
    letters = "abcdefghjkmnpqrstuvwxyz23456789"
    return "-".join("".join(secrets.choice(letters) for _ in range(4)) for _ in range(3))


def sha256(text: str) -> str:
    """Return SHA-256 in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def short_digest(text: str) -> str:
    """Return twelve hex digits of `text`'s SHA-256."""
    return sha256(text)[:12]


def kept_secret(path: Path, make: Callable[[], str]) -> str:
    """Return the secret in `path`; make it where there is none. Two processes that start together agree on one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        mine = path.with_name(f"{path.name}.{os.getpid()}")
        descriptor = os.open(mine, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(make())
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(mine, path)  # fails where another process was first: its secret counts
        except FileExistsError:
            pass
        finally:
            mine.unlink()
    return path.read_text().strip()
