"""A GET changes nothing: a link, a picture or a browser that looks ahead makes no order, no job, no record."""

import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.db import connection, transaction
from django.test import Client
from pytest_django import Settings

from accounts.models import AuditRecord
from lib.files import shared_files
from pages.tests.world import ROLES, World, address_of, addresses, sent_to_any
from pages.tests.world import world as world
from rentals import code_access
from rentals.jobs import runs
from rentals.models import JobName

# The session itself, and when and from where it was seen last.
SESSION_TABLES = {"django_session", "usersessions_usersession"}
# What a page that shows a code writes: that it was seen. A look is a GET, and each has a name on it.
SEEN = set(code_access.SEEN)
_WRITE = re.compile(r'\s*(?:INSERT(?: OR \w+)? INTO|UPDATE|DELETE FROM|REPLACE INTO)\s+"?(\w+)"?', re.IGNORECASE)


class Writes:
    """Notes the tables that statements write to."""

    def __init__(self) -> None:
        self.tables: set[str] = set()

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if match := _WRITE.match(sql):
            self.tables.add(match[1])
        return execute(sql, params, many, context)


@pytest.mark.parametrize("role", ROLES)
def test_no_get_writes_a_row_but_of_the_session(world: World, role: str, settings: Settings, tmp_path: Path) -> None:
    settings.DATA_DIR = settings.FILES_DIR = tmp_path
    shared_files.exports().save("own.csv", ContentFile(b""))
    written: dict[str, set[str]] = {}
    walked = 0
    things = dict(world.things["own"])
    if role != "visitor":
        things["rental"].person = world.people[role]
        things["rental"].save()
        job = things["job"]
        job.person, job.state, job.file = world.people[role], "done", "own.csv"
        job.save()
    for name, patterns in addresses().items():
        for pattern in patterns:
            client = Client(raise_request_exception=False)
            client.cookies = deepcopy(world.cookies[role])
            runs.ran(JobName.TICK)  # where it seems to be late, /readyz tries whether the database takes writes
            writes = Writes()
            before = AuditRecord.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
            with transaction.atomic(), connection.execute_wrapper(writes):
                answer = client.get(address_of(pattern, name, things, things["rental"]), sent_to_any(things))
                if answer.streaming:
                    b"".join(answer)
                recorded = set(AuditRecord.objects.filter(pk__gt=before).values_list("action", flat=True))
                transaction.set_rollback(True)
            walked += answer.status_code == 200
            if tables := writes.tables - SESSION_TABLES - ({"accounts_auditrecord"} if recorded <= SEEN else set()):
                written[name] = tables
    assert written == {}
    assert walked > (10 if role == "visitor" else 25)


def test_a_write_is_noticed(world: World) -> None:
    writes = Writes()
    with connection.execute_wrapper(writes):
        world.ours.save()
        world.things["own"]["network"].delete()
    assert {"accounts_team", "rentals_network"} <= writes.tables
