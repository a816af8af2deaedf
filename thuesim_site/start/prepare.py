"""Prepare the database, the static files and the first team, in a process of its own before the desk's processes start."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.contrib.staticfiles.storage import ManifestStaticFilesStorage
from django.core.management import call_command

from lib.advisory_lock import advisory_lock
from sandbox.catalog import demo_token
from thuesim_site.start import variables
from thuesim_site.start.environment import BASE_DIR
from thuesim_site.start.kept_secrets import short_digest

MAX_SHOWN = 10
MANIFEST, FORMER_MANIFEST = ManifestStaticFilesStorage.manifest_name, "staticfiles.former.json"
PREPARE_LOCK = 7_304_801  # any number that nothing else of the desk locks


def prepare() -> dict[str, Any]:
    """Bring the database and the static files up to date, then make the first team and its people.

    Returns what stands in `FirstStart`, and as `key_missing` what `missing_key` says.
    """
    from thuesim_site.start.first_start import first_start  # its models want Django to be set up

    # Machines that start together prepare one after the other. SQLite has `run.lock`.
    with advisory_lock(PREPARE_LOCK):
        call_command("migrate", interactive=False, verbosity=0)
        call_command("createcachetable", verbosity=0)
        _collect_static()
        about = first_start(demo_token=demo_token(seed=1))
    return {**asdict(about), "key_missing": missing_key()}


def missing_key() -> str:
    """Return which secrets no key decrypts, and what to do; `""` where each has its key."""
    from lib.key_rotation import undecryptable

    lost = undecryptable()
    if not lost:
        return ""
    shown = ", ".join(lost[:MAX_SHOWN]) + (f" and {len(lost) - MAX_SHOWN} more" if len(lost) > MAX_SHOWN else "")
    source = "DESK_SECRET_KEYS" if variables.SECRET_KEYS.text() else f"the file {settings.DATA_DIR / 'token_key'}"
    return (
        f"A key is missing: {source} does not decrypt {shown}. Put the key that they were encrypted with (the former "
        "DESK_SECRET_KEYS, or the file token_key of the former data directory) into DESK_SECRET_KEYS, behind the one in "
        "use and a comma, and start again; or enter these tokens anew in the admin. Until then ThueSim is not asked with "
        "them."
    )


def _collect_static() -> None:
    """Collect unless the files are those of the last time, or of the image: compressing them all takes seconds."""
    if Path(settings.STATIC_ROOT).parent == BASE_DIR:
        return
    stamp = Path(settings.STATIC_ROOT) / ".collected"
    state = short_digest("\n".join(sorted(_static_files())))
    if stamp.exists() and stamp.read_text() == state:
        return
    stamp.unlink(missing_ok=True)
    # Pages of the version before stay open for a while, and ask for its files.
    before, former = _named_files(MANIFEST), Path(settings.STATIC_ROOT) / FORMER_MANIFEST
    if before:
        shutil.copy(former.with_name(MANIFEST), former.with_suffix(".new"))
    call_command("collectstatic", interactive=False, verbosity=0)
    if before and _named_files(MANIFEST) != before:
        former.with_suffix(".new").replace(former)
    _delete_all_but(_named_files(MANIFEST) | _named_files(FORMER_MANIFEST))
    stamp.write_text(state)


def _named_files(manifest: str) -> set[str]:
    """Return the files that a collection has named, plain and hashed; none where it wrote no names (DEBUG)."""
    path = Path(settings.STATIC_ROOT) / manifest
    if not path.exists():
        return set()
    paths: dict[str, str] = json.loads(path.read_text())["paths"]
    return {*paths, *paths.values()}


def _delete_all_but(files: set[str]) -> None:
    """Delete what earlier versions have left in the folder of the static files, with the compressed copies."""
    root = Path(settings.STATIC_ROOT)
    kept = {MANIFEST, FORMER_MANIFEST, *files}
    for path in root.rglob("*") if files else ():
        name = path.relative_to(root).as_posix()
        if path.is_file() and name.removesuffix(".gz").removesuffix(".br") not in kept:
            path.unlink()


def _static_files() -> list[str]:
    found = [f"{settings.STORAGES['staticfiles']['BACKEND']}"]
    for finder in get_finders():
        for path, storage in finder.list([]):
            status = Path(storage.path(path)).stat()
            found.append(f"{path} {status.st_size} {status.st_mtime_ns}")
    return found
