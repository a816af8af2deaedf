"""The long lists of filters and of the rent form: their first rows, and what a part of a name finds."""

from typing import Any

import pytest
from django.test import Client

from accounts.models import Role, Team, User
from pages.tests.markup import parse
from rentals.models import ServiceFigure, StarredService
from rentals.tests.factories import make_person, make_service, make_team, make_token

pytestmark = [pytest.mark.django_db, pytest.mark.database]


@pytest.fixture
def team() -> Team:
    return make_team()


@pytest.fixture
def person(team: Team) -> User:
    return make_person(team, Role.MANAGER, username="an")


@pytest.fixture
def browser(client: Client, person: User, monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setattr("pages.presenters.options.MAX_OPTIONS", 2)
    monkeypatch.setattr("pages.forms.MAX_OFFERS", 2)
    monkeypatch.setattr("pages.forms.MAX_FOUND", 2)
    client.force_login(person)
    client.defaults["HTTP_ACCEPT_LANGUAGE"] = "en"
    return client


def page(browser: Client, address: str, **query: str) -> Any:
    return parse(browser.get(address, query).content.decode())


def offered(browser: Client, **query: str) -> list[str]:
    return [option.text for option in page(browser, "/rentals/options/", **query).find_all("option")]


def test_a_long_list_has_its_first_rows_and_what_is_chosen(browser: Client, team: Team) -> None:
    for name in ("Bank 10", "Bank 2", "Bank 1", "Zalo"):
        make_service(name=name, upstream_id=name.replace(" ", ""))
    history = page(browser, "/rentals/", service="02.Zalo")
    names = [option.text for option in history.find("select", id="f-service").find_all("option")]
    assert names == ["any", "Bank 1", "Bank 2", "Zalo"]
    assert history.find_all(data_testid="more-options")[0].text == "2 more: type a part of the name."
    assert history.find("input", name="find_service")
    assert not history.find_all("input", name="find_token"), "a short list needs none"
    assert "Zalo" in history.find("p", **{"class": "chosen"}).text


def test_a_part_of_a_name_finds_the_others(browser: Client, team: Team) -> None:
    for name in ("Điện Máy", "Điện thoại", "Zalo", "Zalo Pay"):
        make_service(name=name, upstream_id=name[-4:])
    assert offered(browser, find_service="may dien") == ["any", "Điện Máy"]
    only = page(browser, "/rentals/options/", find_service="may dien").find_all("option")[1]
    assert "selected" in only, "the only one is chosen"
    assert offered(browser, find_service="zalo") == ["Choose one of those found", "Zalo", "Zalo Pay"]
    assert offered(browser, find_service="02.Zalo", with_keys="") == ["any", "Zalo (02.Zalo)"]
    assert offered(browser, find_service="nothing") == ["No name has this part"]
    make_person(team, username="hoa", first_name="Hòa", last_name="Trần")
    make_person(make_team(), username="hoang", first_name="Hoàng")
    assert offered(browser, find_person="hoa") == ["any", "Hòa Trần (hoa)"], "of the team alone"
    make_token(team, name="Main"), make_token(make_team(), name="Main of others")
    assert offered(browser, find_token="main") == ["any", "Main"]
    # Without scripts the page itself takes what was typed.
    history = page(browser, "/rentals/", find_service="zalo")
    assert [option.text for option in history.find("select", id="f-service").find_all("option")] == [
        "any", "Zalo", "Zalo Pay",
    ]  # fmt: skip


def test_the_audit_log_finds_a_person_among_many(browser: Client, team: Team) -> None:
    for name in ("binh", "chi", "dung"):
        make_person(team, username=name)
    log = page(browser, "/team/audit/")
    assert [option.text for option in log.find("select", id="a-person").find_all("option")] == ["any", "an", "binh"]
    assert log.find(data_testid="more-options").text == "2 more: type a part of the name."


def test_the_rent_form_has_the_first_services_and_finds_the_others(browser: Client, team: Team, person: User) -> None:
    names = ("Zalo", "Zalo Pay", "My Zalo", "Azalon", "Bank")
    services = {name: make_service(name=name, upstream_id=str(n)) for n, name in enumerate(names, 70)}
    desk = page(browser, "/", rent="02.71")
    texts = [option.text.partition(" · ")[0] for option in desk.find("select", id="service").find_all("option")]
    assert texts == ["Choose a service", "Azalon", "Bank", "Zalo Pay"], "and the one that is chosen already"
    assert desk.find("select", id="service")["data-more"] == "3"

    def found(text: str) -> tuple[list[str], str]:
        listed = page(browser, "/rent/services/", q=text).find("select")
        return [option.text.partition(" · ")[0] for option in listed.find_all("option")], listed["data-more"]

    assert found("zalo") == (["Zalo", "Zalo Pay"], "2"), "names that begin with it come first"
    assert found("zalo my") == (["My Zalo"], "0")
    assert found("02.7") == (["Azalon", "Bank"], "3")
    assert found("") == ([], "0")
    StarredService.objects.create(person=person, service=services["Zalo Pay"])
    assert found("zalo")[0] == ["Zalo Pay", "Zalo"]
    team.services.add(services["My Zalo"])
    assert found("zalo") == (["My Zalo"], "0"), "what the team may order"


def test_a_service_beyond_the_list_is_ordered_by_its_name(browser: Client, team: Team) -> None:
    make_token(team)
    for name in ("Azalon", "Bank", "Zalo"):
        make_service(name=name)
    answer = browser.post("/rent/", {"service": "zalo"})
    assert answer.status_code == 302
    assert team.rentals.get().service.name == "Zalo"


def test_services_of_a_page_are_read_and_no_others(
    browser: Client, team: Team, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    monkeypatch.setattr("pages.views.services.PER_PAGE", 2)
    for n in range(5):
        service = make_service(name=f"Service {n}")
        ServiceFigure.objects.create(
            team=team, service=service, rented=n, ended=10, received=5, spent=1, at="2026-01-01T00:00Z"
        )
    browser.get("/services/")
    with django_assert_num_queries(9):
        services = page(browser, "/services/")
    names = [link.text for link in services.find("tbody").find_all("a") if link["href"].startswith("/services/")]
    assert names == ["Service 4", "Service 3"], "the most used ones first"
    assert "5 services · success rate of your team's rentals in the last 30 days: 50 %" in services.text
