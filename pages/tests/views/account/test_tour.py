"""The tour of the desk: for each role, until it was left or ended, and again when it is asked for."""

import importlib
import json
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone, translation

from accounts.models import Role, Team, User
from pages.presenters.tour import TOURS, Tour, tour_of
from pages.tests.markup import Element, html, parse
from rentals.models import Service, Status
from rentals.tests.factories import EVERY_TOUR, make_person, make_rental, make_team, signed_in

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]
ROLES = ("viewer", "operator", "manager", "admin")
each_role = pytest.mark.parametrize("role", ROLES)


def newcomer(team: Team, role: str, **over: Any) -> User:
    """A person who has not seen the desk yet."""
    if role == "admin":
        return make_person(team, Role.MANAGER, is_staff=True, tours_seen=[], **over)
    return make_person(team, Role(role), tours_seen=[], **over)


def read(client: Client, path: str = "/", language: str = "en") -> Element:
    return parse(html(client.get(path, headers={"accept-language": language})))


def steps_of(client: Client, language: str = "en") -> list[dict[str, str]]:
    [script] = read(client, language=language).find_all("script", id="tour-steps")
    steps: list[dict[str, str]] = json.loads(script.text)
    return steps


@each_role
@pytest.mark.parametrize("language", ["en", "vi"])
def test_each_role_is_shown_its_own_few_steps_in_both_languages(
    team: Team, service: Service, role: str, language: str
) -> None:
    client = signed_in(newcomer(team, role))
    steps = steps_of(client, language)
    with translation.override(language):
        assert [(step["part"], step["title"]) for step in steps] == [(s.part, str(s.title)) for s in TOURS[role]]
    assert 3 <= len(steps) <= 5
    assert all(len(step["text"]) < 150 for step in steps)
    panel = read(client, language=language).find(id="tour")
    assert panel.find(id="tour-title").text == steps[0]["title"]
    assert panel.find(id="tour-text").text == steps[0]["text"]
    if language == "vi":
        assert not any(word in " ".join(step["text"] for step in steps) for word in (" the ", " and "))


@each_role
def test_every_step_points_at_a_part_that_the_desk_has(team: Team, service: Service, role: str) -> None:
    page = read(signed_in(newcomer(team, role)))
    parts = {part for element in page.find_all() for part in element.attributes.get("data-tour", "").split()}
    assert {step.part for step in TOURS[role]} <= parts


@each_role
def test_left_or_ended_it_does_not_come_again_until_it_is_asked_for(team: Team, service: Service, role: str) -> None:
    person = newcomer(team, role)
    client = signed_in(person)
    assert client.post("/tour/").status_code == 204
    person.refresh_from_db()
    assert person.tours_seen == [role]
    assert read(client).find_all(id="tour") == []
    assert signed_in(person).get("/").content.count(b"tour.js") == 0  # on another browser neither
    again = client.post("/tour/", {"again": "yes"})
    assert again["Location"] == "/"
    assert read(client).find(id="tour")
    client.post("/tour/")
    client.post("/tour/")
    person.refresh_from_db()
    assert person.tours_seen == [role]


@pytest.mark.database
def test_who_gets_another_role_gets_its_tour_once(team: Team, service: Service) -> None:
    person = newcomer(team, "operator")
    client = signed_in(person)
    client.post("/tour/")
    person.memberships.update(role=Role.MANAGER)
    assert [step["part"] for step in steps_of(client)] == [step.part for step in TOURS["manager"]]
    client.post("/tour/")
    person.refresh_from_db()
    assert person.tours_seen == ["operator", "manager"]
    assert read(client).find_all(id="tour") == []


@each_role
def test_it_is_found_again_in_the_menu_and_on_the_help_pages(team: Team, service: Service, role: str) -> None:
    client = signed_in(
        make_person(team, is_staff=role == "admin", role=Role(role) if role != "admin" else Role.MANAGER)
    )
    for path, places in (("/", 1), ("/help/", 2), ("/help/operator/", 2)):
        forms = read(client, path).find_all("form", action="/tour/")
        assert [button["name"] for form in forms for button in form.find_all("button")] == ["again"] * places


@pytest.mark.parametrize("status", Status.open())
def test_it_waits_until_no_number_of_the_person_s_own_waits(team: Team, service: Service, status: Status) -> None:
    person = newcomer(team, "admin")
    client = signed_in(person)
    make_rental(status, team=team, service=service, person=make_person(team))  # a colleague's
    assert read(client).find(id="tour")
    own = make_rental(status, team=team, service=service, person=person)
    assert read(client).find_all(id="tour") == []
    assert "tour.js" not in html(client.get("/"))
    own.delete()
    make_rental(Status.RECEIVED, team=team, service=service, person=person)
    assert read(client).find(id="tour")


def test_asked_for_it_comes_while_a_number_waits_too(team: Team, service: Service) -> None:
    person = newcomer(team, "operator")
    client = signed_in(person)
    make_rental(Status.WAITING, team=team, service=service, person=person)
    client.post("/tour/", {"again": "yes"})
    assert read(client).find(id="tour")
    assert read(client).find(id="tour")  # and after another page, where it was
    client.post("/tour/")
    assert read(client).find_all(id="tour") == []


@pytest.mark.database
def test_without_a_team_or_an_account_there_is_no_tour(team: Team) -> None:
    alone = signed_in(make_person(tours_seen=[]))
    assert read(alone).find_all(id="tour") == []
    assert alone.post("/tour/").status_code == 204
    visitor = Client()
    assert read(visitor, "/help/").find_all("form", action="/tour/") == []
    assert visitor.post("/tour/")["Location"].startswith("/accounts/login/")
    assert visitor.get("/tour/").status_code == 302
    assert alone.get("/tour/").status_code == 405


def test_an_operator_s_step_about_the_form_is_left_out_where_there_is_none(team: Team) -> None:
    access = signed_in(newcomer(team, "viewer")).get("/").wsgi_request.access  # type: ignore[attr-defined]
    tour = tour_of(access, [])
    assert isinstance(tour, Tour)
    assert tour.place == "board"
    assert tour_of(access, EVERY_TOUR) is None


def test_who_had_signed_in_before_there_were_tours_gets_none(db: None) -> None:
    old = make_person(make_team(), tours_seen=[], last_login=timezone.now())
    new = make_person(make_team(), tours_seen=[])
    migration = importlib.import_module("accounts.migrations.0012_time_zone_and_tours")
    migration.know_the_desk(apps, None)
    old.refresh_from_db()
    new.refresh_from_db()
    assert sorted(old.tours_seen) == sorted(EVERY_TOUR)
    assert new.tours_seen == []


def test_the_tour_costs_no_query_and_loads_nothing_where_it_is_over(team: Team, service: Service) -> None:
    person = newcomer(team, "operator")
    client = signed_in(person)
    client.get("/")
    with CaptureQueriesContext(connection) as with_tour:
        client.get("/")
    client.post("/tour/")
    with CaptureQueriesContext(connection) as without:
        page = html(client.get("/"))
    assert len(with_tour) == len(without)
    assert "tour.css" not in page
