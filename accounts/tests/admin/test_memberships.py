"""Roles, budgets and accounts changed in the Django admin keep to the rules of the team's page, and leave its records."""

from collections.abc import Iterator
from typing import Any

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.messages import get_messages
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from accounts.models import AuditRecord, Invitation, Membership, Role, Team, User
from lib import announce
from pages.live.screens import StreamRequest, open_screens, recheck
from rentals.tests.factories import make_person, make_team, signed_in_by_form

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]


@pytest.fixture
def linh(team: Team) -> User:
    return make_person(team, Role.MANAGER, username="linh")


def row(number: int, membership: Membership | None = None, **over: Any) -> dict[str, Any]:
    """A row of the table of memberships, as the page sends it."""
    fields: dict[str, Any] = {"role": "operator", "budget_day": "", "budget_month": "", "rentals_per_day": ""}
    if membership is not None:
        budgets = ("budget_day", "budget_month", "rentals_per_day")
        fields |= {"id": membership.pk, "role": membership.role}
        fields |= {name: value for name in budgets if (value := getattr(membership, name)) is not None}
    return {f"memberships-{number}-{name}": value for name, value in {**fields, **over}.items()}


def save_team(by: User, team: Team, *rows: dict[str, Any]) -> str:
    """Save the team's page with these rows of people; return what was said."""
    sent: dict[str, Any] = {"name": team.name, "memberships-INITIAL_FORMS": team.memberships.count()}
    sent["memberships-TOTAL_FORMS"] = len(rows)
    for n, fields in enumerate(rows):
        sent |= fields | {f"memberships-{n}-team": team.pk}
    answer = signed_in_by_form(by).post(reverse("admin:accounts_team_change", args=[team.pk]), sent)
    assert answer.status_code == 302, answer.context["errors"]
    return " ".join(str(message) for message in get_messages(answer.wsgi_request))


def save_person(by: User, person: User, *rows: dict[str, Any], **over: Any) -> str:
    """Save the person's page; return what was said."""
    fields: dict[str, Any] = {"username": person.username, "is_active": "on", "team": person.team_id or ""}
    if person.is_staff:
        fields["is_staff"] = "on"
    fields |= {"memberships-INITIAL_FORMS": person.memberships.count(), "memberships-TOTAL_FORMS": len(rows)}
    for n, each in enumerate(rows):
        fields |= each | {f"memberships-{n}-user": person.pk}
    sent = {name: value for name, value in {**fields, **over}.items() if value is not None}
    answer = signed_in_by_form(by).post(reverse("admin:accounts_user_change", args=[person.pk]), sent)
    assert answer.status_code == 302, answer.context["errors"]
    return " ".join(str(message) for message in get_messages(answer.wsgi_request))


def own(person: User) -> Membership:
    return Membership.objects.get(user=person)


def records() -> Iterator[tuple[str, str, Any]]:
    """What was recorded, but for sign-ins: action, thing, detail."""
    for record in AuditRecord.objects.exclude(action="sign_in").order_by("pk"):
        yield record.action, record.target, record.detail


def test_a_role_and_a_budget_are_changed_and_recorded_as_on_the_team_s_page(
    admin: User, team: Team, linh: User
) -> None:
    lan = make_person(team, username="lan")
    Membership.objects.filter(user=lan).update(budget_day=5000)
    save_team(admin, team, row(0, own(lan), role="viewer", budget_day="20.000"), row(1, own(linh)))
    assert (own(lan).role, own(lan).budget_day) == (Role.VIEWER, 20_000)
    assert list(records()) == [
        ("role", f"lan #{lan.pk}", {"role": ["operator", "viewer"]}),
        ("limits", f"lan #{lan.pk}", {"budget_day": [5000, 20_000]}),
    ]
    record = AuditRecord.objects.get(action="limits")
    assert (record.person, record.team, record.address) == (admin, team, "127.0.0.1")


def test_a_person_is_added_with_budgets_and_recorded(admin: User, team: Team, linh: User) -> None:
    lan = make_person(username="lan")
    save_team(admin, team, row(0, own(linh)), row(1, user=lan.pk, role="operator", rentals_per_day="7"))
    assert own(lan).rentals_per_day == 7
    assert list(records()) == [("added", f"lan #{lan.pk}", {"role": [None, "operator"], "rentals_per_day": [None, 7]})]


def test_a_role_is_given_on_the_person_s_page(admin: User, team: Team) -> None:
    lan = make_person(username="lan")
    save_person(admin, lan, row(0, team=team.pk, role="manager"))
    assert own(lan).role == Role.MANAGER
    assert list(records()) == [("added", f"lan #{lan.pk}", {"role": [None, "manager"]})]


@pytest.mark.parametrize("change", [{"role": "operator"}, {"DELETE": "on"}])
def test_the_last_manager_stays_one_on_both_pages(admin: User, team: Team, linh: User, change: dict[str, str]) -> None:
    assert "last manager" in save_team(admin, team, row(0, own(linh), **change))
    assert "last manager" in save_person(admin, linh, row(0, own(linh), **change))
    assert own(linh).role == Role.MANAGER
    assert list(records()) == []


def test_what_is_refused_changes_nothing_else_on_the_page_either(admin: User, team: Team, linh: User) -> None:
    save_person(admin, linh, row(0, own(linh), role="viewer"), first_name="Changed")
    linh.refresh_from_db()
    assert linh.first_name == ""


def test_a_manager_may_follow_another_in_one_go(admin: User, team: Team, linh: User) -> None:
    lan = make_person(team, username="lan")
    save_team(admin, team, row(0, own(lan), role="manager"), row(1, own(linh), role="operator"))
    assert (own(lan).role, own(linh).role) == (Role.MANAGER, Role.OPERATOR)
    save_team(admin, team, row(0, own(lan), DELETE="on"), row(1, own(linh), role="manager"))
    assert (own(linh).role, lan.memberships.count()) == (Role.MANAGER, 0)
    assert [action for action, _target, _detail in records()] == ["role", "role", "role", "removed"]


def test_a_membership_is_not_handed_to_somebody_else(admin: User, team: Team, linh: User) -> None:
    lan = make_person(username="lan")
    save_team(admin, team, row(0, own(linh), user=lan.pk))
    assert own(linh).team == team
    assert not lan.memberships.exists()


@pytest.mark.database
def test_screens_hear_of_a_role_changed_in_the_admin(
    admin: User, team: Team, linh: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[int] = []
    monkeypatch.setattr(announce, "person", told.append)
    save_team(admin, team, row(0, own(linh), rentals_per_day="3"))
    assert linh.pk in told


def test_deactivating_in_the_admin_ends_sessions_streams_and_invitations_at_once(
    admin: User, team: Team, linh: User
) -> None:
    make_person(team, Role.MANAGER)
    theirs = signed_in_by_form(linh)
    [screen] = open_screens([StreamRequest.read(theirs.get("/").wsgi_request, theirs.session.session_key)])
    assert screen is not None
    theirs.post(reverse("invite"), {"role": "operator", "days": 3})
    save_person(admin, linh, row(0, own(linh)), is_active=None)
    assert recheck([screen]) == {screen: None}
    assert not UserSession.objects.filter(user=linh).exists()
    assert theirs.get("/").status_code == 302
    assert Invitation.objects.get().revoked_at is not None
    record = AuditRecord.objects.get(action="deactivated")
    assert (record.person, record.target) == (admin, f"linh #{linh.pk}")
    assert record.detail == {"is_active": [True, False], "sessions": 1}
    assert not AuditRecord.objects.filter(action="user_change").exists()


def test_an_account_opens_again_in_the_admin(admin: User) -> None:
    lan = make_person(username="lan", is_active=False)
    save_person(admin, lan, is_active="on")
    lan.refresh_from_db()
    assert lan.is_active
    assert list(records()) == [("activated", f"lan #{lan.pk}", {"is_active": [False, True]})]


def test_the_last_manager_of_a_team_is_not_deactivated(admin: User, linh: User) -> None:
    assert "last manager" in save_person(admin, linh, row(0, own(linh)), is_active=None)
    linh.refresh_from_db()
    assert linh.is_active


def test_who_is_no_admin_any_more_invites_nobody_where_they_manage_nothing(team: Team, linh: User) -> None:
    root = make_person(username="root", is_staff=True, is_superuser=True)
    other = make_team("Sales")
    lan = make_person(other, Role.MANAGER, username="lan", is_staff=True)
    User.objects.filter(pk=lan.pk).update(team=team)
    signed_in_by_form(lan).post(reverse("invite"), {"role": "operator", "days": 3})
    User.objects.filter(pk=lan.pk).update(team=other)
    signed_in_by_form(lan).post(reverse("invite"), {"role": "operator", "days": 3})
    lan.refresh_from_db()
    save_person(root, lan, row(0, own(lan)), is_staff=None)
    open_ones = Invitation.objects.filter(Invitation.usable())
    assert [invitation.team for invitation in open_ones] == [other]
    assert AuditRecord.objects.get(action="user_change").detail == {"id": lan.pk, "is_staff": [True, False]}


def test_a_password_set_by_an_admin_ends_the_sessions_of_the_old_one(admin: User, linh: User) -> None:
    theirs = signed_in_by_form(linh)
    new = {"password1": "a fine long one 9", "password2": "a fine long one 9", "usable_password": "true"}
    signed_in_by_form(admin).post(reverse("admin:auth_user_password_change", args=[linh.pk]), new)
    assert theirs.get("/").status_code == 302
    assert not UserSession.objects.filter(user=linh).exists()
    assert AuditRecord.objects.get(action="user_change").detail == {"id": linh.pk, "password": "replaced"}


def test_several_people_are_signed_out_from_the_list_but_not_oneself_nor_a_superuser(admin: User, linh: User) -> None:
    root = make_person(username="root", is_superuser=True, is_staff=True)
    theirs, above, mine = signed_in_by_form(linh), signed_in_by_form(root), signed_in_by_form(admin)
    chosen = [linh.pk, root.pk, admin.pk]
    sent = {"action": "sign_out_selected", "_selected_action": chosen}
    mine.post(reverse("admin:accounts_user_changelist"), sent)
    history = reverse("history")  # the desk leads an admin without a token to the set-up
    assert [client.get(history).status_code for client in (theirs, above, mine)] == [302, 200, 200]
    assert AuditRecord.objects.get(action="sessions_ended").target == f"linh #{linh.pk}"


# Invitations


@pytest.mark.database
def test_an_invitation_is_revoked_in_the_admin_and_not_changed_otherwise(admin: User, linh: User) -> None:
    signed_in_by_form(linh).post(reverse("invite"), {"role": "operator", "days": 3, "note": "Mai"})
    invitation = Invitation.objects.get()
    client = signed_in_by_form(admin)
    page = client.get(reverse("admin:accounts_invitation_change", args=[invitation.pk])).content.decode()
    assert invitation.secret_digest not in page
    assert 'name="_save"' not in page
    address = reverse("admin:accounts_invitation_changelist")
    assert "Mai" in client.get(address, {"state": "open"}).content.decode()
    client.post(address, {"action": "revoke_selected", "_selected_action": [invitation.pk]})
    invitation.refresh_from_db()
    assert invitation.revoked_at is not None
    record = AuditRecord.objects.get(action="invite_withdrawn")
    assert (record.person, record.team, record.target) == (admin, linh.memberships.get().team, "Mai")
    assert "Mai" not in client.get(address, {"state": "open"}).content.decode()
    assert "Mai" in client.get(address, {"state": "withdrawn"}).content.decode()


# Fast


def test_a_team_of_many_takes_as_many_queries_as_a_small_one(
    admin: User, team: Team, linh: User, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    client = signed_in_by_form(admin)
    address = reverse("admin:accounts_team_change", args=[team.pk])
    with django_assert_max_num_queries(14) as few:
        client.get(address)
    for _ in range(20):
        make_person(team)
    with django_assert_max_num_queries(len(few.captured_queries)):
        page = client.get(address).content.decode()
    assert page.count('name="memberships-') > 20


def test_a_large_team_shows_its_first_people_and_leads_to_the_others(
    admin: User, team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("accounts.admin.memberships.MAX_SHOWN", 2)
    make_team()  # with one team alone, nobody is left out of the list of all
    people = [make_person(team, username=name) for name in ("anh", "binh", "chi", "dung")]
    client = signed_in_by_form(admin)
    address = reverse("admin:accounts_team_change", args=[team.pk])
    page = client.get(address)
    forms = page.context["inline_admin_formsets"][0].formset.initial_forms
    assert [form.instance.user for form in forms] == people[:2]
    list_of_all = f"{reverse('admin:accounts_user_changelist')}?memberships__team__id__exact={team.pk}"
    html = " ".join(page.content.decode().split())
    assert f'And 2 more people: <a href="{list_of_all}">' in html
    assert list(client.get(list_of_all).context["cl"].queryset.order_by("username")) == people
    shown = [Membership.objects.get(user=person) for person in people[:2]]
    sent: dict[str, Any] = {"name": team.name, "memberships-INITIAL_FORMS": 2, "memberships-TOTAL_FORMS": 2}
    for n, membership in enumerate(shown):
        sent |= row(n, membership, role="viewer") | {f"memberships-{n}-team": team.pk}
    assert client.post(address, sent).status_code == 302
    roles = dict(team.memberships.values_list("user__username", "role"))
    assert roles == {"anh": "viewer", "binh": "viewer", "chi": "operator", "dung": "operator"}


def test_a_person_of_many_teams_has_the_first_of_them_on_their_page(
    admin: User, team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("accounts.admin.memberships.MAX_SHOWN", 2)
    person = make_person(team)
    for _ in range(3):
        Membership.objects.create(user=person, team=make_team(), role=Role.VIEWER)
    page = signed_in_by_form(admin).get(reverse("admin:accounts_user_change", args=[person.pk]))
    assert len(page.context["inline_admin_formsets"][0].formset.initial_forms) == 2
    assert "And 2 more teams:" in page.content.decode()


def test_the_list_of_people_names_five_teams_of_a_person(admin: User) -> None:
    person = make_person()
    teams = [make_team(f"Team {n}") for n in range(7)]
    Membership.objects.bulk_create(Membership(user=person, team=team, role=Role.VIEWER) for team in teams)
    page = signed_in_by_form(admin).get(reverse("admin:accounts_user_changelist")).content.decode()
    assert "Team 4 (viewer), … (7)" in page
    assert "Team 6 (viewer)" not in page
