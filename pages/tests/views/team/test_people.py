"""Roles, budgets, leaving, sessions and password links: who may, what it ends, what is recorded."""

from typing import Any

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from accounts.models import AuditRecord, Invitation, Membership, Role, Team, User
from pages.live.screens import StreamRequest, open_screens, recheck
from pages.tests.markup import html, parse
from rentals.models import Status
from rentals.tests.factories import make_person, make_rental, make_team, signed_in_by_form

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]


def act(by: User, what: str, person: User, **sent: Any) -> str:
    """Press a button on the page of `person`; return what was said."""
    answer = signed_in_by_form(by).post(reverse(f"person_{what}", args=[person.pk]), sent)
    return " ".join(str(message) for message in get_messages(answer.wsgi_request))


def role_of(person: User) -> str:
    return Membership.objects.get(user=person).role


def test_a_manager_gives_somebody_another_role_and_it_is_recorded(manager: User, linh: User, team: Team) -> None:
    act(manager, "role", linh, role="viewer")
    assert role_of(linh) == Role.VIEWER
    record = AuditRecord.objects.get(action="role")
    assert (record.person, record.team, record.target) == (manager, team, f"linh #{linh.pk}")
    assert record.detail == {"role": ["operator", "viewer"]}
    assert record.address == "127.0.0.1"


def test_the_last_manager_stays_one(manager: User, linh: User, team: Team) -> None:
    admin = make_person(username="admin", is_staff=True, team=team)
    assert "last manager" in act(admin, "role", manager, role="operator")
    assert "last manager" in act(admin, "remove", manager)
    assert "last manager" in act(admin, "deactivate", manager)
    manager.refresh_from_db()
    assert (role_of(manager), manager.is_active) == (Role.MANAGER, True)
    act(admin, "role", linh, role="manager")
    act(admin, "role", manager, role="operator")
    assert role_of(manager) == Role.OPERATOR


def test_a_deactivated_manager_does_not_count_as_one(manager: User, linh: User, team: Team) -> None:
    make_person(team, Role.MANAGER, is_active=False)
    admin = make_person(username="admin", is_staff=True, team=team)
    assert "last manager" in act(admin, "role", manager, role="operator")


@pytest.mark.parametrize(("what", "sent"), [("role", {"role": "operator"}), ("remove", {}), ("deactivate", {})])
def test_nobody_shuts_themselves_out(manager: User, team: Team, what: str, sent: dict[str, str]) -> None:
    make_person(team, Role.MANAGER)
    assert act(manager, what, manager, **sent)
    manager.refresh_from_db()
    assert (role_of(manager), manager.is_active) == (Role.MANAGER, True)


@pytest.mark.database
def test_budgets_are_set_and_recorded_with_what_they_were(manager: User, linh: User) -> None:
    act(manager, "budgets", linh, budget_day="20.000", rentals_per_day="7")
    act(manager, "budgets", linh, budget_day="30 000 ₫", rentals_per_day="7")
    membership = Membership.objects.get(user=linh)
    assert (membership.budget_day, membership.budget_month, membership.rentals_per_day) == (30_000, None, 7)
    details = AuditRecord.objects.filter(action="limits").order_by("pk").values_list("detail", flat=True)
    assert list(details) == [
        {"budget_day": [None, 20_000], "rentals_per_day": [None, 7]},
        {"budget_day": [20_000, 30_000]},
    ]


def test_a_budget_that_is_none_is_refused_at_its_field(manager: User, linh: User) -> None:
    answer = signed_in_by_form(manager).post(reverse("person_budgets", args=[linh.pk]), {"budget_day": "much"})
    assert answer.status_code == 422
    assert "id_budget_day_error" in answer.content.decode()
    assert Membership.objects.get(user=linh).budget_day is None


def test_who_is_removed_keeps_their_account(manager: User, linh: User) -> None:
    act(manager, "remove", linh)
    linh.refresh_from_db()
    assert linh.is_active
    assert not linh.memberships.exists()
    assert AuditRecord.objects.filter(action="removed", target=f"linh #{linh.pk}").exists()


def test_deactivating_ends_sessions_streams_and_links_at_once(manager: User, linh: User, team: Team) -> None:
    theirs = signed_in_by_form(linh)
    page = theirs.get("/")
    [screen] = open_screens([StreamRequest.read(page.wsgi_request, theirs.session.session_key)])
    assert screen is not None
    link = link_for(manager, linh)
    Membership.objects.filter(user=linh).update(role=Role.MANAGER)
    theirs.post(reverse("invite"), {"role": "operator", "days": 3})
    act(manager, "deactivate", linh)
    assert recheck([screen]) == {screen: None}
    assert not UserSession.objects.filter(user=linh).exists()
    assert theirs.get("/").status_code == 302
    assert b"id_password1" not in Client().get(link, follow=True).content
    assert Invitation.objects.get().revoked_at is not None
    assert not Client().login(username="linh", password="secret-enough")
    record = AuditRecord.objects.get(action="deactivated")
    assert record.detail == {"is_active": [True, False], "sessions": 1}


def test_who_is_activated_again_signs_in_anew(manager: User, linh: User) -> None:
    theirs = signed_in_by_form(linh)
    act(manager, "deactivate", linh)
    act(manager, "activate", linh)
    assert theirs.get("/").status_code == 302
    assert Client().login(username="linh", password="secret-enough")


def test_sessions_end_from_afar(manager: User, linh: User) -> None:
    theirs = [signed_in_by_form(linh), signed_in_by_form(linh)]
    assert "2 sessions ended" in act(manager, "sign_out", linh)
    assert [client.get("/").status_code for client in theirs] == [302, 302]
    assert AuditRecord.objects.filter(action="sessions_ended", person=manager, target=f"linh #{linh.pk}").exists()


@pytest.mark.parametrize("language", ["en", "vi"])
def test_the_browsers_of_a_person_are_named_as_on_their_own_page(manager: User, linh: User, language: str) -> None:
    agent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
    UserSession.objects.create(user=linh, session_key="k", ip="192.0.2.7", user_agent=agent)
    address = reverse("person", args=[linh.pk])
    page = parse(html(signed_in_by_form(manager).get(address, headers={"accept-language": language})))
    [shown] = page.find("ul", **{"class": "sessions"}).find_all("li")
    assert shown.text.startswith("Chrome · Linux")
    assert "Mozilla" not in shown.text
    assert shown.find("span", **{"class": "agent"})["title"] == agent


def test_a_session_that_its_owner_ends_takes_its_screen_along(linh: User) -> None:
    here, there = signed_in_by_form(linh), signed_in_by_form(linh)
    [screen] = open_screens([StreamRequest.read(there.get("/").wsgi_request, there.session.session_key)])
    assert screen is not None
    here.get("/")
    here.post(reverse("usersessions_list"))
    assert UserSession.objects.filter(user=linh).count() == 1
    assert recheck([screen]) == {screen: None}
    assert AuditRecord.objects.filter(action="sessions_ended", person=linh).exists()


def link_for(by: User, person: User) -> str:
    page = signed_in_by_form(by).post(reverse("person_password", args=[person.pk])).content.decode()
    return page.split('data-testid="link"')[0].rsplit('value="', 1)[1].split('"')[0].replace("http://testserver", "")


def test_a_password_link_sets_a_new_password_once(manager: User, linh: User) -> None:
    link = link_for(manager, linh)
    client = Client()
    form = client.get(link, follow=True)
    where = form.redirect_chain[-1][0]
    client.post(where, {"password1": "a fine long one 9", "password2": "a fine long one 9"})
    assert Client().login(username="linh", password="a fine long one 9")
    assert b"id_password1" not in Client().get(link, follow=True).content
    actions = set(AuditRecord.objects.values_list("action", flat=True))
    assert {"password_link", "password_reset"} <= actions


def test_a_password_link_is_not_made_for_somebody_who_also_works_elsewhere(manager: User, linh: User) -> None:
    Membership.objects.create(user=linh, team=make_team(), role=Role.OPERATOR)
    for what in ("password", "deactivate", "sign_out"):
        assert "Only an admin" in act(manager, what, linh)
    linh.refresh_from_db()
    assert linh.is_active
    assert not AuditRecord.objects.filter(action="password_link").exists()


@pytest.mark.database
def test_settings_are_changed_and_recorded(manager: User, team: Team) -> None:
    sent = {"name": "Support", "budget_day": "1.000.000", "shares_codes": "on", "codes_fade_minutes": "10"}
    signed_in_by_form(manager).post(reverse("team_settings"), sent)
    team.refresh_from_db()
    assert (team.budget_day, team.shares_codes, team.codes_fade_minutes) == (1_000_000, True, 10)
    assert AuditRecord.objects.get(action="team_settings").detail == {
        "budget_day": [None, 1_000_000],
        "shares_codes": [False, True],
        "codes_fade_minutes": [None, 10],
    }


def test_a_person_without_two_factor_cannot_require_it(manager: User, team: Team) -> None:
    answer = signed_in_by_form(manager).post(
        reverse("team_settings"), {"name": "Support", "requires_second_step": "on"}
    )
    assert answer.status_code == 422
    team.refresh_from_db()
    assert not team.requires_second_step


def test_the_name_of_another_team_of_theirs_is_taken(manager: User, team: Team) -> None:
    User.objects.filter(pk=manager.pk).update(team=team)
    make_team("Sales").memberships.create(user=manager, role=Role.VIEWER)
    assert signed_in_by_form(manager).post(reverse("team_settings"), {"name": "Sales"}).status_code == 422


def test_the_record_speaks_the_words_of_the_settings(manager: User, linh: User) -> None:
    act(manager, "role", linh, role="viewer")
    act(manager, "budgets", linh, budget_day="20.000")
    page = parse(signed_in_by_form(manager).get(reverse("team_audit")).content.decode())
    assert {"–", "operator"} <= {before.text for before in page.find_all("del")}
    assert {"20.000 ₫", "viewer"} <= {after.text for after in page.find_all("ins")}
    assert "budget per day, đồng: – " in page.text
    assert "role: operator " in page.text


def test_a_person_s_page_leads_to_their_rentals_spend_and_records(manager: User, linh: User, team: Team) -> None:
    client = Client()
    client.force_login(manager)
    make_rental(Status.RECEIVED, team=team, person=linh)
    make_rental(Status.RECEIVED, team=team, person=manager)
    AuditRecord.objects.create(action="reveal", person=linh, team=team)
    AuditRecord.objects.create(action="reveal", person=manager, team=team)
    page = parse(client.get(reverse("person", args=[linh.pk])).content.decode())
    links = [link["href"] for link in page.find("p", **{"class": "head-end head-links"}).find_all("a")]
    assert links == [f"{path}?person={linh.pk}" for path in ("/rentals/", "/spend/", "/team/audit/")]
    rentals, money, records = (parse(client.get(link).content.decode()) for link in links)
    assert len(rentals.find_all("tr", data_testid="rental")) == 1
    assert money.find(data_testid="spend-person")
    assert [record["data-action"] for record in records.find_all("li", data_testid="audit")] == ["reveal"]
