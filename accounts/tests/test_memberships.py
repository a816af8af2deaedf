"""What managers do to the people of their team, without the pages: who may, what it changes, what is refused."""

from collections.abc import Callable

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.test import Client

from accounts import invitations, memberships
from accounts.audit import Action
from accounts.memberships import NotDone
from accounts.models import AuditRecord, Invitation, Membership, Role, Team, User
from accounts.policy import Access, access_for
from lib import announce
from rentals.tests.factories import make_person, make_team

pytestmark = pytest.mark.django_db


@pytest.fixture
def access(manager: User) -> Access:
    return access_for(manager)


@pytest.fixture
def announced(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The people whose open screens were told to check."""
    people: list[int] = []
    monkeypatch.setattr(announce, "person", people.append)
    return people


def own(person: User) -> Membership:
    return Membership.objects.select_related("user", "team").get(user=person)


def last_record() -> tuple[str, str, object]:
    record = AuditRecord.objects.order_by("-pk")[0]
    return record.action, record.target, record.detail


def test_a_role_is_changed_recorded_and_announced(
    manager: User, access: Access, linh: User, announced: list[int]
) -> None:
    memberships.change_role(manager, access, own(linh), Role.MANAGER)
    assert own(linh).role == Role.MANAGER
    assert last_record() == (Action.ROLE_CHANGED, f"linh #{linh.pk}", {"role": ["operator", "manager"]})
    assert announced == [linh.pk]


def test_a_role_that_stays_the_same_leaves_no_record(manager: User, access: Access, linh: User) -> None:
    memberships.change_role(manager, access, own(linh), Role.OPERATOR)
    assert not AuditRecord.objects.exists()


def test_budgets_that_change_are_saved_and_recorded_and_the_others_are_not(
    manager: User, access: Access, linh: User
) -> None:
    Membership.objects.filter(user=linh).update(budget_day=5000)
    memberships.set_budgets(manager, access, own(linh), {"budget_day": 5000, "rentals_per_day": 7})
    assert (own(linh).budget_day, own(linh).rentals_per_day) == (5000, 7)
    assert last_record() == (Action.BUDGETS_CHANGED, f"linh #{linh.pk}", {"rentals_per_day": [None, 7]})


def test_a_person_is_added_with_budgets_once(manager: User, access: Access) -> None:
    lan = make_person(username="lan")
    memberships.add(manager, access, lan, Role.VIEWER, {"budget_day": 1000, "budget_month": None})
    assert (own(lan).role, own(lan).budget_day) == (Role.VIEWER, 1000)
    assert last_record() == (Action.ADDED, f"lan #{lan.pk}", {"role": [None, "viewer"], "budget_day": [None, 1000]})
    with pytest.raises(NotDone, match="in this team already"):
        memberships.add(manager, access, lan, Role.OPERATOR)


def test_a_person_who_is_removed_takes_their_open_invitations_to_the_team_along(
    manager: User, access: Access, linh: User, team: Team
) -> None:
    elsewhere = make_team("Sales")
    for each in (team, elsewhere):
        invitations.invite(linh, each, role=Role.VIEWER)
    memberships.remove(manager, access, own(linh))
    assert not linh.memberships.exists()
    assert [invitation.team for invitation in Invitation.objects.filter(Invitation.usable())] == [elsewhere]
    assert last_record() == (Action.REMOVED, f"linh #{linh.pk}", {"role": ["operator", None]})


def test_the_last_manager_who_is_active_can_neither_step_down_nor_leave(manager: User, team: Team) -> None:
    make_person(team, Role.MANAGER, is_active=False)
    admin = make_person(username="root", is_staff=True)
    access = Access(admin.pk, True, team, Role.MANAGER)
    refused: list[Callable[[], object]] = [
        lambda: memberships.change_role(admin, access, own(manager), Role.OPERATOR),
        lambda: memberships.remove(admin, access, own(manager)),
        lambda: memberships.end_account(admin, manager),
    ]
    for act in refused:
        with pytest.raises(NotDone, match="last manager"):
            act()
    assert (own(manager).role, own(manager).user.is_active) == (Role.MANAGER, True)


def test_who_does_not_manage_the_team_does_nothing_to_its_people(manager: User, team: Team, linh: User) -> None:
    stranger = make_person(make_team("Sales"), Role.MANAGER, username="stranger")
    for by in (linh, stranger):
        access = access_for(by)
        for act in (
            lambda by=by, access=access: memberships.change_role(by, access, own(manager), Role.VIEWER),
            lambda by=by, access=access: memberships.set_budgets(by, access, own(manager), {"budget_day": 1}),
            lambda by=by, access=access: memberships.remove(by, access, own(manager)),
            lambda by=by, access=access: memberships.deactivate(by, access, manager),
            lambda by=by, access=access: memberships.sign_out(by, access, manager),
            lambda by=by, access=access: memberships.password_link(by, access, manager),
        ):
            with pytest.raises(NotDone):
                act()
    assert not AuditRecord.objects.exists()
    assert (own(manager).role, own(manager).budget_day) == (Role.MANAGER, None)


def test_an_account_is_ended_once_and_reopened_once(manager: User, access: Access, linh: User) -> None:
    memberships.deactivate(manager, access, linh)
    assert not User.objects.get(pk=linh.pk).is_active
    assert last_record() == (Action.DEACTIVATED, f"linh #{linh.pk}", {"is_active": [True, False], "sessions": 0})
    assert not memberships.end_account(manager, linh)
    memberships.activate(manager, access, linh)
    assert User.objects.get(pk=linh.pk).is_active
    assert last_record() == (Action.ACTIVATED, f"linh #{linh.pk}", {"is_active": [False, True]})
    assert not memberships.reopen_account(manager, linh)
    assert AuditRecord.objects.count() == 2


def test_nobody_ends_their_own_account(manager: User, access: Access, team: Team) -> None:
    make_person(team, Role.MANAGER)
    for act in (
        lambda: memberships.deactivate(manager, access, manager),
        lambda: memberships.end_account(manager, manager),
    ):
        with pytest.raises(NotDone, match="your own account"):
            act()


def test_sessions_end_and_are_counted(manager: User, access: Access, linh: User, announced: list[int]) -> None:
    for _ in range(2):
        client = Client()
        client.post("/accounts/login/", {"login": "linh", "password": "secret-enough"})
    announced.clear()
    assert memberships.sign_out(manager, access, linh) == 2
    assert not UserSession.objects.filter(user=linh).exists()
    assert not Session.objects.exists()
    assert last_record() == (Action.SESSIONS_ENDED, f"linh #{linh.pk}", {"sessions": 2})
    assert set(announced) == {linh.pk}


def test_a_person_who_is_no_admin_any_more_keeps_the_invitations_to_the_teams_they_manage(team: Team) -> None:
    lan, elsewhere = make_person(team, Role.MANAGER, username="lan"), make_team("Sales")
    for each in (team, elsewhere):
        invitations.invite(lan, each, role=Role.VIEWER)
    memberships.no_longer_admin(lan)
    assert [invitation.team for invitation in Invitation.objects.filter(Invitation.usable())] == [team]


def test_no_password_link_is_made_for_a_deactivated_account(manager: User, access: Access, linh: User) -> None:
    memberships.deactivate(manager, access, linh)
    linh.refresh_from_db()
    with pytest.raises(NotDone, match="deactivated"):
        memberships.password_link(manager, access, linh)
