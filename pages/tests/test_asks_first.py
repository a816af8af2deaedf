"""What destroys or buys asks first, where no script runs to ask: each such form of the pages, and no form of a script."""

from collections.abc import Iterator
from copy import copy
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.test import Client, override_settings
from django.urls import resolve, reverse

from accounts.models import AuditRecord, Role, Team
from lib.network.oidc_providers import Provider
from lib.web.confirmation import QUESTION
from pages.tests.markup import html, parse
from pages.tests.world import World
from pages.tests.world import shared_world as shared_world
from rentals.models import Destination, Rental, Status
from rentals.tests.factories import make_person

# Each such form: the page that it stands on and what it is sent to, by their views' names.
FORMS = [
    ("desk", "rent_again"),
    ("history", "rent_again"),
    ("rental", "rent_again"),
    ("rental", "order_like"),
    ("team", "invite_revoke"),
    ("team", "team_services"),
    ("person", "person_sign_out"),
    ("person", "person_two_factor"),
    ("person", "person_remove"),
    ("person", "person_deactivate"),
    ("team_keys", "key_revoke"),
    ("destination", "destination_secret"),
    ("destination", "destination_delete"),
    ("usersessions_list", "usersessions_list"),
    ("account_page", "account_session_end"),
    ("account_page", "account_disconnect"),
    ("admin:rentals_token_change", "admin:rentals_token_callback_end"),
]


@pytest.fixture(scope="module")
def signed_in(world: World) -> Iterator[SimpleCookie]:
    """A manager and admin, signed in on two browsers, with an account at a provider. The team may rent one service."""
    person = make_person(world.ours, Role.MANAGER, is_staff=True, is_superuser=True)
    world.ours.services.add(world.things["own"]["service"])
    TOTP.activate(world.things["own"]["user"], generate_totp_secret())
    provider = Provider("company", "Company", "https://company.invalid", "desk", "not-a-true-secret")
    SocialAccount.objects.create(user=person, provider=provider.id, uid="boss")
    with override_settings(OIDC_PROVIDERS={provider.id: provider}):
        clients = [Client(), Client()]
        for client in clients:  # signed in as people do: only then is the session listed
            client.post(reverse("account_login"), {"login": person.username, "password": "secret-enough"})
        clients[0].post(reverse("account_reauthenticate"), {"password": "secret-enough"})  # for the provider
        for _ in range(2):
            clients[0].post(reverse("admin:rentals_token_callback", args=[world.things["own"]["token"].pk]))
        yield clients[0].cookies


@pytest.fixture
def as_manager(db: None, signed_in: SimpleCookie) -> Client:
    client = Client()
    client.cookies = copy(signed_in)
    return client


def address(world: World, name: str) -> str:
    things = world.things["own"]
    rows = {
        "rental": things["rental"],
        "person": things["user"],
        "destination": things["destination"],
        "admin:rentals_token_change": things["token"],
    }
    return reverse(name, args=[rows[name].pk] if name in rows else [])


def the_form(world: World, client: Client, name: str, view: str) -> tuple[str, dict[str, Any]]:
    """The address of the form on this page that asks before it does `view`, and what a browser would send."""
    page = parse(client.get(address(world, name)).content.decode())
    forms = [(form["action"], form.values()) for form in page.find_all("form") if form.find_all(name=QUESTION)]
    for button in page.find_all("button", name=QUESTION):  # of the history: they share a form
        shared = page.find("form", id=button["form"])
        forms.append(
            (urljoin(address(world, name), button["formaction"]), {**shared.values(), QUESTION: [button["value"]]})
        )
    [form] = [(action, sent) for action, sent in forms if resolve(urlsplit(action).path).view_name == view]
    return form


def state() -> list[int]:
    """What any of these forms changes."""
    models = (AuditRecord, Rental, Destination, LogEntry)
    return [model.objects.count() for model in models] + [Team.services.through.objects.count()]


@pytest.mark.parametrize(("name", "view"), FORMS)
def test_a_form_that_destroys_or_buys_asks_and_does_it_after_a_yes(
    world: World, as_manager: Client, name: str, view: str
) -> None:
    if view == "order_like":
        Rental.objects.filter(pk=world.things["own"]["rental"].pk).update(status=Status.EXPIRED)
    action, sent = the_form(world, as_manager, name, view)
    before = state()
    asked = as_manager.post(action, sent, headers={"referer": f"http://testserver{address(world, name)}?x=1"})
    page = parse(asked.content.decode())
    assert sent[QUESTION][0] in page.text
    assert page.find("a", href=f"{address(world, name)}?x=1").text == "Back"
    assert state() == before
    form = page.find("section").find("form", method="post")
    done = as_manager.post(form["action"], form.values())
    assert done.status_code in {200, 302}
    assert "Please confirm" not in html(done)
    assert state() != before


def test_every_form_that_asks_is_among_them() -> None:
    texts = [path.read_text() for path in (settings.BASE_DIR / "templates").rglob("*.html")]
    asks = ("{% confirm ", "confirm(", 'name="confirm"')
    asking = sum(text.count(words) for text in texts for words in asks)
    # The card of the desk is the card of the rental's page, too.
    assert asking == len(FORMS) - 1


def test_what_a_script_sends_is_not_asked_about(world: World, as_manager: Client) -> None:
    action, sent = the_form(world, as_manager, "desk", "rent_again")
    answer = as_manager.post(action, sent, headers={"HX-Request": "true"})
    assert "Ordered again" in html(answer)


def test_a_yes_after_a_yes_buys_once(world: World, as_manager: Client) -> None:
    action, sent = the_form(world, as_manager, "history", "rent_again")
    form = parse(as_manager.post(action, sent).content.decode()).find("section").find("form", method="post")
    before = Rental.objects.count()
    for _ in range(2):
        as_manager.post(form["action"], form.values())
    assert Rental.objects.count() == before + 1


@pytest.mark.django_db
def test_nobody_elses_page_asks_anything_here(world: World) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(make_person(world.ours))
    answer = strict.post("/", {QUESTION: "Call 0900 123 456 now"}, headers={"origin": "https://elsewhere.example"})
    assert answer.status_code == 403
    assert "0900" not in html(answer)


@pytest.mark.parametrize("referer", ["", "https://elsewhere.example/team/", "http://testserver", "http://[::1"])
def test_without_a_page_of_ours_before_it_back_leads_to_the_desk(as_manager: Client, referer: str) -> None:
    answer = as_manager.post("/team/", {QUESTION: "Sure?"}, headers={"referer": referer} if referer else {})
    assert parse(answer.content.decode()).find("section").find("a")["href"] == "/"


def test_the_question_of_another_form_does_not_hold_up_an_order(world: World, as_manager: Client) -> None:
    page = parse(as_manager.get("/").content.decode())
    sent = {**page.find("form", id="rent").values(), "service": world.things["own"]["service"].key, QUESTION: "Sure?"}
    before = Rental.objects.count()
    as_manager.post("/rent/", sent)
    assert Rental.objects.count() == before + 1
