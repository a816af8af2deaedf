"""What a person prefers: kept with them, changed by one click, the same on every browser."""

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from accounts.models import CopyAs, User
from pages.tests.markup import html, parse
from rentals.tests.factories import make_person, make_team

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true"}


@pytest.fixture
def operator(client: Client) -> User:
    person = make_person(make_team("Support"), username="linh")
    client.force_login(person)
    return person


@pytest.mark.parametrize("name", ["sounds", "notifies", "counts_in_title", "single_keys", "dense_board", "codes_first"])
@pytest.mark.parametrize(("value", "kept"), [("true", True), ("false", False)])
def test_each_switch_is_kept(client: Client, operator: User, name: str, value: str, kept: bool) -> None:
    User.objects.update(**{name: not kept})
    assert client.post("/preferences/", {name: value}, headers=HTMX).status_code == 200
    operator.refresh_from_db()
    assert getattr(operator, name) is kept


def test_what_the_form_does_not_name_stays(client: Client, operator: User) -> None:
    User.objects.update(sounds=True, copy_as=CopyAs.INTERNATIONAL)
    client.post("/preferences/", {"notifies": "true"}, headers=HTMX)
    operator.refresh_from_db()
    assert (operator.sounds, operator.notifies, operator.copy_as) == (True, True, "international")


def test_the_answer_shows_the_switches_as_they_are_now(client: Client, operator: User) -> None:
    page = parse(html(client.post("/preferences/", {"sounds": "true"}, headers=HTMX)))
    assert page.find(id="preferences")["data-sounds"] == "on"
    button = page.find(name="sounds")
    assert (button["value"], button["aria-pressed"]) == ("false", "true")
    assert page.find(name="single_keys")["role"] == "switch"


def test_without_scripts_the_same_form_leads_back_to_its_page(client: Client, operator: User) -> None:
    preferences = parse(html(client.get("/?mine=1"))).find(id="preferences")
    assert {field["value"] for field in preferences.find_all("input", name="next")} == {"/?mine=1"}
    response = client.post("/preferences/", {"copy_as": "national", "next": "/?mine=1"})
    assert response.headers["Location"] == "/?mine=1"
    operator.refresh_from_db()
    assert operator.copy_as == "national"


def test_they_hold_on_another_browser(client: Client, operator: User) -> None:
    client.post("/preferences/", {"copy_as": "international", "sounds": "true", "counts_in_title": "false"})
    elsewhere = Client()
    elsewhere.force_login(operator)
    preferences = parse(html(elsewhere.get("/"))).find(id="preferences")
    kept = {name: value for name, value in preferences.attributes.items() if name.startswith("data-")}
    kept.pop("data-tour", None)
    assert kept == {
        "data-copy-as": "international",
        "data-sounds": "on",
        "data-notifies": "off",
        "data-counts": "off",
        "data-keys": "on",
    }
    assert parse(html(elsewhere.get("/rentals/"))).find("body")["data-copy-as"] == "international"


def test_another_persons_stay_as_they_were(client: Client, operator: User) -> None:
    other = make_person(make_team())
    client.post("/preferences/", {"sounds": "true"})
    other.refresh_from_db()
    assert other.sounds is False


@pytest.mark.parametrize("sent", [{"copy_as": "roman"}, {"copy_as": ""}])
def test_a_form_that_does_not_exist_is_refused(client: Client, operator: User, sent: dict[str, str]) -> None:
    assert client.post("/preferences/", sent).status_code == 400
    operator.refresh_from_db()
    assert operator.copy_as == "digits"


def test_a_click_takes_one_write(
    client: Client, operator: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(4):  # session, person, team, and the update
        client.post("/preferences/", {"sounds": "true"}, headers=HTMX)
