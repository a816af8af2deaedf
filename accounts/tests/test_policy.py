"""The policy's table, walked: every role × own and other team × every question."""

import re
from dataclasses import dataclass
from itertools import product

import pytest
from django.utils import timezone

from accounts import policy
from accounts.models import Membership, Role, Team, User
from accounts.policy import Access, access_for
from rentals.models import Rental, Service, Token

pytestmark = pytest.mark.django_db

# Who asks, and about whose rental, in words of the table. An admin is a member of no team here.
ROLES = ("viewer", "operator", "manager", "admin")


@dataclass(frozen=True)
class World:
    ours: Team
    theirs: Team
    people: dict[str, User]
    colleague: User
    service: Service
    token: Token

    def access(self, role: str) -> Access:
        return access_for(User.objects.get(pk=self.people[role].pk))

    def rental(self, *, team: Team, person: User) -> Rental:
        return Rental.objects.create(
            team=team, person=person, token=self.token, service=self.service, queued_at=timezone.now()
        )


@pytest.fixture
def world() -> World:
    ours, theirs = Team.objects.create(name="Ours"), Team.objects.create(name="Theirs")
    people = {role: User.objects.create(username=role, is_staff=role == "admin", team=ours) for role in ROLES}
    for role in Role:
        Membership.objects.create(user=people[role], team=ours, role=role)
    return World(
        ours=ours,
        theirs=theirs,
        people=people,
        colleague=User.objects.create(username="colleague"),
        service=Service.objects.create(sv="02", upstream_id="97", name="Test", search_name="test"),
        token=Token.objects.create(name="Main", value="123-0123456789abcdef0123456789abea57"),
    )


# (may see, code of own, code of others, code of others where the team shares, may reveal, cancel own, cancel others')
OWN_TEAM: dict[str, tuple[bool, bool, bool, bool, bool, bool, bool]] = {
    "viewer": (True, False, False, False, False, False, False),
    "operator": (True, True, False, True, True, True, False),
    "manager": (True, True, True, True, True, True, True),
    "admin": (True, True, True, True, True, True, True),
}
# (may rent, manages, may export)
IN_GENERAL: dict[str, tuple[bool, bool, bool]] = {
    "viewer": (False, False, False),
    "operator": (True, False, False),
    "manager": (True, True, True),
    "admin": (True, True, True),
}


@pytest.mark.parametrize("role", ROLES)
def test_each_role_has_its_rights_on_the_rentals_of_its_own_team(world: World, role: str) -> None:
    mine = world.rental(team=world.ours, person=world.people[role])
    others = world.rental(team=world.ours, person=world.colleague)
    access = world.access(role)
    world.ours.shares_codes = True
    world.ours.save()
    shared = world.access(role)
    for seen_by in (access, shared):
        readable = set(Rental.objects.filter(seen_by.readable()))
        assert readable == {rental for rental in (mine, others) if seen_by.sees_code(rental)}
    assert access.may_see(mine) is access.may_see(others)
    assert access.may_reveal(mine) is access.may_reveal(others)
    assert (
        access.may_see(others),
        access.sees_code(mine),
        access.sees_code(others),
        shared.sees_code(others),
        access.may_reveal(others),
        access.may_cancel(mine),
        access.may_cancel(others),
    ) == OWN_TEAM[role]


@pytest.mark.parametrize(("role", "shares", "own"), list(product(ROLES, [False, True], [False, True])))
def test_nobody_has_any_right_on_a_rental_of_another_team(world: World, role: str, shares: bool, own: bool) -> None:
    Team.objects.update(shares_codes=shares)
    rental = world.rental(team=world.theirs, person=world.people[role] if own else world.colleague)
    access = world.access(role)
    answers = (access.may_see(rental), access.sees_code(rental), access.may_reveal(rental), access.may_cancel(rental))
    assert answers == (False, False, False, False)
    assert not Rental.objects.visible_to(access).exists()


@pytest.mark.parametrize("role", ROLES)
def test_each_role_has_its_rights_in_general(world: World, role: str) -> None:
    access = world.access(role)
    assert (access.may_rent, access.manages, access.may_export) == IN_GENERAL[role]
    assert access.is_admin is (role == "admin")


@pytest.mark.parametrize("role", ROLES)
def test_the_rows_that_a_person_gets_are_those_that_they_may_see(world: World, role: str) -> None:
    rentals = [world.rental(team=team, person=world.colleague) for team in (world.ours, world.theirs)]
    access = world.access(role)
    assert set(Rental.objects.visible_to(access)) == {rental for rental in rentals if access.may_see(rental)}


def test_an_admin_works_in_any_team_they_switch_to(world: World) -> None:
    world.people["admin"].team = world.theirs
    access = access_for(world.people["admin"])
    assert access.manages
    assert access.may_see(world.rental(team=world.theirs, person=world.colleague))
    assert set(access.teams) == {world.ours, world.theirs}


def test_a_team_that_a_person_is_no_member_of_any_more_is_not_theirs(world: World) -> None:
    Membership.objects.filter(user=world.people["operator"]).delete()
    access = world.access("operator")
    assert (access.team, access.role, access.teams) == (None, None, ())


def test_a_person_without_a_team_sees_nothing(world: World) -> None:
    world.rental(team=world.ours, person=world.colleague)
    access = access_for(world.colleague)
    assert (access.may_rent, access.manages, access.may_export) == (False, False, False)
    assert not Rental.objects.visible_to(access).exists()


def test_roles_are_of_the_team_that_the_person_is_working_in(world: World) -> None:
    operator = world.people["operator"]
    Membership.objects.create(user=operator, team=world.theirs, role=Role.VIEWER)
    assert access_for(operator).may_rent
    operator.team = world.theirs
    assert not access_for(operator).may_rent


@pytest.mark.parametrize("role", ROLES)
def test_a_deactivated_person_may_do_nothing(world: World, role: str) -> None:
    person = world.people[role]
    rental = world.rental(team=world.ours, person=person)
    person.is_active = False
    access = access_for(person)
    in_general = (access.may_rent, access.manages, access.may_export, access.is_admin)
    on_a_rental = (access.may_reveal(rental), access.may_cancel(rental), access.sees_code(rental))
    assert not any((*in_general, *on_a_rental))
    assert not Rental.objects.visible_to(access).exists()


def test_the_answers_here_are_those_of_the_table_in_the_policy() -> None:
    rows = [
        [cell.strip() for cell in line.strip().strip("|").split("|")]
        for line in (policy.__doc__ or "").splitlines()
        if line.startswith("|") and not re.match(r"\|[-|]+$", line)
    ]
    table = {name: dict(zip(ROLES, cells, strict=True)) for name, *cells in rows[1:]}
    assert set(table) >= {
        "see the team's rentals",
        "read the codes of own rentals",
        "read the codes of others' rentals",
        "rent, rent again",
        "cancel a queued order",
        "reveal a masked code (recorded)",
        "export",
    }
    for role in ROLES:
        see, own_code, others_code, shared_code, reveal, cancel_own, cancel_others = OWN_TEAM[role]
        rent, _, export = IN_GENERAL[role]
        yes = {True: "yes", False: "no"}
        assert table["see the team's rentals"][role] == yes[see]
        assert table["read the codes of own rentals"][role] == ("yes" if own_code else "masked")
        assert table["read the codes of others' rentals"][role] == (
            "yes" if others_code else "if the team shares" if shared_code else "masked"
        )
        assert table["rent, rent again"][role] == yes[rent]
        assert table["cancel a queued order"][role] == ("yes" if cancel_others else "own" if cancel_own else "no")
        assert table["reveal a masked code (recorded)"][role] == yes[reveal]
        assert table["export"][role] == yes[export]
