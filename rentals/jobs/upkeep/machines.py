"""What each machine runs with: every one writes it where the others see it, and `differences` says who is not like them."""

import contextlib
import logging
import os
import secrets
import socket
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import redis
from django.conf import settings
from django.db import Error, close_old_connections, connection
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from lib import clock
from lib.encryption import digest
from lib.fingerprints import fingerprint
from lib.redis_access import redis_state
from rentals.models import Machine

INTERVAL_SECONDS = 20
STALE_SECONDS = 70
# So long after a start nothing is said: machines are upgraded, and get other keys, one after the other.
GRACE = timedelta(minutes=10)
RETENTION = timedelta(days=1)
# Until every machine has seen what is new: each looks every 20 s, and a shared folder (NFS) may be a minute late.
SEEN_BY_ALL = timedelta(seconds=90)

VERSION, KEYS, FOLDER, REDIS = "version", "DESK_SECRET_KEYS", "DESK_FILES_DIR", "REDIS_URL"
# In Redis: what tells it from another one, and since when, in seconds of the epoch. Made by the first machine that asks.
_REDIS_MARK = "desk:mark"
_SENTENCES: Mapping[str, Promise] = {
    VERSION: _("%(machines)s: not the version of the other machines. Upgrade those that are behind."),
    "SECRET_KEY": _(
        "%(machines)s: not the SECRET_KEY of the other machines, so people are signed out on the way from one to another. "
        "Set the same on all, and restart."
    ),
    KEYS: _(
        "%(machines)s: DESK_SECRET_KEYS lacks a key that another machine encrypts with. Put all keys into it on every "
        "machine, in the same order, and restart."
    ),
    FOLDER: _(
        "%(machines)s: DESK_FILES_DIR is not the folder of the other machines, so recordings and exports are missing there. "
        "Name one folder that all share, and restart."
    ),
    REDIS: _(
        "%(machines)s: REDIS_URL names another Redis than that of the other machines, so codes come late to the screens "
        "there. Name the same on all, and restart."
    ),
}
_ANOTHER = _("%(machines)s: not the %(setting)s of the other machines. Set the same on all, and restart.")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Difference:
    """A setting, or the version, in which some machines are not like the others."""

    setting: str
    machines: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """Which machines differ in what, and what to do, in the reader's language."""
        return str(_SENTENCES.get(self.setting, _ANOTHER)) % {
            "machines": ", ".join(self.machines),
            "setting": self.setting,
        }


def this_machine() -> Machine:
    """Return what this machine runs with, as it would be written."""
    run = _run()
    bucket = settings.FILES_BUCKET
    values = {
        "SECRET_KEY": fingerprint(settings.SECRET_KEY),
        KEYS: " ".join(map(fingerprint, settings.TOKEN_KEYS)),
        "DESK_FILES_URL": digest(f"{bucket.shown}/{bucket.prefix}")[:8] if bucket else "",
        "DESK_PUBLIC_URL": settings.PUBLIC_URL,
        "THUESIM_BASE_URL": settings.THUESIM_BASE_URL,
        "THUESIM_RENT_GAP": f"{settings.THUESIM_RENT_GAP_SECONDS:g}",
        "DESK_PASSWORDS": "on" if settings.PASSWORDS else "off",
        "DESK_KEEP_MESSAGES_DAYS": str(settings.KEEP_MESSAGES_DAYS),
        "DESK_KEEP_AUDIT_DAYS": str(settings.AUDIT_DAYS),
    }
    if mark := _redis_mark():
        values[REDIS] = mark
    return Machine(
        key=_key(),
        name=socket.gethostname()[:80],
        roles=run["roles"],
        version=run["version"],
        settings=values,
        files=_seen_files(),
        started_at=datetime.fromtimestamp(run["began"], UTC),
    )


def _run() -> Mapping[str, Any]:
    run: Mapping[str, Any] = settings.RUN or {"version": "", "roles": "", "began": time.time()}
    return run


def _key() -> str:
    # A copy of a virtual machine has its name, and another boot.
    return digest("\n".join([socket.gethostname(), clock.boot(), str(settings.DATA_DIR), _run()["roles"]]))[:12]


def note() -> None:
    """Write what this machine runs with, and leave its file in the folder that machines share. Never raises."""
    try:
        _leave_file(_key())
        machine = this_machine()
        names = ("name", "roles", "version", "settings", "files", "started_at")
        values = {**{name: getattr(machine, name) for name in names}, "seen_at": clock.database_now()}
        if not Machine.objects.filter(key=machine.key).update(**values):
            Machine.objects.get_or_create(key=machine.key, defaults=values)
        Machine.objects.filter(seen_at__lt=clock.database_now(plus=-RETENTION)).delete()
    except Error as error:
        logger.warning("this machine could not be noted: %s", type(error).__name__)


def start() -> None:
    """Note this machine now and again. Where SQLite is the database, there is no other one.

    On a thread of its own: a shared folder that hangs holds nothing else up.
    """
    if settings.RUN is None or connection.vendor == "sqlite":
        return

    def keep_noting() -> None:
        while True:
            close_old_connections()
            note()
            close_old_connections()
            time.sleep(INTERVAL_SECONDS)

    threading.Thread(target=keep_noting, name="machine", daemon=True).start()


def running() -> list[Machine]:
    """Return the machines that were heard of lately, the one that runs for the longest first. One query."""
    recent = clock.database_now(plus=-timedelta(seconds=STALE_SECONDS))
    return list(Machine.objects.filter(seen_at__gt=recent).order_by("started_at", "key"))


def settled_differences(machines: Collection[Machine]) -> list[Difference]:
    """Return in what machines differ; nothing while one of them has only just started."""
    newest = max((machine.started_at for machine in machines), default=None)
    if newest is None or newest > datetime.now(UTC) - GRACE:
        return []
    return differences(machines)


def differences(machines: Collection[Machine], *, asking: Machine | None = None) -> list[Difference]:
    """Return in what `machines` differ. `asking` is one that may not run, so that the others have not seen its file.

    Machines of several versions are not compared further: an upgrade may change what a setting means.
    """
    unlike = {VERSION: _unlike({machine.key: machine.version for machine in machines})}
    if not unlike[VERSION]:
        for name in dict.fromkeys(
            name for machine in machines for name in machine.settings if name not in {KEYS, REDIS}
        ):
            unlike[name] = _unlike({each.key: each.settings[name] for each in machines if name in each.settings})
        unlike[REDIS] = _unlike(_redis_marks(machines))
        unlike[KEYS] = _lacking_a_key(machines)
        unlike[FOLDER] = _unlike(_folders(machines, asking))
    named = names(machines)
    if asking is not None:
        named[asking.key] = "this machine"
    return [Difference(name, tuple(map(named.__getitem__, keys))) for name, keys in unlike.items() if keys]


def _unlike(values: Mapping[str, object]) -> list[str]:
    """Return which machines, by their keys, have not the value of the most; of the first one, where none has the most."""
    groups: dict[object, list[str]] = {}
    for key, value in values.items():
        groups.setdefault(value, []).append(key)
    usual = max(groups.values(), key=len, default=[])
    return [key for key in values if key not in usual]


def _lacking_a_key(machines: Iterable[Machine]) -> list[str]:
    """Return the machines that cannot read what most encrypt with; or what another one does. More keys, or another order, do
    no harm."""
    keys = {machine.key: str(machine.settings.get(KEYS, "")).split() for machine in machines}
    in_use = Counter(own[0] for own in keys.values() if own)
    lacking = ([machine for machine, own in keys.items() if key not in own] for key, _count in in_use.most_common())
    return next(filter(None, lacking), [])


def _redis_marks(machines: Iterable[Machine]) -> dict[str, object]:
    """Return each machine's mark of Redis, where all have seen it: one that was emptied a moment ago has a new one."""
    marks = {machine.key: str(machine.settings[REDIS]) for machine in machines if REDIS in machine.settings}
    latest = time.time() - SEEN_BY_ALL.total_seconds()
    return {key: mark for key, mark in marks.items() if int(mark.rpartition("@")[2]) < latest}


def _redis_mark() -> str:
    """Return what tells the Redis of this machine from another one; `""` where it does not answer."""
    with contextlib.suppress(redis.RedisError, OSError, ValueError):
        client = redis_state.client()
        client.set(_REDIS_MARK, f"{secrets.token_hex(4)}@{time.time():.0f}", nx=True)
        mark: Any = client.get(_REDIS_MARK)
        return bytes(mark or b"").decode()
    return ""


def _folders(machines: Iterable[Machine], asking: Machine | None) -> dict[str, object]:
    """Return whose files each machine sees in its folder, for those that have one. Of machines that had begun long enough
    before the last look of each."""
    with_folder = [machine for machine in machines if machine is asking or machine.key in machine.files]
    now = datetime.now(UTC)
    latest = min((machine.seen_at or now for machine in with_folder), default=now) - SEEN_BY_ALL
    known = {machine.key for machine in with_folder if machine is not asking and machine.started_at < latest}
    return {machine.key: frozenset(known & set(machine.files)) for machine in with_folder}


def names(machines: Iterable[Machine]) -> dict[str, str]:
    """Return what each machine is called, by its key: with the key's first digits where two have one name."""
    named = {machine.key: str(machine) for machine in machines}
    several = [name for name in named.values() if list(named.values()).count(name) > 1]
    return {key: f"{name} [{key[:4]}]" if name in several else name for key, name in named.items()}


def _folder() -> Path:
    return Path(settings.FILES_DIR) / "machines"


def _leave_file(key: str) -> None:
    """Leave a file of this machine's name in the folder of recordings and exports, and clear away what is old."""
    if settings.FILES_BUCKET is not None:
        return
    with contextlib.suppress(OSError):  # what is wrong with the folder is said by `storage.check`
        _folder().mkdir(mode=0o700, parents=True, exist_ok=True)
        (_folder() / key).touch(mode=0o600)
        for file in _folder().iterdir():
            if file.stat().st_mtime < time.time() - RETENTION.total_seconds():
                file.unlink(missing_ok=True)


def _seen_files() -> list[str]:
    """Return the names of the machines whose files this one sees; none where a bucket has them."""
    if settings.FILES_BUCKET is None:
        with contextlib.suppress(OSError):
            return sorted(os.listdir(_folder()))
    return []
