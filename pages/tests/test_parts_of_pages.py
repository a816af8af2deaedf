"""An address that answers with a part of a page leads to the page where a browser opens it."""

import pytest
from django.test import Client
from django.urls import reverse

from pages.tests.world import World, address_of, addresses
from pages.tests.world import world as world

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


def test_every_address_that_a_browser_opens_is_a_whole_page(world: World) -> None:
    client, parts, pages = Client(), [], 0
    for role in ("visitor", "manager", "admin"):
        client.cookies = world.cookies[role]
        for name, patterns in addresses().items():
            for pattern in patterns:
                address = address_of(pattern, name, world.things["own"], world.things["own"]["rental"])
                answer = client.get(address, headers=BROWSER)
                if answer.status_code != 200 or not answer["Content-Type"].startswith("text/html"):
                    for file in answer.__dict__.get("_resource_closers", []):
                        file()  # not `answer.close()`, which ends the connection to the database
                    continue
                pages += 1
                if "<html" not in answer.content.decode():
                    parts.append(address)
    assert pages > 100
    assert parts == []


@pytest.mark.parametrize(("part", "page"), [("board", "desk"), ("tokens", "desk"), ("budgets", "team")])
def test_a_part_leads_a_browser_to_its_page_and_answers_htmx(world: World, part: str, page: str) -> None:
    client = Client()
    client.cookies = world.cookies["operator"]
    assert client.get(reverse(part), headers=BROWSER)["Location"] == reverse(page)
    for headers in ({"HX-Request": "true"}, {"Accept": "*/*"}):
        assert client.get(reverse(part), headers=headers).status_code == 200


def test_what_is_known_of_a_number_leads_to_its_rental(world: World) -> None:
    client = Client()
    client.cookies = world.cookies["operator"]
    own = world.things["own"]["rental"].pk
    assert client.get(reverse("number_memory", args=[own]), headers=BROWSER)["Location"] == reverse(
        "rental", args=[own]
    )
    assert client.get(reverse("number_memory", args=[own])).status_code == 200
