"""Setting up the true service: four steps from a token to the first number, which an admin may leave and open again."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from accounts import invitations
from accounts.models import AuditRecord, Invitation, Role, Team, User
from accounts.policy import access_for
from pages.presenters import setup
from pages.tests.markup import Element, html, parse
from rentals.jobs import catalog
from rentals.models import Callback, CallbackAddress, Hold, Rental, Status, Token
from rentals.tests.factories import make_person, make_rental, make_service, make_team, make_token, signed_in
from sandbox.server import Sandbox

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]

HTMX = {"HX-Request": "true"}


@pytest.fixture
def admin(team: Team) -> User:
    return make_person(team, Role.MANAGER, username="root", is_staff=True, is_superuser=True)


@pytest.fixture
def root(admin: User) -> Client:
    return signed_in(admin)


@pytest.fixture
def token(team: Team) -> Token:
    return make_token(team, name="Main")


def read(client: Client, name: str, *args: object) -> Element:
    return parse(html(client.get(reverse(name, args=args))))


def add(client: Client, value: str, name: str = "Main") -> Any:
    return client.post(reverse("setup_token"), {"new_value": value, "name": name})


def called(token: Token, state: str = Callback.State.APPLIED) -> Callback:
    return Callback.objects.create(token=token, at=timezone.now(), body=b"{}", state=state)


# The way to it


def test_the_desk_of_the_true_service_leads_an_admin_to_the_first_token(root: Client) -> None:
    answer = root.get("/", follow=True)
    assert [address for address, _status in answer.redirect_chain] == ["/setup/", "/setup/token/"]
    assert root.get("/?later").status_code == 200


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR, Role.MANAGER])
def test_nobody_else_is_led_there(client: Client, team: Team, role: Role) -> None:
    client.force_login(make_person(team, role))
    page = client.get("/")
    assert page.status_code == 200
    assert "/setup/" not in html(page)


def test_the_demo_leads_nobody_there(root: Client, settings: Settings) -> None:
    settings.DEMO = True
    assert root.get("/").status_code == 200
    assert "THUESIM_BASE_URL=https://thuesim.xyz ./run" in read(root, "setup_token").find("main").text


def test_it_is_found_again_from_the_desk_until_a_number_is_rented(root: Client, token: Token, team: Team) -> None:
    assert parse(html(root.get("/"))).find(data_testid="setup-goes-on").find("a")["href"] == "/setup/"
    make_rental(team=team, token=token)
    assert parse(html(root.get("/"))).find_all(data_testid="setup-goes-on") == []


def test_the_system_page_leads_an_admin_to_it(root: Client, client: Client, team: Team, token: Token) -> None:
    addresses = {link["href"] for link in read(root, "system").find("main").find_all("a") if "href" in link}
    assert {"/setup/", f"/setup/{token.pk}/callback/"} <= addresses
    client.force_login(make_person(team, Role.MANAGER))
    assert "/setup/" not in html(client.get("/system/"))


# Left and opened again


def test_each_return_leads_to_the_first_step_that_is_open(root: Client, team: Team, upstream: Sandbox) -> None:
    def leads_to() -> str:
        return str(root.get("/setup/")["Location"])

    assert leads_to() == "/setup/token/"
    add(root, upstream.token)
    token = Token.objects.get()
    assert leads_to() == f"/setup/{token.pk}/callback/"
    root.post(reverse("setup_callback", args=[token.pk]))
    assert leads_to() == f"/setup/{token.pk}/people/"
    make_person(team)
    assert leads_to() == f"/setup/{token.pk}/number/"
    make_rental(Status.WAITING, team=team, token=token)
    assert leads_to() == f"/setup/{token.pk}/callback/"  # what still waits for ThueSim
    called(token)
    assert leads_to() == f"/setup/{token.pk}/number/"
    assert {step["data-progress"] for step in read(root, "setup_token").find_all(data_testid="step")} == {"done"}


def test_a_token_that_thuesim_refuses_later_opens_its_step_again(root: Client, token: Token) -> None:
    Token.objects.update(hold=Hold.INVALID)
    assert root.get("/setup/")["Location"] == "/setup/token/"
    page = read(root, "setup_token")
    assert "Main · refused by ThueSim" in page.find(id="steps").text
    assert page.find(data_testid="refused").find("a")["href"] == f"/admin/rentals/token/{token.pk}/replace/"


def test_a_desk_whose_token_is_refused_promises_no_services(root: Client, client: Client, token: Token) -> None:
    Token.objects.update(hold=Hold.INVALID)
    sentence = "ThueSim refuses your team's token, so there are no services to rent."
    notice = parse(html(root.get("/"))).find(id="no-services")
    assert sentence in notice.text
    assert notice.find("a")["href"] == "/setup/token/"
    client.force_login(make_person(token.teams.get()))
    assert f"{sentence} Tell an admin." in parse(html(client.get("/"))).find(id="no-services").text
    make_token(token.teams.get())
    assert "are being read" in html(client.get("/"))


def test_the_token_of_the_own_team_is_gone_on_with(admin: User, token: Token) -> None:
    make_token(make_team("Other"))
    assert setup.current_token(access_for(admin)) == token


def test_a_step_costs_a_bounded_number_of_queries(
    root: Client, token: Token, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(5):
        make_person(token.teams.get(), username=f"p{number}")
        called(token)
    with django_assert_num_queries(10):
        root.get(reverse("setup_callback", args=[token.pk]))


# Its callback address


def test_a_callback_address_is_shown_once(root: Client, token: Token) -> None:
    page = read(root, "setup_callback", token.pk)
    assert page.find_all(data_testid="callback-address") == []
    made = parse(html(root.post(reverse("setup_callback", args=[token.pk]))))
    address = made.find(data_testid="callback-address")["value"]
    secret = CallbackAddress.objects.get().secret.reveal()
    assert address == f"http://testserver/callback/{secret}/"
    assert address in made.find("pre").text
    assert secret not in html(root.get(reverse("setup_callback", args=[token.pk])))
    assert secret not in str(list(AuditRecord.objects.values()))


@pytest.mark.database
def test_a_replaced_address_works_on_for_a_day(root: Client, token: Token) -> None:
    CallbackAddress.issue(token)
    page = html(root.post(reverse("setup_callback", args=[token.pk])))
    assert "The previous address works for another 24 hours." in page
    assert CallbackAddress.objects.filter(expires_at=None).count() == 1


def test_the_page_waits_until_thuesim_calls(root: Client, token: Token) -> None:
    address = reverse("setup_callback", args=[token.pk])
    called(token)  # at an address of before
    CallbackAddress.issue(token)
    state = read(root, "setup_callback", token.pk).find(data_testid="callback-state")
    assert "Waiting for ThueSim's first call." in state.text
    assert (state["hx-get"], state["hx-trigger"]) == (address, "every 2s")
    assert root.get(address, headers=HTMX).status_code == 204
    called(token)
    state = parse(html(root.get(address, headers=HTMX))).find(data_testid="callback-state")
    assert "ThueSim's first call came at" in state.text
    assert "hx-get" not in state


@pytest.mark.parametrize(
    ("language", "sentence", "progress"),
    [
        ("en", "but it names no rental of this desk", "a call came that names no rental"),
        ("vi", "không nêu lượt thuê nào của hệ thống này", "chỉ có lượt gọi lạ"),
    ],
)
def test_an_invented_call_proves_nothing(
    root: Client, token: Token, language: str, sentence: str, progress: str
) -> None:
    secret = CallbackAddress.issue(token).secret.reveal()
    address = reverse("setup_callback", args=[token.pk])
    invented = {"id": "123.01", "status": "1", "sms": "your code is 1234"}
    assert (
        Client().post(reverse("callback", args=[secret]), invented, content_type="application/json").status_code == 200
    )
    page = parse(html(root.get(address, headers={**HTMX, "accept-language": language})))
    state = page.find(data_testid="callback-state")
    assert sentence in state.text
    [step] = [step for step in page.find_all(data_testid="step") if progress in step.text]
    assert step["data-progress"] == "waiting"
    # It waits on, and is read aloud once.
    assert state["hx-get"] == f"{address}?seen={Callback.objects.get().pk}"
    assert root.get(state["hx-get"], headers=HTMX).status_code == 204
    called(token)
    page = parse(html(root.get(state["hx-get"], headers={**HTMX, "accept-language": language})))
    assert sentence not in page.find("main").text
    assert "hx-get" not in page.find(data_testid="callback-state")


def test_no_address_is_unreachable_once_thuesim_has_called_at_it(root: Client, token: Token) -> None:
    CallbackAddress.issue(token)
    for state, is_warned in ((None, True), (Callback.State.UNKNOWN, True), (Callback.State.APPLIED, False)):
        if state:
            called(token, state)
        page = read(root, "setup_callback", token.pk)
        assert ("ThueSim cannot reach" in page.find(id="reach").text) == is_warned
        waiting = page.find(data_testid="callback-state")
        assert ("The address works." in waiting.text) == (not is_warned)
        assert not is_warned or "#reach" in waiting["hx-select-oob"]  # so the warning goes with the first call


@pytest.mark.parametrize(
    ("public_url", "is_warned"),
    [
        ("", True),  # http://testserver
        ("http://192.168.1.20:8000", True),
        ("http://localhost:8000", True),
        ("https://desk.example.com", False),
        ("https://8.8.8.8", False),
    ],
)
def test_an_address_that_thuesim_cannot_reach_is_warned_of(
    root: Client, token: Token, settings: Settings, public_url: str, is_warned: bool
) -> None:
    settings.PUBLIC_URL = public_url
    page = read(root, "setup_callback", token.pk)
    assert ("ThueSim cannot reach from the internet" in page.text) == is_warned


# The team and its people


def test_the_team_is_named(root: Client, team: Team, token: Token) -> None:
    answer = root.post(reverse("setup_people", args=[token.pk]), {"name": "Sales"})
    assert answer["Location"] == f"/setup/{token.pk}/people/"
    team.refresh_from_db()
    assert team.name == "Sales"
    assert AuditRecord.objects.get(action="team_settings").detail == {"name": ["Support", "Sales"]}


def test_several_teams_are_chosen_from(root: Client, team: Team, token: Token) -> None:
    other = make_team("Sales")
    address = reverse("setup_people", args=[token.pk])
    chosen = [
        box["value"] for box in read(root, "setup_people", token.pk).find_all("input", name="teams") if "checked" in box
    ]
    assert chosen == [str(team.pk)]
    root.post(address, {"name": "Support", "teams": [team.pk, other.pk]})
    assert set(token.teams.all()) == {team, other}
    answer = root.post(address, {"name": "Support"})
    assert answer.status_code == 422
    assert "Choose at least one team" in html(answer)
    assert token.teams.count() == 2


def test_what_stays_as_it_is_is_not_recorded(root: Client, token: Token, team: Team) -> None:
    make_team("Sales")
    before = AuditRecord.objects.count()
    root.post(reverse("setup_people", args=[token.pk]), {"name": "Support", "teams": [team.pk]})
    assert AuditRecord.objects.count() == before


def test_a_name_that_another_team_has_is_refused(root: Client, token: Token, team: Team) -> None:
    make_team("Sales")
    answer = root.post(reverse("setup_people", args=[token.pk]), {"name": "sales", "teams": [team.pk]})
    assert answer.status_code == 422
    assert "Another team of yours has this name already." in html(answer)


def invite_values(root: Client, token: Token) -> dict[str, Any]:
    forms = read(root, "setup_people", token.pk).find_all("form", action=reverse("setup_people", args=[token.pk]))
    [form] = [form for form in forms if "invite" in form.values()]
    return form.values()


@pytest.mark.parametrize(("language", "next_step"), [("en", "Next: First number"), ("vi", "Tiếp theo: Số đầu tiên")])
def test_the_link_of_an_invitation_is_shown_within_the_step_and_leads_on(
    root: Client, team: Team, token: Token, language: str, next_step: str
) -> None:
    here = reverse("setup_people", args=[token.pk])
    values = {**invite_values(root, token), "note": "Mai", "role": "viewer"}
    made = parse(html(root.post(here, values, headers={"accept-language": language})))
    secret = made.find(data_testid="link")["value"].split("/join/")[1].rstrip("/")
    invitation = invitations.find(secret)
    assert invitation is not None
    assert (invitation.team, invitation.role, invitation.note) == (team, Role.VIEWER, "Mai")
    assert made.find(aria_labelledby="invitation-title")["autofocus"] == ""
    assert made.find(id="steps").find("a", aria_current="step")["href"] == here
    assert (made.find(data_testid="next")["href"], made.find(data_testid="next").text) == (
        reverse("setup_number", args=[token.pk]),
        next_step,
    )
    people = read(root, "setup_people", token.pk)
    assert "Mai" in people.find("main").text
    assert "1 invitation is open" in people.find(id="steps").text
    assert people.find_all(data_testid="link") == []
    assert AuditRecord.objects.filter(action="invite", team=team).count() == 1


@pytest.mark.database
def test_the_form_of_an_invitation_sent_twice_makes_one(root: Client, token: Token) -> None:
    here, values = reverse("setup_people", args=[token.pk]), {**invite_values(root, token), "note": "Mai"}
    first, second = (parse(html(root.post(here, values))).find(data_testid="link")["value"] for _ in range(2))
    assert first == second
    other = root.post(here, {**values, "note": "Hoa"}, follow=True)
    assert other.redirect_chain[0][0] == here
    assert "This form has made a link already." in html(other)
    assert Invitation.objects.count() == 1


def test_a_wrong_invitation_stays_in_the_step(root: Client, team: Team, token: Token) -> None:
    here = reverse("setup_people", args=[token.pk])
    answer = root.post(here, {**invite_values(root, token), "days": "400", "name": "Renamed"})
    assert answer.status_code == 422
    assert parse(html(answer)).find("select", name="days")["aria-invalid"] == "true"
    assert not Invitation.objects.exists()
    team.refresh_from_db()
    assert team.name == "Support"


def test_an_invitation_of_the_team_page_leads_back_to_it(root: Client) -> None:
    made = parse(html(root.post(reverse("invite"), {"role": "viewer", "days": 7, "next": "https://evil.example/"})))
    assert made.find("main").find_all("a", href="/team/")


def test_people_and_invitations_are_counted(admin: User, team: Team, token: Token) -> None:
    access = access_for(admin)

    def people() -> tuple[str, str]:
        step = setup.steps(access, token)[2]
        return step.progress, step.sentence

    assert people() == ("open", "only you so far")
    invitations.invite(admin, team, role=Role.VIEWER)
    assert people() == ("waiting", "1 invitation is open")
    make_person(team)
    make_person(team, is_active=False)
    assert people() == ("done", "1 person besides you")


# The first number


def test_the_cheapest_services_are_offered_with_their_price(root: Client, upstream: Sandbox) -> None:
    add(root, upstream.token)
    token = Token.objects.get()
    catalog.sync_catalog(token)
    page = read(root, "setup_number", token.pk)
    offers = page.find_all(data_testid="offer")
    assert len(offers) == setup.MAX_OFFERED
    assert "Momo 01.1 Rent for 350 ₫" in offers[0].text
    form = page.find("form", action=reverse("rent"))
    button = offers[0].find("button")
    answer = root.post(reverse("rent"), {**form.values(), button["name"]: button["value"]}, follow=True)
    assert "Ordered: Momo. The number appears below." in html(answer)
    rental = Rental.objects.get()
    assert (rental.token, rental.service.key) == (token, "01.1")
    assert "The first number is ordered" in html(root.get(reverse("setup_number", args=[token.pk])))


def test_services_for_tests_are_offered_after_all_others(root: Client, team: Team, token: Token) -> None:
    for name, price in (("Không có tin (TEST)", 100), ("Zalo", 900), ("Momo", 350)):
        make_service(name=name, price=price)
    access = access_for(User.objects.get(username="root"))
    assert [service.name for service in setup.offered(access)] == ["Momo", "Zalo", "Không có tin (TEST)"]


def test_a_team_that_wants_a_purpose_is_asked_for_it(root: Client, team: Team, token: Token) -> None:
    make_service()
    team.purpose_required = True
    team.save()
    form = read(root, "setup_number", token.pk).find("form", action=reverse("rent"))
    assert form.values()["purpose"] == ["The first number"]


def test_what_the_team_may_not_order_is_not_offered(root: Client, team: Team, token: Token) -> None:
    make_service(name="Dear", price=5000)
    make_service(name="Off", active=False)
    cheap = make_service(name="Cheap", price=700)
    team.max_price = 4000
    team.save()
    offers = read(root, "setup_number", token.pk).find_all(data_testid="offer")
    assert [offer.find("button")["value"] for offer in offers] == [cheap.key]


def test_services_that_are_being_read_are_waited_for(root: Client, token: Token) -> None:
    address = reverse("setup_number", args=[token.pk])
    waiting = read(root, "setup_number", token.pk).find(id="no-services")
    assert waiting["hx-get"] == address
    assert root.get(address, headers=HTMX).status_code == 204
    make_service()
    assert root.get(address, headers=HTMX).status_code == 200


@pytest.mark.database
def test_a_token_that_the_team_may_not_use_offers_nothing(root: Client) -> None:
    make_service()
    token = make_token(make_team("Other"), name="Elsewhere")
    page = read(root, "setup_number", token.pk)
    assert "Support may not rent on Elsewhere." in page.text
    assert page.find_all(data_testid="offer") == []
