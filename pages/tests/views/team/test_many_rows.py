"""Lists of the team's pages and of the account that would grow without end: the first rows, how many more there are, and a
search."""

from datetime import timedelta
from typing import Any

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.sessions.backends.db import SessionStore
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import ApiKey, Invitation, Membership, Role, Team, User
from pages.tests.markup import Element, parse
from rentals.tests.factories import make_person

pytestmark = pytest.mark.django_db


@pytest.fixture
def manager(client: Client, team: Team) -> User:
    person = make_person(team, Role.MANAGER, username="thu")
    client.force_login(person)
    return person


def page_of(client: Client, address: str, **query: str) -> Element:
    return parse(client.get(address, query).content.decode())


def texts(page: Element, name: str, tag: str) -> list[str]:
    return [each.text for row in page.find_all(**{"data-testid": name}) for each in row.find_all(tag)[:1]]


def test_a_large_team_is_its_first_people_and_a_search(
    client: Client, team: Team, manager: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = page_of(client, "/team/")
    assert not page.find_all(id="q"), "one person is not searched for"
    for username, name in (("anh", "Nguyễn Đức Anh"), ("binh", "Bình"), ("chi", "Chi")):
        make_person(team, username=username, first_name=name)
    monkeypatch.setattr("pages.views.team.team.MAX_PEOPLE", 2)
    page = page_of(client, "/team/")
    assert texts(page, "member", "a") == ["Nguyễn Đức Anh (anh)", "Bình (binh)"]
    assert page.find(**{"data-testid": "more-people"}).text.startswith("And 2 more people:")
    assert "4 people" in page.text
    page = page_of(client, "/team/", q="duc anh")
    assert texts(page, "member", "a") == ["Nguyễn Đức Anh (anh)"]
    assert "4 people" in page.text
    assert "Nobody in the team has such a name." in page_of(client, "/team/", q="xyz").text


def test_what_each_spent_is_not_read_for_people_who_are_not_shown_it(
    client: Client, team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pages.views.team.team.budgets.spent_now", None)
    client.force_login(make_person(team))
    assert client.get("/team/").status_code == 200


def test_the_team_page_reads_what_was_spent_once(client: Client, team: Team, manager: User) -> None:
    Team.objects.filter(pk=team.pk).update(budget_day=1)
    Membership.objects.filter(user=manager).update(budget_month=1)
    with CaptureQueriesContext(connection) as queries:
        assert "Your budget for this month" in client.get("/team/").content.decode()
    assert len([query for query in queries if "rentals_spendsum" in query["sql"]]) == 1


def test_open_invitations_are_the_newest(
    client: Client, team: Team, manager: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pages.views.team.team.MAX_INVITATIONS", 1)
    until = timezone.now() + timedelta(days=1)
    for note in ("first", "second", "third"):
        Invitation.objects.create(team=team, note=note, secret_digest=note, invited_by=manager, expires_at=until)
    page = page_of(client, "/team/")
    assert [row.text for row in page.find("ul", **{"class": "invitations"}).find_all("strong")] == ["third"]
    assert page.find(**{"data-testid": "more-invitations"}).text.startswith("And 2 older invitations")


def test_many_keys_are_the_newest_and_a_search(
    client: Client, team: Team, manager: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys: dict[str, Any] = {"team": team, "person": manager, "scopes": []}
    for n in range(4):
        ApiKey.objects.create(name=f"job {n}", start=f"desk_{n}", secret_digest=str(n), **keys)
    assert not page_of(client, "/team/keys/").find_all(id="q")
    monkeypatch.setattr("pages.views.team.keys.MAX_KEYS", 2)
    page = page_of(client, "/team/keys/")
    assert texts(page, "key", "strong") == ["job 3", "job 2"]
    assert page.find(**{"data-testid": "more"}).text.startswith("And 2 older keys")
    assert texts(page_of(client, "/team/keys/", q="JOB 0"), "key", "strong") == ["job 0"]
    assert texts(page_of(client, "/team/keys/", q="desk_1"), "key", "strong") == ["job 1"]
    nothing = page_of(client, "/team/keys/", q="xyz")
    assert "No key matches." in nothing.text
    assert nothing.find("input", id="q")["value"] == "xyz"


def test_an_account_shows_some_browsers_and_keys(
    client: Client, team: Team, manager: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pages.views.account.account.MAX_SHOWN", 2)
    for n in range(3):
        ApiKey.objects.create(name=str(n), start=str(n), secret_digest=str(n), team=team, person=manager, scopes=[])
        _sign_in_elsewhere(manager)
    page = page_of(client, "/account/")
    assert page.find(**{"data-testid": "more-sessions"}).text.startswith("And 1 more browser ")
    assert page.find(**{"data-testid": "more-keys"}).text == "And 1 older key."


def test_a_persons_page_shows_some_browsers(
    client: Client, team: Team, manager: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = make_person(team)
    for _ in range(3):
        _sign_in_elsewhere(person)
    monkeypatch.setattr("pages.views.team.people.MAX_SESSIONS", 1)
    page = page_of(client, f"/team/people/{person.pk}/")
    assert len(page.find("ul", **{"class": "sessions"}).find_all("span", **{"class": "agent"})) == 1
    assert page.find(**{"data-testid": "more-sessions"}).text.startswith("And 2 more browsers ")


def _sign_in_elsewhere(person: User) -> None:
    session = SessionStore()
    session.create()
    UserSession.objects.create(user=person, session_key=session.session_key, ip="203.0.113.9", user_agent="Firefox")
