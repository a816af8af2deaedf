"""The language switch: kept with the person and in the browser, and it leads to no other site."""

import pytest
from django.test import Client

from accounts.models import User
from rentals.tests.factories import make_person, make_team

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator(client: Client) -> User:
    person = make_person(make_team("Support"), username="linh", language="en")
    client.force_login(person)
    return person


def test_the_language_is_kept_with_the_person(client: Client, operator: User) -> None:
    client.post("/language/", {"language": "vi", "next": "/rentals/"})
    operator.refresh_from_db()
    assert operator.language == "vi"
    assert '<html lang="vi"' in client.get("/").content.decode()


def test_a_language_that_the_desk_does_not_speak_is_not_kept(client: Client, operator: User) -> None:
    client.post("/language/", {"language": "de", "next": "/rentals/"})
    operator.refresh_from_db()
    assert operator.language == "en"
    assert '<html lang="en"' in client.get("/").content.decode()


def test_the_language_is_kept_in_the_browser_for_who_is_not_signed_in(client: Client) -> None:
    response = client.post("/language/", {"language": "en", "next": "/accounts/login/"})
    assert response.headers["Location"] == "/accounts/login/"
    cookie = response.cookies["django_language"]
    assert (cookie["max-age"], cookie["samesite"], cookie["httponly"]) == (365 * 86400, "Lax", True)
    page = client.get("/accounts/login/", headers={"accept-language": "vi"}).content.decode()
    assert '<html lang="en"' in page


def test_the_language_switch_leads_nowhere_else(client: Client) -> None:
    response = client.post("/language/", {"language": "en", "next": "https://elsewhere.invalid/"})
    assert response.headers["Location"] == "/"
