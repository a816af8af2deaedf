"""What was typed into a form stays where an error or an old CSRF token kept it from being taken; secrets never do."""

from typing import Any
from unittest import mock

import pytest
from django.test import Client
from pytest_django import Settings

from accounts.models import Team, User
from pages.tests.markup import Element, html, parse
from rentals.models import Rental
from rentals.tests.factories import make_person, make_service, make_team, make_token

SAME_ORIGIN = [{"Sec-Fetch-Site": "same-origin"}, {"Origin": "http://testserver"}]


@pytest.fixture
def linh(db: None) -> User:
    team = make_team("Support")
    make_token(team)
    make_service(sv="02", upstream_id="97", price=2500)
    return make_person(team, language="en")


@pytest.fixture
def browser(linh: User) -> Client:
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    client.force_login(linh)
    return client


def order(browser: Client) -> dict[str, Any]:
    form = parse(html(browser.get("/"))).find("form", id="rent").values()
    return {**form, "service": "02.97", "purpose": "Shop “A”"}


def form_to(page: Element, address: str) -> Element:
    return page.find("form", action=address)


@pytest.mark.parametrize("headers", SAME_ORIGIN)
def test_a_form_of_a_page_from_before_the_sign_in_is_sent_again_by_one_button(
    browser: Client, linh: User, headers: dict[str, str]
) -> None:
    sent = order(browser)
    browser.force_login(linh)
    browser.get("/")
    sent["csrfmiddlewaretoken"] = "x" * 64
    answer = browser.post("/rent/", sent, headers=headers)
    assert answer.status_code == 403
    page = parse(html(answer))
    assert "Shop “A”" in page.find(**{"class": "kept"}).text
    assert not Rental.objects.exists()
    again = form_to(page, "/rent/").values()
    for _ in range(2):
        assert browser.post("/rent/", again, headers=headers).status_code == 302
    assert Rental.objects.get().purpose == "Shop “A”"


@pytest.mark.parametrize("headers", [{}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}])
def test_what_another_site_may_have_sent_is_neither_shown_nor_sent_again(
    browser: Client, headers: dict[str, str]
) -> None:
    sent = {**order(browser), "csrfmiddlewaretoken": "x" * 64}
    answer = browser.post("/rent/", sent, headers=headers)
    assert answer.status_code == 403
    assert "Shop" not in html(answer)
    assert parse(html(answer)).find_all("form", action="/rent/") == []


def test_after_an_error_of_ours_an_order_is_sent_again_and_taken_once(browser: Client) -> None:
    sent = order(browser)
    with mock.patch("pages.views.desk.redirect", side_effect=RuntimeError):  # after the order was taken
        answer = browser.post("/rent/", sent, headers={"Accept-Language": "en"})
    assert answer.status_code == 500
    page = parse(html(answer))
    assert "Shop “A”" in page.find(**{"class": "kept"}).text
    assert browser.post("/rent/", form_to(page, "/rent/").values()).status_code == 302
    assert Rental.objects.count() == 1


def test_after_an_error_of_ours_a_form_without_a_one_time_key_is_only_shown(browser: Client) -> None:
    sent = order(browser)
    sent.pop("form_key")
    with mock.patch("pages.views.desk.RentForm", side_effect=RuntimeError):
        answer = browser.post("/rent/", sent)
    page = parse(html(answer))
    assert (answer.status_code, page.find_all("form")) == (500, [])
    assert "Shop “A”" in page.find(**{"class": "kept"}).text


SECRETS = [
    {"password": "secret-enough"},
    {"code": "secret-enough"},
    {"value": "1-secret-enough"},
    {"address": "https://hooks.slack.com/secret-enough", "kind": "slack"},
    {"q": "secret-enough"},
    {"new_secret": "secret-enough"},
]


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_is_on_none_of_these_pages(browser: Client, linh: User, secret: dict[str, str]) -> None:
    other = Team.objects.create(name="Telesales")
    linh.memberships.create(team=other, role="operator")
    sent = {**order(browser), **secret}
    answers = [browser.post("/rent/", {**sent, "csrfmiddlewaretoken": "x" * 64}, headers=SAME_ORIGIN[0])]
    with mock.patch("pages.views.desk.RentForm", side_effect=RuntimeError):
        answers.append(browser.post("/rent/", sent))
    User.objects.filter(pk=linh.pk).update(team=other)
    answers.append(browser.post("/rent/", sent))
    assert [answer.status_code for answer in answers] == [403, 500, 409]
    for answer in answers:
        assert "secret-enough" not in html(answer)
        assert "Shop “A”" in parse(html(answer)).find(**{"class": "kept"}).text
        assert parse(html(answer)).find_all("form", action="/rent/") == []


def sent_from(browser: Client, **headers: str) -> Any:
    """A form with the token of now, from the address that the headers say."""
    sent = order(browser)
    return browser.post("/rent/", sent, headers={name.replace("_", "-"): value for name, value in headers.items()})


def test_a_form_from_another_address_says_what_came_and_what_was_expected(
    browser: Client, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.PUBLIC_URL = "https://desk.example.com/desk"
    answer = sent_from(browser, Origin="https://10.0.0.9:8443", Sec_Fetch_Site="same-origin")
    assert answer.status_code == 403
    page = parse(html(answer))
    told = page.find(data_testid="csrf-addresses").text
    for address in ("https://10.0.0.9:8443", "https://desk.example.com", "http://testserver"):
        assert address in told
    assert page.find("section", **{"aria-labelledby": "kept-title"}).text.endswith("Shop “A”")  # what was typed stays
    assert "'https://10.0.0.9:8443' was refused: 'https://desk.example.com' was expected" in caplog.text
    assert not Rental.objects.exists()


def test_a_stranger_is_not_told_how_the_desk_is_reached_behind_its_proxy(browser: Client, settings: Settings) -> None:
    settings.PUBLIC_URL = "https://desk.example.com"
    browser.logout()
    fields = parse(html(browser.get("/accounts/login/"))).find("form", action="/accounts/login/").values()
    answer = browser.post("/accounts/login/", fields, headers={"Origin": "https://elsewhere.example.com"})
    told = parse(html(answer)).find(data_testid="csrf-addresses").text
    assert "https://elsewhere.example.com" in told
    assert "https://desk.example.com" in told
    assert "testserver" not in html(answer)


def test_the_page_of_another_site_is_told_nothing(browser: Client, settings: Settings) -> None:
    settings.PUBLIC_URL = "https://desk.example.com"
    answer = sent_from(browser, Origin="https://evil.example.com", Sec_Fetch_Site="cross-site")
    assert answer.status_code == 403
    assert not parse(html(answer)).find_all(data_testid="csrf-addresses")
    assert "desk.example.com" not in html(answer)


def test_over_tls_a_page_without_origin_and_referer_is_told_what_is_missing(browser: Client) -> None:
    sent = order(browser)
    answer = browser.post("/rent/", sent, secure=True)
    told = parse(html(answer)).find(data_testid="csrf-addresses").text
    assert "nothing" in told
    assert "https://testserver" in told


def test_what_a_browser_sent_is_text_on_the_page(browser: Client) -> None:
    answer = sent_from(browser, Origin="https://<script>alert(1)</script>", Sec_Fetch_Site="same-origin")
    assert "<script>alert" not in html(answer)
    assert "&lt;script&gt;alert" in html(answer)
