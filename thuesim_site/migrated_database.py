"""For tests: one database is migrated, and each test process works on a copy of it."""

import contextlib
import fcntl
import gc
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import psycopg
from django.conf import settings
from django.core.management.color import no_style
from django.db import connection

from rentals.models import Network, Prefix
from thuesim_site.start.environment import BASE_DIR

# What `migrate` wrote for the models, and no test changes. To write it anew takes ten times as long as to empty the others.
_KEPT = {"django_content_type", "auth_permission"}

_networks: list[Network] = []
_prefixes: list[Prefix] = []


def use_copy() -> str:
    """Connect this process to a copy of its own, and return the original's name (SQLite: its path).

    The first process makes the original, which stays for the next run.
    """
    creation = connection.creation
    with _alone():
        made = Path(settings.DATA_DIR, f"migrated-{connection.vendor}-{_migrations()}")
        if not made.exists():
            made.write_text(_migrated())
        original = made.read_text()
        _connect_to(original)
        suffix = str(os.getpid())
        creation.clone_test_db(suffix, verbosity=0)
        _connect_to(str(creation.get_test_db_clone_settings(suffix)["NAME"]))
    _networks[:], _prefixes[:] = Network.objects.all(), Prefix.objects.all()
    return original


def empty() -> None:
    """Delete what a test committed, in the tables that have rows; what the migrations wrote is there for the next one."""
    of_models = connection.introspection.django_table_names(only_existing=True, include_views=False)
    tables = sorted({*of_models, settings.CACHES["default"]["LOCATION"]} - _KEPT)
    asked = " UNION ALL ".join(f"SELECT '{table}' WHERE EXISTS (SELECT 1 FROM {table})" for table in tables)  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(asked)
        filled = [table for (table,) in cursor.fetchall()]
    connection.ops.execute_sql_flush(connection.ops.sql_flush(no_style(), filled, allow_cascade=True))
    Network.objects.bulk_create(_networks)
    Prefix.objects.bulk_create(_prefixes)


def drop_copy() -> None:
    """Delete the copy of this process."""
    connection.creation.destroy_test_db(verbosity=0)


@contextlib.contextmanager
def database_beside(template: str) -> Iterator[str]:
    """Make a database on the PostgreSQL of the tests for what runs in processes of its own, and give its `DATABASE_URL`.

    It begins as a copy of `template`: the original that `use_copy` returns, or `template0`, which is empty.
    """
    parameters = connection.get_connection_params()
    name = f"{parameters.pop('dbname')}_run"
    server = {key: parameters[key] for key in ("host", "port", "user", "password") if parameters.get(key)}
    with psycopg.connect(dbname="postgres", autocommit=True, **server) as admin:
        admin.execute(f'CREATE DATABASE "{name}" ENCODING UTF8 TEMPLATE "{template}"')
        try:
            yield f"postgres:///{name}?{urlencode(server)}"
        finally:
            admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def _migrated() -> str:
    """Make the original. Django makes 5,000 classes of former models: without the garbage collector, a sixth less time."""
    gc.disable()
    try:
        return connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    finally:
        gc.enable()


def _connect_to(name: str) -> None:
    connection.close()
    settings.DATABASES["default"]["NAME"] = connection.settings_dict["NAME"] = name


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Let one process at a time be here."""
    settings.DATA_DIR.mkdir(parents=True, exist_ok=True)
    with Path(settings.DATA_DIR, "migrated.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _migrations() -> str:
    """A digest of all that the original is made from."""
    files = [*sorted(BASE_DIR.glob("*/migrations/*.py")), BASE_DIR / "requirements.lock"]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]
