"""A page of the team that its reader switched away from in another window orders nothing and changes nothing."""

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client

from accounts.models import Invitation, Role, Team, User
from accounts.page_team import HEADER, RETURNS
from pages.tests.markup import html, parse
from pages.tests.world import world as world
from rentals.models import Rental, Status
from rentals.tests.factories import make_person, make_service, make_team, make_token


@pytest.fixture
def teams(db: None) -> tuple[Team, Team]:
    support, sales = make_team("Support"), make_team("Sales")
    for team in (support, sales):
        make_token(team)
    make_service(sv="02", upstream_id="97")
    return support, sales


@pytest.fixture
def linh(teams: tuple[Team, Team]) -> User:
    """A manager of both teams, who works in Support."""
    person = make_person(teams[0], Role.MANAGER, username="linh")
    person.memberships.create(team=teams[1], role="manager")
    User.objects.filter(pk=person.pk).update(team=teams[0])
    return person


def test_every_form_of_a_team_says_which_team_it_is_of() -> None:
    templates = Path(settings.BASE_DIR) / "templates" / "pages"
    of_the_person = {
        "_switches.html",
        "_view_switches.html",
        "_shortcuts_switch.html",
        "_tour_again.html",
        "team_switch.html",
        "join.html",
        "account/account.html",
        "account/_providers.html",
    }
    lacking = [
        str(path)
        for path in templates.rglob("*.html")
        if not {path.name, f"{path.parent.name}/{path.name}"} & of_the_person
        and path.read_text().count("{% csrf_token %}") != path.read_text().count("{% csrf_token %}{% page_team %}")
    ]
    assert lacking == [], "a form has {% csrf_token %} without {% page_team %} right after it"
    forms = re.compile(
        r'<form[^>]*method="post"[^>]*>(?!\s*(?:\{% if csrf_token %\})?\s*\{% csrf_token %\})', re.DOTALL
    )
    assert [str(path) for path in templates.rglob("*.html") if forms.search(path.read_text())] == []


def test_an_order_from_a_page_of_the_former_team_is_refused_in_one_sentence(
    client: Client, linh: User, teams: tuple[Team, Team]
) -> None:
    client.force_login(linh)
    form = parse(html(client.get("/"))).find("form", id="rent").values()
    client.post("/team/switch/", {"team": teams[1].pk})  # in another window
    response = client.post("/rent/", {**form, "service": "02.97"}, headers={"HX-Request": "true"})
    assert response.status_code == 409
    assert response["HX-Reswap"] == "none"
    said = html(response)
    assert "You switched to Sales in another window, and this page is still that of Support." in said
    assert "Go on with Sales" in said
    assert "Back to Support" in said
    assert not Rental.objects.exists()


def test_the_way_back_leads_to_the_same_page(client: Client, linh: User, teams: tuple[Team, Team]) -> None:
    client.force_login(linh)
    User.objects.filter(pk=linh.pk).update(team=teams[1])
    headers = {"HX-Request": "true", HEADER: str(teams[0].pk), "HX-Current-URL": "http://testserver/?mine=1"}
    page = parse(html(client.post("/rent/", {"service": "02.97"}, headers=headers)))
    back = page.find("form", action="/team/switch/").values()
    assert client.post("/team/switch/", back)["Location"] == "/?mine=1"
    assert client.post("/rent/", {"service": "02.97"}, headers=headers).status_code == 200
    assert Rental.objects.get().team == teams[0]


def test_a_part_of_the_page_is_not_read_for_the_other_team(
    client: Client, linh: User, teams: tuple[Team, Team]
) -> None:
    client.force_login(linh)
    User.objects.filter(pk=linh.pk).update(team=teams[1])
    for address in ("/board/", "/tokens/"):
        response = client.get(address, headers={"HX-Request": "true", HEADER: str(teams[0].pk)})
        assert response.status_code == 409
        assert "Nothing was ordered" not in html(response)


def test_an_invitation_is_not_made_for_the_other_team(client: Client, linh: User, teams: tuple[Team, Team]) -> None:
    client.force_login(linh)
    form = parse(html(client.get("/team/"))).find("form", action="/team/invite/").values()
    client.post("/team/switch/", {"team": teams[1].pk})
    response = client.post("/team/invite/", form)
    assert response.status_code == 409
    assert "You switched to Sales" in html(response)
    assert not Invitation.objects.exists()


def test_a_program_that_names_no_team_orders_for_the_one_it_works_in(
    client: Client, linh: User, teams: tuple[Team, Team]
) -> None:
    client.force_login(linh)
    client.post("/rent/", {"service": "02.97"})
    assert Rental.objects.get().status == Status.QUEUED


def test_what_was_typed_for_the_other_team_is_kept_and_sent_for_it_by_one_button(
    linh: User, teams: tuple[Team, Team]
) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(linh)
    sent = parse(html(browser.get("/"))).find("form", id="rent").values() | {"service": "02.97", "purpose": "Shop “A”"}
    User.objects.filter(pk=linh.pk).update(team=teams[1])
    answer = browser.post("/rent/", sent)
    assert answer.status_code == 409
    page = parse(html(answer))
    assert "Shop “A”" in page.find(**{"class": "kept"}).text
    form = page.find("form", action="/rent/")
    assert form.find("button").text == "Back to Support, and send it"
    assert Rental.objects.count() == 0
    assert browser.post("/rent/", form.values()).status_code == 302
    linh.refresh_from_db()
    rental = Rental.objects.get()
    assert (rental.team, rental.purpose, linh.team) == (teams[0], "Shop “A”", teams[0])
    assert browser.post("/rent/", form.values()).status_code == 302  # twice is once
    assert Rental.objects.count() == 1


def test_a_form_of_a_team_that_one_has_left_is_only_shown(linh: User, teams: tuple[Team, Team]) -> None:
    browser = Client()
    browser.force_login(linh)
    sent = parse(html(browser.get("/"))).find("form", id="rent").values() | {"purpose": "Shop A", RETURNS: "yes"}
    linh.memberships.filter(team=teams[0]).delete()
    answer = browser.post("/rent/", sent)
    assert answer.status_code == 409
    page = parse(html(answer))
    assert "Shop A" in page.find(**{"class": "kept"}).text
    assert page.find_all("form", action="/rent/") == []
    assert Rental.objects.count() == 0
