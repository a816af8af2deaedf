"""A database and a Redis for the runs of the whole desk."""

from collections.abc import Iterator
from urllib.parse import urlencode

import psycopg
import pytest
from django.db import connection

from thuesim_site.testing import RedisServer


@pytest.fixture(scope="module")
def outside(
    request: pytest.FixtureRequest, django_db_setup: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """Where the tests run on PostgreSQL, a database beside theirs and a Redis of our own; else nothing."""
    if connection.vendor != "postgresql":
        yield {}
        return
    redis_server: RedisServer = request.getfixturevalue("redis_server")
    parameters = connection.get_connection_params()
    name = f"{parameters.pop('dbname')}_run"
    server = {key: parameters[key] for key in ("host", "port", "user", "password") if parameters.get(key)}
    # Machines with roles migrate an empty one; the others begin with a copy of one that is migrated.
    template = "template0" if request.module.__name__.endswith("test_roles") else django_db_setup
    with psycopg.connect(dbname="postgres", autocommit=True, **server) as admin:
        admin.execute(f'CREATE DATABASE "{name}" ENCODING UTF8 TEMPLATE "{template}"')
        yield {"DATABASE_URL": f"postgres:///{name}?{urlencode(server)}", "REDIS_URL": redis_server.url}
        admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
