"""Every address of a team refuses what a page of another team sends, and takes what one of its own sends."""

import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.page_team import FIELD
from pages.tests.markup import html
from pages.tests.world import World, address_of, addresses
from pages.tests.world import shared_world as shared_world

# What belongs to the person, to an API key, or needs no sign-in: no page of a team sends it.
OF_NO_TEAM = re.compile(
    r"account_|mfa_|usersessions_|language|preferences|team_switch|tour|join|admin:|api:|callback|healthz|readyz|manifest|"
    r"service_worker|offline"
)
WRITES = re.compile(r"INSERT INTO|UPDATE|DELETE", re.IGNORECASE)
POSTED = sorted(name for name in addresses() if not OF_NO_TEAM.match(name))


@pytest.mark.django_db
@pytest.mark.parametrize("name", POSTED)
def test_what_a_page_of_another_team_sends_is_refused(world: World, name: str) -> None:
    for pattern in addresses()[name]:
        things = world.things["own"]
        client = Client()
        world.sign_in(client, "manager")
        address = address_of(pattern, name, things, things["rental"])
        sent = {"service": things["service"].key, FIELD: str(world.theirs.pk)}
        with CaptureQueriesContext(connection) as queries:
            response = client.post(address, sent)
        assert response.status_code == 409, address
        assert "Nothing was ordered or changed." in html(response)
        assert "Theirs" not in html(response)  # the manager is in one team alone
        assert [query["sql"] for query in queries if WRITES.match(query["sql"])] == []


@pytest.mark.django_db
@pytest.mark.parametrize("name", [name for name in POSTED if name != "metrics"])
def test_what_a_page_of_the_same_team_sends_is_not(world: World, name: str) -> None:
    things = world.things["own"]
    client = Client()
    world.sign_in(client, "manager")
    address = address_of(addresses()[name][0], name, things, things["rental"])
    assert client.post(address, {FIELD: str(world.ours.pk)}).status_code != 409
