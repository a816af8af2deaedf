"""A person learns nothing of another team: no count, no name, not even whether something is there."""

import re
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone

from accounts.models import Role, Team, User
from accounts.policy import access_for
from pages.presenters import cards, system
from pages.tests.world import World, address_of, addresses
from pages.tests.world import world as world
from rentals.models import LedgerEntry, Rental, Status, Token, UpstreamMinute
from rentals.queries.tokens import token_lines
from rentals.tests.factories import make_person, make_rental, make_team, make_token


@pytest.fixture
def ours(db: None) -> Team:
    return make_team("Ours")


@pytest.fixture
def theirs(db: None) -> Team:
    return make_team("Secret buyers")


@pytest.fixture
def shared(ours: Team, theirs: Team) -> Token:
    token = make_token(ours, name="Shared", waiting_limit=5)
    token.teams.add(theirs)
    return token


@pytest.fixture
def manager(ours: Team) -> User:
    return make_person(ours, Role.MANAGER, username="manager")


def test_a_shared_tokens_numbers_are_counted_for_ones_own_team_alone(
    ours: Team, theirs: Team, shared: Token, manager: User
) -> None:
    for status in (Status.WAITING, Status.WAITING, Status.QUEUED):
        make_rental(status, team=theirs, token=shared)
    make_rental(Status.WAITING, team=ours, token=shared)
    [line] = token_lines(access_for(manager))
    assert (line.waiting, line.queued, line.places) == (1, 0, "1/5")


def test_a_place_in_the_queue_is_one_among_the_teams_own_orders(ours: Team, theirs: Team, shared: Token) -> None:
    for _ in range(3):
        make_rental(Status.QUEUED, team=theirs, token=shared, person=make_person(theirs))
    first, second = (make_rental(Status.QUEUED, team=ours, token=shared, person=make_person(ours)) for _ in range(2))
    access = access_for(make_person(ours))
    found = {card.rental.pk: card.place for card in cards.cards_for([first, second], access)}
    assert set(found.values()) == {1, 2}


def test_calls_with_a_shared_token_are_counted_for_admins_alone(ours: Team, shared: Token, manager: User) -> None:
    own = make_token(ours, name="Own")
    for token in (own, shared):
        UpstreamMinute.objects.create(token=token, endpoint="rent", minute=timezone.now(), calls=9)
    found = {health.token: health.endpoints for health in system.system_state(access_for(manager)).tokens}
    assert [bool(found[token]) for token in (own, shared)] == [True, False]
    admin = system.system_state(access_for(make_person(ours, is_staff=True)))
    assert all(health.endpoints for health in admin.tokens)


def test_a_line_that_another_team_booked_on_a_shared_token_names_nobody(
    theirs: Team, shared: Token, manager: User, client: Client
) -> None:
    stranger = make_person(theirs, Role.MANAGER, username="stranger")
    LedgerEntry.objects.create(
        token=shared, kind="top_up", amount=777, at=timezone.now(), note="for our big client", person=stranger
    )
    client.force_login(manager)
    page = client.get("/spend/").content.decode()
    assert "777" in page  # the balance is of all teams
    assert "stranger" not in page
    assert "big client" not in page


@pytest.mark.parametrize("name", ["Secret buyers", "secret BUYERS"])
def test_a_manager_learns_from_no_refusal_what_other_teams_are_called(
    theirs: Team, manager: User, client: Client, name: str
) -> None:
    client.force_login(manager)
    answer = client.post("/team/settings/", {"name": name})
    assert (answer.status_code, theirs.name) == (302, "Secret buyers")
    assert Team.objects.filter(name=name).exists()


def test_two_teams_of_one_person_have_different_names(theirs: Team, manager: User, client: Client) -> None:
    theirs.memberships.create(user=manager, role=Role.VIEWER)
    client.force_login(manager)
    answer = client.post("/team/settings/", {"name": "SECRET buyers"})
    assert answer.status_code == 422
    assert Team.objects.filter(name__iexact="secret buyers").count() == 1


def test_an_admin_who_sees_all_teams_gives_each_another_name(theirs: Team, admin_client: Client) -> None:
    for name in (theirs.name, theirs.name.upper()):
        assert admin_client.post("/admin/accounts/team/add/", {"name": name}).status_code == 200
    assert Team.objects.filter(name__iexact=theirs.name).count() == 1


_CHANGES = re.compile(r'nonce="[^"]*"|value="[A-Za-z0-9]{64}"|X-CSRFToken&quot;: &quot;\w+|[A-Za-z0-9]{64}|\d+')


def _answers(world: World, role: str, name: str, pattern: str, things: dict[str, Any], missing: bool) -> list[Any]:
    rental: Rental = things["rental"]
    answers = []
    address = address_of(pattern, name, things, rental)
    if missing:
        address = re.sub(r"/\d+/", "/99999999/", address)
    for method in ("get", "post"):
        client = Client(raise_request_exception=False)
        world.sign_in(client, role)
        with transaction.atomic():
            answer = getattr(client, method)(address)
            transaction.set_rollback(True)
        answers.append((answer.status_code, _CHANGES.sub("", answer.content.decode())))
    return answers


@pytest.mark.parametrize("role", ["viewer", "operator", "manager"])
def test_what_another_team_has_is_refused_like_what_is_not_there(world: World, role: str) -> None:
    differing = []
    walked = 0
    for name, patterns in addresses().items():
        for pattern in patterns:
            if name.startswith(("admin:", "service")) or "<int:pk>" not in pattern:
                continue
            walked += 1
            theirs = _answers(world, role, name, pattern, world.things["other"], missing=False)
            if theirs != _answers(world, role, name, pattern, world.things["other"], missing=True):
                differing.append(name)
    assert differing == []
    assert walked > 15
