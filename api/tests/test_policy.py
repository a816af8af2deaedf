"""Every call of the API × scope × role × own and other team, against one table. A call that it does not name fails."""

import json
from itertools import product
from typing import Any

import pytest
from django.db import transaction
from django.test import Client

from accounts import api_keys
from accounts.models import ApiKey, Role, Scope
from accounts.policy import access_for
from api.docs import document
from pages.tests.world import CODE, World
from pages.tests.world import shared_world as shared_world
from rentals.models import Rental, Status

pytestmark = pytest.mark.one_database

ROLES = ("viewer", "operator", "manager", "admin")
PROGRAM = Client()
READ = (Scope.RENTALS_READ.value, Scope.CODES_READ.value)
Keys = dict[tuple[str, tuple[str, ...]], tuple[ApiKey, str]]  # by role and scopes: the key and its secret
# By call: the scope that it needs (- for any), then what happens with what is the own team's, by the role that the key's
# person has now (a viewer made the key as an operator), and with another team's.
POLICY = """
GET  me                  -             200 200 200 200 | 200
GET  services            catalog:read  200 200 200 200 | 200
GET  services/SERVICE    catalog:read  200 200 200 200 | 200
GET  networks            catalog:read  200 200 200 200 | 200
GET  tokens              balance:read  200 200 200 200 | 200
POST rentals             rentals:write 403 201 201 201 | 422
GET  rentals             rentals:read  200 200 200 200 | 200
GET  rentals/ID          rentals:read  200 200 200 200 | 404
GET  rentals/ID/wait     rentals:read  200 200 200 200 | 404
POST rentals/ID/cancel   rentals:write 403 200 200 200 | 404
POST rentals/ID/again    rentals:write 403 201 201 201 | 404
POST rentals/ID/check    rentals:write 403 200 200 200 | 404
GET  rentals/ID/audio    codes:read    404 200 200 200 | 404
GET  events              rentals:read  200 200 200 200 | 200
"""
LINES = [line.replace("|", "").split() for line in POLICY.strip().splitlines()]


def test_the_table_names_every_call() -> None:
    calls = {
        f"{method.upper()} {path.removeprefix('/api/v1/')}".replace("{rental_id}", "ID").replace(
            "{service_id}", "SERVICE"
        )
        for path, methods in document()["paths"].items()
        for method in methods
    }
    assert {f"{line[0]} {line[1]}" for line in LINES} == calls


@pytest.fixture(scope="module")
def keys(world: World) -> Keys:
    """One key per role and set of scopes. A viewer made it as an operator."""
    people, keys = world.people, Keys()
    for role, scopes in product(ROLES, [*((scope,) for scope in Scope.values), READ]):
        people["viewer"].memberships.update(role=Role.OPERATOR)
        access = access_for(people[role], team_id=world.ours.pk)
        keys[role, scopes] = api_keys.make(people[role], access, name="CI", scopes=scopes)
        people["viewer"].memberships.update(role=Role.VIEWER)
    return keys


@pytest.mark.django_db
@pytest.mark.parametrize("line", LINES, ids=lambda line: f"{line[0]} {line[1]}")
def test_a_call_keeps_to_the_policy(world: World, keys: Keys, line: list[str]) -> None:
    method, path, scope, *answers = line
    expected = dict(zip(ROLES, answers[:4], strict=True))
    for role in ROLES:
        for chosen in Scope.values:
            for whose in ("own", "other"):
                status, body = _outcome(world, keys[role, (chosen,)], method, path, whose)
                allowed = scope in {"-", chosen}
                # A role that may not rent is refused before the other team's rental is looked for, or after: never done.
                wanted = ({expected[role]} if whose == "own" else {answers[4], "403"}) if allowed else {"403"}
                if whose == "other" and expected[role] != "403":
                    wanted -= {"403"} if allowed else set()
                assert status in wanted, (role, chosen, whose, status, body)
                assert "Theirs" not in body
                assert "other-" not in body
                if chosen != Scope.CODES_READ:
                    assert CODE not in body


def _outcome(world: World, key: tuple[ApiKey, str], method: str, path: str, whose: str) -> tuple[str, str]:
    """Make one request and take back what it did. Returns the status and the body."""
    things, (api_key, secret) = world.things[whose], key
    rental = things["rental"]
    stands: dict[str, Any] = {"person": api_key.person, "api_key": api_key} if whose == "own" else {}
    stands["status"] = Status.QUEUED if path.endswith("cancel") else Status.RECEIVED
    with transaction.atomic():
        Rental.objects.filter(pk=rental.pk).update(**stands)
        address = "/api/v1/" + path.replace("SERVICE", things["service"].key).replace("ID", str(rental.pk))
        body: dict[str, Any] = {}
        if path == "rentals":
            body = {"service": things["service"].key, "token": things["token"].pk}
        sent = {"content_type": "application/json", "data": json.dumps(body)} if method == "POST" else {}
        answer = PROGRAM.generic(method, address, headers={"Authorization": f"Bearer {secret}"}, **sent)  # type: ignore[arg-type]
        content = b"".join(answer) if answer.streaming else answer.content
        transaction.set_rollback(True)
    return str(answer.status_code), content.decode(errors="replace") + str(answer.headers)


@pytest.mark.django_db
def test_codes_are_read_with_both_scopes_alone(world: World, keys: Keys) -> None:
    for role, sees in (("viewer", False), ("operator", True), ("manager", True), ("admin", True)):
        for path in ("rentals/ID", "rentals", "rentals/ID/wait"):
            _status, body = _outcome(world, keys[role, READ], "GET", path, "own")
            assert (CODE in body) is sees, (role, path)
