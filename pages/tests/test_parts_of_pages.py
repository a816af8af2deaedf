"""An address that answers with a part of a page leads to the page where a browser opens it.

test_every_address.py asks every address for it; here is where each part leads.
"""

import pytest
from django.test import Client
from django.urls import reverse

from pages.tests.world import World
from pages.tests.world import world as world

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


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
