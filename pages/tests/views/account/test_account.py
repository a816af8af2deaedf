"""One's own account on one page: each setting is saved, with a sentence, and does what it says."""

from typing import Any

import pytest
from allauth.usersessions.models import UserSession
from django.test import Client
from django.urls import reverse

from accounts.account_forms import PREFERENCES
from accounts.audit import Action
from accounts.models import ApiKey, AuditRecord, Role, Team, User
from accounts.policy import access_for
from accounts.tests.test_audit_signals import set_up_totp, sign_in
from pages.tests.markup import Element, html, parse
from rentals.models import Status
from rentals.tests.factories import make_person, make_rental, make_team

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]
PAGE = "/account/"


@pytest.fixture
def linh(team: Team) -> User:
    return make_person(
        team, username="linh", email="linh@example.com", language="en", first_name="Linh", last_name="Trần"
    )


@pytest.fixture
def client(linh: User) -> Client:
    client = Client()
    sign_in(client)
    return client


def read(client: Client, path: str = PAGE) -> Element:
    return parse(html(client.get(path)))


def saved(client: Client, part: str, **fields: object) -> str:
    """Send a part of the page; return the sentence with which the page comes again."""
    response = client.post(f"{PAGE}{part}/", fields, follow=True)
    assert response.redirect_chain[-1][0] == PAGE
    [notice] = parse(html(response)).find_all("p", role="status")
    return notice.text


@pytest.mark.parametrize("role", list(Role))
def test_everyone_has_the_page_in_the_menu_with_all_its_parts(client: Client, team: Team, role: Role) -> None:
    client.force_login(make_person(team, role))
    assert read(client, "/").find("a", href=PAGE)
    parts = {section["id"] for section in read(client).find_all("section")}
    assert parts == {"you", "language", "desk", "sign-in", "browsers", "keys-of-yours", "recorded"}


def test_a_name_is_changed_for_every_page_and_recorded(
    client: Client, linh: User, team: Team, as_manager: Client
) -> None:
    assert read(client).find(id="id_first_name")["value"] == "Linh Trần"
    rental = make_rental(Status.WAITING, team=team, person=linh)
    assert saved(client, "name", first_name="Linh Đan") == "Saved. You are shown as Linh Đan (linh)."
    linh.refresh_from_db()
    assert (linh.first_name, linh.last_name) == ("Linh Đan", "")
    for page in (as_manager.get("/"), as_manager.get("/team/"), as_manager.get(f"/rentals/{rental.pk}/")):
        assert "Linh Đan (linh)" in html(page)
    record = AuditRecord.objects.get(action=Action.NAME_CHANGED)
    assert (record.person, record.detail) == (linh, {"name": ["Linh Trần", "Linh Đan"]})
    # The managers of the person's teams read it.
    assert "Linh Đan (linh)" in html(as_manager.get("/team/audit/?action=name_changed"))


@pytest.mark.database
def test_the_same_name_again_is_no_change(client: Client) -> None:
    saved(client, "name", first_name="Linh Trần")
    assert not AuditRecord.objects.filter(action=Action.NAME_CHANGED).exists()


@pytest.mark.parametrize("name", ["Mai Lê", "Mаi Lê", "Mai\u200b"])  # the second with a Cyrillic а
def test_a_name_like_a_colleague_s_or_with_hidden_letters_is_refused(
    client: Client, team: Team, linh: User, name: str
) -> None:
    make_person(team, username="mai", first_name="Mai Lê")
    response = client.post(f"{PAGE}name/", {"first_name": name})
    assert response.status_code == 422
    assert parse(html(response)).find_all(role="alert")
    linh.refresh_from_db()
    assert linh.get_full_name() == "Linh Trần"


def test_language_and_zone_are_saved_and_the_page_answers_in_them(client: Client, linh: User) -> None:
    sentence = saved(client, "language", language="vi", time_zone="Europe/Berlin", next=PAGE)
    assert sentence.startswith("Đã lưu")
    linh.refresh_from_db()
    assert (linh.language, linh.time_zone) == ("vi", "Europe/Berlin")
    assert client.cookies["django_language"].value == "vi"
    assert "Europe/Berlin" in read(client).find("footer").text
    assert saved(client, "language", language="", time_zone="", next=PAGE)
    linh.refresh_from_db()
    assert (linh.language, linh.time_zone) == ("", "")


@pytest.mark.parametrize("fields", [{"language": "xx"}, {"time_zone": "Mars/Base"}, {"time_zone": "x" * 500}])
def test_no_other_language_or_zone_is_taken(client: Client, linh: User, fields: dict[str, str]) -> None:
    response = client.post(f"{PAGE}language/", {"language": "en", "time_zone": "", **fields})
    assert response.status_code == 422
    linh.refresh_from_db()
    assert (linh.language, linh.time_zone) == ("en", "")


@pytest.mark.database
def test_what_leads_elsewhere_is_not_followed(client: Client) -> None:
    fields = {"language": "en", "time_zone": "", "next": "https://example.com/"}
    assert client.post(f"{PAGE}language/", fields)["Location"] == "/"


def test_preferences_are_saved_all_at_once(client: Client, linh: User) -> None:
    wanted = {name: "on" for name in PREFERENCES if name != "copy_as"} | {"copy_as": "international"}
    assert saved(client, "preferences", **wanted).startswith("Saved.")
    linh.refresh_from_db()
    assert all(getattr(linh, name) for name in PREFERENCES)
    saved(client, "preferences", copy_as="digits")
    linh.refresh_from_db()
    assert not any(getattr(linh, name) for name in PREFERENCES if name != "copy_as")
    form = read(client).find("form", action=f"{PAGE}preferences/")
    assert [box["name"] for box in form.find_all("input", type="checkbox") if "checked" in box] == []


def test_each_setting_says_what_it_does(client: Client) -> None:
    page = read(client)
    for name in ("first_name", "language", "time_zone", *PREFERENCES):
        field = page.find(id=f"id_{name}")
        assert len(page.find(id=field["aria-describedby"]).text) > 20, name


def test_two_factor_methods_are_counted_and_lead_to_their_pages(client: Client, linh: User) -> None:
    page = read(client).find("section", id="sign-in")
    assert {link["href"] for link in page.find_all("a")} == {reverse("mfa_activate_totp"), reverse("mfa_add_webauthn")}
    set_up_totp(client)
    page = read(client).find("section", id="sign-in")
    assert "10 left" in page.text
    assert page.find_all("a", href=reverse("mfa_view_recovery_codes"))


@pytest.mark.database
def test_one_browser_is_signed_out_and_no_other(client: Client, linh: User, team: Team) -> None:
    elsewhere, stranger = Client(), Client()
    sign_in(elsewhere)
    make_person(team, username="minh")
    sign_in(stranger, "minh")
    [form] = read(client).find("section", id="browsers").find_all("form")
    asked = client.post(form["action"], form.values())
    assert "Sign that browser out now?" in html(asked)
    assert elsewhere.get("/").status_code == 200
    client.post(form["action"], {"confirmed": "yes"})
    assert elsewhere.get("/").status_code == 302
    assert client.get("/").status_code == 200
    assert AuditRecord.objects.filter(action=Action.SESSIONS_ENDED, person=linh).count() == 1
    assert not read(stranger).find("section", id="browsers").find_all("form")
    mine = UserSession.objects.get(user=linh).pk
    assert stranger.post(f"{PAGE}sessions/{mine}/end/").status_code == 404
    # One's own present session is ended by signing out.
    assert client.post(f"{PAGE}sessions/{mine}/end/")["Location"] == reverse("account_logout")
    assert client.get("/").status_code == 200


def test_api_keys_are_listed_with_their_use(client: Client, linh: User, team: Team) -> None:
    ApiKey.objects.create(team=team, person=linh, name="CI tests", start="desk_abcdef", secret_digest="1" * 64)
    ApiKey.objects.create(team=team, person=make_person(team), name="Theirs", start="desk_x", secret_digest="2" * 64)
    part = read(client).find("section", id="keys-of-yours")
    assert "CI tests" in part.text
    assert "never used" in part.text
    assert "Theirs" not in part.text
    assert part.find("a", href="/team/keys/")


def test_what_is_recorded_is_counted_and_led_to(client: Client, linh: User, team: Team) -> None:
    make_rental(Status.RECEIVED, team=team, person=linh)
    make_rental(Status.RECEIVED, team=team)
    for action in (Action.READ, Action.REVEAL, Action.COPY):
        AuditRecord.objects.create(action=action, person=linh, team=team, target="rental 1")
    AuditRecord.objects.create(action=Action.REVEAL, person=make_person(team), team=team)
    lines = read(client).find_all("li", data_testid="recorded")
    assert [line.find("strong").text for line in lines] == ["1", "3", "1", "0"]
    assert "90 days" in lines[0].text
    assert "730 days" in lines[1].text
    links = [line.find("a")["href"] for line in lines[:3]]
    assert links[0] == f"/rentals/?person={linh.pk}"
    assert len(read(client, links[0]).find_all("tr", data_testid="rental")) == 1
    assert len(read(client, links[1]).find_all("li", data_testid="audit")) == 3
    assert [li["data-action"] for li in read(client, links[2]).find_all("li", data_testid="audit")] == ["sign_in"]


@pytest.mark.database
def test_one_reads_one_s_own_records_and_of_this_team_alone(client: Client, linh: User, team: Team) -> None:
    other = make_team("Other")
    AuditRecord.objects.create(action=Action.REVEAL, person=linh, team=other, target="rental 4711")
    AuditRecord.objects.create(action=Action.REVEAL, person=make_person(team), team=team, target="rental 4712")
    page = html(client.get(f"{PAGE}records/"))
    assert "4711" not in page
    assert "4712" not in page
    assert AuditRecord.objects.filter(access_for(linh).own_records()).count() == 1  # the sign-in


@pytest.mark.database
def test_many_records_come_page_by_page(client: Client, linh: User, team: Team) -> None:
    for number in range(60):
        AuditRecord.objects.create(action=Action.REVEAL, person=linh, team=team, target=f"rental {number}")
    first = read(client, f"{PAGE}records/?of=codes")
    [earlier] = first.find_all("a", rel="next")
    second = read(client, f"{PAGE}records/{earlier['href']}")
    assert (len(first.find_all("li", data_testid="audit")), len(second.find_all("li", data_testid="audit"))) == (50, 10)


def test_the_page_costs_few_queries(client: Client, django_assert_max_num_queries: Any) -> None:
    with django_assert_max_num_queries(14):
        client.get(PAGE)


def test_a_visitor_is_led_to_the_sign_in(db: None) -> None:
    for path in ("", "records/"):
        assert Client().get(f"{PAGE}{path}")["Location"].startswith("/accounts/login/")
