"""The team switch: a list of few teams, a page with a search for many."""

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from accounts import policy
from accounts.models import Membership, Role, User
from accounts.policy import access_for
from pages.tests.markup import parse
from rentals.tests.factories import make_person, make_team

pytestmark = pytest.mark.django_db


@pytest.fixture(params=["admin", "member"])
def person(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> User:
    """Somebody with seven teams, where a list takes three."""
    monkeypatch.setattr(policy, "MAX_TEAMS", 3)
    teams = [make_team(f"Nhóm Bán lẻ {n}") for n in range(5)] + [make_team("Đội Điện"), make_team("Zebra")]
    person = make_person(teams[0], Role.MANAGER, is_staff=request.param == "admin")
    if request.param == "member":
        Membership.objects.bulk_create(Membership(user=person, team=team, role=Role.VIEWER) for team in teams[1:])
    return person


def test_many_teams_are_a_page_of_their_own(client: Client, person: User) -> None:
    client.force_login(person)
    page = parse(client.get("/background/").content.decode())
    assert not page.find_all("select", id="team-choice")
    address = page.find("a", **{"class": "team-choice"})["href"]
    choices = parse(client.get(address, {"q": "doi dien"}).content.decode()).find_all("button", name="team")
    assert [choice.text for choice in choices] == ["Đội Điện"]
    answer = client.post(address, {"team": choices[0]["value"]})
    assert answer.headers["Location"] == "/"
    access = access_for(User.objects.get(pk=person.pk))
    assert str(access.team) == "Đội Điện"


def test_the_page_says_how_many_teams_it_does_not_show(
    client: Client, person: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pages.views.account.team_switch.MAX_SHOWN", 2)
    client.force_login(person)
    page = parse(client.get("/team/switch/").content.decode())
    assert len(page.find_all("button", name="team")) == 2
    assert "And 5 more: type a part of the name." in page.text
    assert "No team matches." in parse(client.get("/team/switch/?q=xyz").content.decode()).text


def test_another_persons_team_cannot_be_switched_to(client: Client) -> None:
    strange = make_team()
    client.force_login(make_person(make_team()))
    assert client.post("/team/switch/", {"team": strange.pk}).status_code == 404
    assert strange.name not in client.get("/team/switch/").content.decode()


def test_few_teams_of_an_admin_are_read_however_many_there_are(
    monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    monkeypatch.setattr(policy, "MAX_TEAMS", 3)
    teams = [make_team(f"Team {n}") for n in range(9)]
    admin = make_person(is_staff=True, team_id=None)
    admin.team = teams[8]
    with django_assert_num_queries(2):
        access = access_for(admin)
    assert access.team == teams[8]
    assert list(access.teams) == [*teams[:4], teams[8]]
    teams[7].requires_second_step = True
    teams[7].save()
    assert access_for(admin).needs_two_factor


@pytest.mark.database
def test_few_memberships_of_a_person_are_read_however_many_there_are(
    monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    monkeypatch.setattr(policy, "MAX_TEAMS", 3)
    teams = [make_team(f"Team {n}") for n in range(9)]
    person = make_person(teams[0], Role.OPERATOR)
    Membership.objects.bulk_create(Membership(user=person, team=team, role=Role.MANAGER) for team in teams[1:])
    colleague = make_person(teams[5], Role.VIEWER)
    person.team = teams[8]
    with django_assert_num_queries(1):
        access, other = policy.accesses_for([person, colleague]).values()
    assert (access.team, access.role) == (teams[8], Role.MANAGER)
    assert [*access.teams] == [*teams[:4], teams[8]]
    assert access.has_many_teams
    assert [*other.teams] == [teams[5]]
    assert access_for(person, team_id=teams[7].pk).team == teams[7]
