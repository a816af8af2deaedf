"""A GET changes nothing: a link, a picture or a browser that looks ahead makes no order, no job, no record.

test_every_address.py asks it of every address; here is what its world lacks, a file that a job has made.
"""

from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.db import connection
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from accounts import audit
from lib.files import shared_files
from pages.tests.world import ROLES, World
from pages.tests.world import world as world
from pages.tests.writes import Writes


@pytest.mark.parametrize("role", ROLES)
def test_no_get_of_a_jobs_file_writes_a_row(world: World, role: str, settings: Settings, tmp_path: Path) -> None:
    settings.DATA_DIR = settings.FILES_DIR = tmp_path
    shared_files.exports().save("own.csv", ContentFile(b""))
    job = world.things["own"]["job"]
    job.person, job.state, job.file = world.people.get(role, job.person), "done", "own.csv"
    job.save()
    client = Client()
    world.sign_in(client, role)
    writes = Writes()
    with connection.execute_wrapper(writes):
        answer = client.get(reverse("background_file", args=[job.pk]))
        b"".join(answer)
    assert answer.status_code == {"visitor": 302, "manager": 200, "admin": 200}.get(role, 404)
    assert writes.beside_the_session() == set()


def test_a_write_is_noticed(world: World) -> None:
    writes = Writes()
    with connection.execute_wrapper(writes):
        world.ours.save()
        world.things["own"]["network"].delete()
    assert {"accounts_team", "rentals_network"} <= writes.beside_the_session()


@pytest.mark.parametrize(("actions", "noticed"), [(["read"], False), (["export"], True), (["read", "export"], True)])
def test_of_the_audit_log_all_is_noticed_but_that_a_code_was_seen(
    world: World, actions: list[str], noticed: bool
) -> None:
    writes = Writes()
    with connection.execute_wrapper(writes):
        for action in actions:
            audit.record(action, person=world.people["manager"], team=world.ours, target="a code")
    assert ("accounts_auditrecord" in writes.beside_the_session()) == noticed
