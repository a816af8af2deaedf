"""A database and a Redis for the runs of the whole desk."""

from collections.abc import Iterator

import pytest
from django.db import connection

from thuesim_site.migrated_database import database_beside
from thuesim_site.testing import RedisServer


@pytest.fixture(scope="module")
def outside(request: pytest.FixtureRequest, django_db_setup: str) -> Iterator[dict[str, str]]:
    """Where the tests run on PostgreSQL, a database beside theirs and a Redis of our own; else nothing."""
    if connection.vendor != "postgresql":
        yield {}
        return
    redis_server: RedisServer = request.getfixturevalue("redis_server")
    # Machines with roles migrate an empty one; the others begin with a copy of one that is migrated.
    template = "template0" if request.module.__name__.endswith("test_roles") else django_db_setup
    with database_beside(template) as url:
        yield {"DATABASE_URL": url, "REDIS_URL": redis_server.url}
