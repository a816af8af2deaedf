"""The first team is named in the language of the first person who signs in, and keeps the name that it was given."""

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import Team
from rentals.tests.factories import make_person, make_team

pytestmark = pytest.mark.django_db


def sign_in(name: str, language: str) -> None:
    account = {"login": name, "password": "secret-enough"}
    assert Client(headers={"Accept-Language": language}).post(reverse("account_login"), account).status_code == 302


@pytest.mark.parametrize(("language", "name"), [("en", "Team 1"), ("vi", "Nhóm 1")])
def test_the_first_person_who_signs_in_names_it_in_their_language(language: str, name: str) -> None:
    team = make_team("Nhóm 1")
    make_person(team, username="linh")
    sign_in("linh", language)
    sign_in("linh", "vi" if language == "en" else "en")
    assert Team.objects.get().name == name


def test_a_name_that_was_chosen_stays() -> None:
    make_person(make_team("CSKH"), username="linh")
    sign_in("linh", "en")
    assert Team.objects.get().name == "CSKH"


def test_with_a_second_team_the_name_is_no_first_one() -> None:
    make_person(make_team("Nhóm 1"), username="linh")
    make_team("Nhóm 2")
    sign_in("linh", "en")
    assert set(Team.objects.values_list("name", flat=True)) == {"Nhóm 1", "Nhóm 2"}
