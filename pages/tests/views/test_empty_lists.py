"""A list with nothing in it says what to do next."""

import pytest
from django.test import Client

from accounts.models import Role, Team
from pages.tests.markup import Element, html, parse
from rentals.tests.factories import make_destination, make_person, make_service, make_token

pytestmark = pytest.mark.django_db

ADD_TOKEN = "/setup/token/"


def read(client: Client, path: str) -> Element:
    return parse(html(client.get(path)))


# The desk itself leads an admin to the set-up.
@pytest.mark.parametrize("path", ["/?later", "/services/", "/system/"])
def test_a_team_without_a_token_is_led_to_one(client: Client, team: Team, path: str) -> None:
    client.force_login(make_person(team))
    page = read(client, path)
    assert "An admin adds one." in page.text
    assert page.find_all("a", href=ADD_TOKEN) == []
    assert page.find_all(id="no-services") == []  # which would promise services within seconds
    client.force_login(make_person(team, is_staff=True))
    assert read(client, path).find("a", href=ADD_TOKEN).text == "Add a token"


def test_services_of_a_new_token_are_waited_for(client: Client, team: Team) -> None:
    make_token(team)
    client.force_login(make_person(team))
    assert "appear here within seconds" in read(client, "/").find(id="no-services").text
    assert "within seconds after the first token is added" in read(client, "/services/").text


@pytest.mark.parametrize(
    ("path", "sentence", "link"),
    [
        ("/rentals/", "What your team rents on the desk is kept here.", "/"),
        ("/rentals/?q=zebra", "Remove a filter, or search for a part of the number.", "/rentals/"),
        ("/services/?show=starred", "Press the star beside a service", "/services/"),
        ("/services/?q=zebra", "Type a shorter part of the name.", "/services/"),
        ("/spend/", "Choose other days above.", "/"),
        ("/team/audit/?q=zebra", "Remove a filter.", "/team/audit/"),
        ("/background/", "Filter the history and export it", "/rentals/"),
    ],
)
def test_an_empty_list_leads_on(client: Client, team: Team, path: str, sentence: str, link: str) -> None:
    make_token(team)
    make_service()
    client.force_login(make_person(team, Role.MANAGER))
    main = read(client, path).find("main")
    assert sentence in main.text
    assert main.find_all("a", href=link)


@pytest.mark.parametrize(
    ("role", "query", "sentence", "links"),
    [
        (Role.OPERATOR, "", "Choose a service and press Rent", 0),
        (Role.VIEWER, "", "What your team rents appears here by itself.", 0),
        (Role.OPERATOR, "?mine=1", "No number on the desk fits the filter.", 1),
        (Role.VIEWER, "?status=waiting", "No number on the desk fits the filter.", 1),
    ],
)
def test_an_empty_board_tells_each_role_what_to_do(
    client: Client, team: Team, role: Role, query: str, sentence: str, links: int
) -> None:
    make_token(team)
    client.force_login(make_person(team, role))
    for path in ("/", "/board/"):
        empty = read(client, path + query).find(**{"class": "empty"})
        assert sentence in empty.text
        assert len(empty.find_all("a", href="/")) == links


def test_a_service_that_nobody_rented_leads_to_its_order(client: Client, team: Team) -> None:
    make_token(team)
    service = make_service()
    client.force_login(make_person(team))
    assert read(client, f"/services/{service.pk}/").find_all("a", href=f"/?rent={service.key}")


def test_a_destination_to_which_nothing_was_sent_leads_to_its_test(client: Client, team: Team) -> None:
    destination = make_destination(team)
    client.force_login(make_person(team, Role.MANAGER))
    page = read(client, f"/team/destinations/{destination.pk}/")
    assert "A test shows what the receiver answers." in page.text
    assert page.find_all("form", action=f"/team/destinations/{destination.pk}/test/")


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("/team/", "Choose a role and make a link for the next person."),
        ("/team/keys/", "No key yet."),
        ("/team/destinations/", "None yet, so nothing is sent."),
    ],
)
def test_a_list_beside_its_form_says_that_it_is_empty(client: Client, team: Team, path: str, sentence: str) -> None:
    client.force_login(make_person(team, Role.MANAGER))
    main = read(client, path).find("main")
    assert sentence in main.text
    assert main.find_all("form")
