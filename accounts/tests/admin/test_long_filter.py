"""A list's filter by team: links for few teams, a select for many."""

import pytest
from django.test import Client
from django.urls import reverse

from accounts.admin import long_filter
from accounts.models import Team, User
from pages.tests.markup import parse
from rentals.tests.factories import make_person, make_team

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]

FILTER = "memberships__team__id__exact"


@pytest.fixture
def teams(client: Client) -> list[Team]:
    client.force_login(make_person(username="boss", is_staff=True))
    return [make_team(name) for name in ("Retail <1>", "Sales", "Support")]


def test_many_teams_are_a_select_that_keeps_the_other_filters(
    client: Client, teams: list[Team], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(long_filter, "MAX_LINKS", 2)
    found, other = make_person(teams[1]), make_person(teams[2])
    answer = client.get(reverse("admin:accounts_user_changelist"), {"is_active__exact": "1", FILTER: str(teams[1].pk)})
    assert list(answer.context["cl"].queryset) == [found]
    form = parse(answer.content.decode()).find("form", **{"class": "long-filter"})
    options = form.find("select", name=FILTER).find_all("option")
    assert [option.text for option in options] == ["–", "Retail <1>", "Sales", "Support"]
    assert [option.text for option in options if "selected" in option] == ["Sales"]
    assert [(kept["name"], kept["value"]) for kept in form.find_all("input")] == [("is_active__exact", "1")]
    assert set(client.get(reverse("admin:accounts_user_changelist")).context["cl"].queryset) == {
        found,
        other,
        User.objects.get(username="boss"),
    }


def test_few_teams_are_links(client: Client, teams: list[Team]) -> None:
    page = parse(client.get(reverse("admin:accounts_user_changelist")).content.decode())
    assert not page.find_all("form", **{"class": "long-filter"})
    links = [link.text for link in page.find_all("a") if f"{FILTER}=" in link.attributes.get("href", "")]
    assert links == ["Retail <1>", "Sales", "Support"]
