"""The policy's table, walked: every role × own and other team × every question."""

import re
from dataclasses import dataclass
from datetime import timedelta
from itertools import product

import pytest
from allauth.mfa.models import Authenticator
from django.utils import timezone

from accounts import audit, policy
from accounts.models import AuditRecord, Membership, Role, Team, User
from accounts.policy import Access, access_for
from rentals.models import Rental, Service, Token
from rentals.tests.factories import make_person, make_team

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
# (hand over own, hand over others', see who saw the code of own, of others')
OF_OWNERS: dict[str, tuple[bool, bool, bool, bool]] = {
    "viewer": (False, False, False, False),
    "operator": (True, False, True, False),
    "manager": (True, True, True, True),
    "admin": (True, True, True, True),
}
# Whose accounts as a whole they may act on: (a colleague's, one's who is also in another team, a superuser's, their own)
ACCOUNTS: dict[str, tuple[bool, bool, bool, bool]] = {
    "viewer": (False, False, False, False),
    "operator": (False, False, False, False),
    "manager": (True, False, False, False),
    "admin": (True, True, False, False),
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
    assert (
        access.may_hand_over(mine),
        access.may_hand_over(others),
        access.may_see_accesses(mine),
        access.may_see_accesses(others),
    ) == OF_OWNERS[role]


@pytest.mark.parametrize(("role", "shares", "own"), list(product(ROLES, [False, True], [False, True])))
def test_nobody_has_any_right_on_a_rental_of_another_team(world: World, role: str, shares: bool, own: bool) -> None:
    Team.objects.update(shares_codes=shares)
    rental = world.rental(team=world.theirs, person=world.people[role] if own else world.colleague)
    access = world.access(role)
    answers = (access.may_see(rental), access.sees_code(rental), access.may_reveal(rental), access.may_cancel(rental))
    assert answers == (False, False, False, False)
    assert (access.may_hand_over(rental), access.may_see_accesses(rental)) == (False, False)
    assert not Rental.objects.visible_to(access).exists()


@pytest.mark.parametrize("role", ROLES)
def test_each_role_has_its_rights_in_general(world: World, role: str) -> None:
    access = world.access(role)
    assert (access.may_rent, access.manages, access.may_export) == IN_GENERAL[role]
    assert access.is_admin is (role == "admin")
    assert access.may_hold_keys is access.may_rent


@pytest.mark.parametrize("role", ROLES)
def test_the_rows_that_a_person_gets_are_those_that_they_may_see(world: World, role: str) -> None:
    rentals = [world.rental(team=team, person=world.colleague) for team in (world.ours, world.theirs)]
    access = world.access(role)
    assert set(Rental.objects.visible_to(access)) == {rental for rental in rentals if access.may_see(rental)}


@pytest.mark.parametrize("role", ROLES)
def test_accounts_are_changed_by_those_who_answer_for_all_of_their_teams(world: World, role: str) -> None:
    both, above = User.objects.create(username="both"), User.objects.create(username="above", is_superuser=True)
    for person in (world.colleague, both, above):
        Membership.objects.create(user=person, team=world.ours, role=Role.OPERATOR)
    Membership.objects.create(user=both, team=world.theirs, role=Role.VIEWER)
    access = world.access(role)
    asked = (world.colleague, both, above, world.people[role])
    assert tuple(access.may_change_account(person) for person in asked) == ACCOUNTS[role]


def test_who_manages_all_teams_of_a_person_may_change_their_account(world: World) -> None:
    manager = world.people["manager"]
    for team in (world.ours, world.theirs):
        Membership.objects.create(user=world.colleague, team=team, role=Role.OPERATOR)
    Membership.objects.create(user=manager, team=world.theirs, role=Role.MANAGER)
    assert access_for(manager).may_change_account(world.colleague)


def test_a_person_of_another_team_is_out_of_a_managers_reach(world: World) -> None:
    Membership.objects.create(user=world.colleague, team=world.theirs, role=Role.OPERATOR)
    assert not world.access("manager").may_change_account(world.colleague)
    assert not world.access("manager").may_change_account(User.objects.create(username="nowhere"))


def test_an_admins_account_is_out_of_a_managers_reach(world: World) -> None:
    Membership.objects.create(user=world.people["admin"], team=world.ours, role=Role.OPERATOR)
    assert not world.access("manager").may_change_account(world.people["admin"])


def test_a_superuser_may_change_a_superusers_account(world: World) -> None:
    User.objects.filter(pk=world.people["admin"].pk).update(is_superuser=True)
    assert world.access("admin").may_change_account(User.objects.create(username="above", is_superuser=True))


@pytest.mark.parametrize(("role", "shares"), list(product(ROLES, [False, True])))
def test_codes_fade_for_all_but_their_owners(world: World, role: str, shares: bool) -> None:
    Team.objects.update(shares_codes=shares, codes_fade_minutes=10)
    mine, others = (world.rental(team=world.ours, person=p) for p in (world.people[role], world.colleague))
    now = timezone.now()
    for minutes, fresh in ((9, True), (11, False)):
        Rental.objects.update(received_at=now - timedelta(minutes=minutes))
        access, rentals = world.access(role), list(Rental.objects.order_by("pk"))
        seen = {rental for rental in rentals if access.sees_code(rental)}
        wide = OWN_TEAM[role][3] if shares else OWN_TEAM[role][2]
        assert seen == {r for r, may in ((mine, OWN_TEAM[role][1]), (others, wide and fresh)) if may}
        assert set(Rental.objects.filter(access.readable())) == seen
        assert access.may_reveal(others) is OWN_TEAM[role][4]


@pytest.mark.parametrize("role", ROLES)
def test_a_team_that_requires_two_factor_gives_nothing_to_a_person_without_it(world: World, role: str) -> None:
    Team.objects.filter(pk=world.ours.pk).update(requires_second_step=True)
    rental = world.rental(team=world.ours, person=world.people[role])
    access = world.access(role)
    assert access.needs_two_factor
    assert (access.team, access.role) == (None, None)
    assert not Rental.objects.visible_to(access).exists()
    assert not any((access.may_rent, access.manages, access.may_see(rental), access.sees_code(rental)))
    Authenticator.objects.create(user=world.people[role], type=Authenticator.Type.RECOVERY_CODES, data={})
    assert world.access(role).needs_two_factor
    Authenticator.objects.create(user=world.people[role], type=Authenticator.Type.TOTP, data={})
    assert world.access(role).team == world.ours


def test_two_factor_is_required_by_the_team_that_a_person_works_in(world: World) -> None:
    Team.objects.filter(pk=world.ours.pk).update(requires_second_step=True)
    operator = world.people["operator"]
    Membership.objects.create(user=operator, team=world.theirs, role=Role.OPERATOR)
    operator.team = world.theirs
    assert access_for(operator).may_rent
    assert policy.must_keep_two_factor(operator)
    assert not policy.must_keep_two_factor(world.colleague)


@pytest.mark.parametrize("role", ROLES)
def test_the_audit_record_of_the_team_is_read_by_those_who_manage_it(world: World, role: str) -> None:
    operator = world.people["operator"]
    in_team = audit.record("reveal", person=operator, team=world.ours)
    sign_in = audit.record("sign_in", person=operator)
    audit.record("reveal", person=operator, team=world.theirs)
    audit.record("sign_in", person=world.colleague)
    audit.record("token_change", person=operator)
    found = [record for part in world.access(role).audited() for record in AuditRecord.objects.filter(part)]
    assert len(found) == len(set(found))
    assert set(found) == ({in_team, sign_in} if role in {"manager", "admin"} else set())


@pytest.mark.parametrize("role", ROLES)
def test_tokens_are_set_up_by_admins_alone(world: World, role: str) -> None:
    assert world.access(role).holds_tokens == (role == "admin")


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
    yes = {True: "yes", False: "no"}
    for role in ROLES:
        see, own_code, others_code, shared_code, reveal, cancel_own, cancel_others = OWN_TEAM[role]
        hand_own, hand_others, accesses_own, accesses_others = OF_OWNERS[role]
        rent, manages, export = IN_GENERAL[role]
        colleague, elsewhere, _superuser, _themselves = ACCOUNTS[role]
        assert {name: cells[role] for name, cells in table.items()} == {
            "see the team's rentals": yes[see],
            "read the codes of own rentals": "yes" if own_code else "masked",
            "read the codes of others' rentals": (
                "yes" if others_code else "if the team shares" if shared_code else "masked"
            ),
            "read others' codes that faded": "masked",
            "rent, rent again": yes[rent],
            "cancel a queued order": "yes" if cancel_others else "own" if cancel_own else "no",
            "reveal a masked code (recorded)": yes[reveal],
            "hand a waiting number over": "yes" if hand_others else "own" if hand_own else "no",
            "see who saw a code": "yes" if accesses_others else "own" if accesses_own else "no",
            "export": yes[export],
            "see who is in the team": yes[see],
            "invite, change roles, budgets, settings": yes[manages],
            "book top-ups, corrections, answers": yes[manages],
            "read and export the audit log": yes[manages],
            "read what is recorded of oneself": "yes",
            "deactivate, end sessions, password link": (
                "not superusers" if elsewhere else "own team's" if colleague else "no"
            ),
            "hold API keys that act as themselves": yes[rent],
            "see and revoke others' API keys": yes[manages],
            "set tokens up, hold them": yes[role == "admin"],
        }


def test_an_admin_keeps_to_the_two_factor_rule_of_every_team_whichever_they_switch_to() -> None:
    strict, free = make_team("Strict"), make_team("Free")
    strict.requires_second_step = True
    strict.save()
    admin = make_person(username="root", is_staff=True, team=free)
    assert access_for(admin).needs_two_factor
    assert access_for(admin).team is None
    operator = make_person(free, username="linh")
    assert access_for(operator).team == free
    Authenticator.objects.create(user=admin, type=Authenticator.Type.TOTP, data={})
    assert access_for(admin).team == free
