"""Every call of the API × scope × role × own and other team, against one table. A call that it does not name fails."""

import json
from typing import Any

import pytest
from django.db import transaction
from django.test import Client

from accounts import api_keys
from accounts.models import Role, Scope
from accounts.policy import access_for
from api.docs import document
from pages.tests.world import CODE, World
from pages.tests.world import shared_world as shared_world
from rentals.models import Status

ROLES = ("viewer", "operator", "manager", "admin")
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


@pytest.mark.django_db
@pytest.mark.parametrize("line", LINES, ids=lambda line: f"{line[0]} {line[1]}")
def test_a_call_keeps_to_the_policy(world: World, line: list[str]) -> None:
    method, path, scope, *answers = line
    expected = dict(zip(ROLES, answers[:4], strict=True))
    for role in ROLES:
        for chosen in Scope.values:
            for whose in ("own", "other"):
                status, body = _outcome(world, method, path, role, [chosen], whose)
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


def _outcome(world: World, method: str, path: str, role: str, scopes: list[str], whose: str) -> tuple[str, str]:
    """Make one request and take back what it did. Returns the status and the body."""
    things = world.things[whose]
    with transaction.atomic():
        person = world.people[role]
        if role == "viewer":
            person.memberships.update(role=Role.OPERATOR)
        key, secret = api_keys.make(person, access_for(person, team_id=world.ours.pk), name="CI", scopes=scopes)
        if role == "viewer":
            person.memberships.update(role=Role.VIEWER)
        rental = things["rental"]
        if whose == "own":
            rental.person, rental.api_key = person, key
        rental.status = Status.QUEUED if path.endswith("cancel") else Status.RECEIVED
        rental.save()
        address = "/api/v1/" + path.replace("SERVICE", things["service"].key).replace("ID", str(rental.pk))
        client = Client(headers={"Authorization": f"Bearer {secret}"})
        body: dict[str, Any] = {}
        if path == "rentals":
            body = {"service": things["service"].key, "token": things["token"].pk}
        sent = {"content_type": "application/json", "data": json.dumps(body)} if method == "POST" else {}
        answer = client.generic(method, address, **sent)  # type: ignore[arg-type]
        content = b"".join(answer) if answer.streaming else answer.content
        transaction.set_rollback(True)
    return str(answer.status_code), content.decode(errors="replace") + str(answer.headers)


@pytest.mark.django_db
def test_codes_are_read_with_both_scopes_alone(world: World) -> None:
    read = ["rentals:read", "codes:read"]
    for role, sees in (("viewer", False), ("operator", True), ("manager", True), ("admin", True)):
        for path in ("rentals/ID", "rentals", "rentals/ID/wait"):
            _status, body = _outcome(world, "GET", path, role, read, "own")
            assert (CODE in body) is sees, (role, path)
