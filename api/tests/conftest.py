"""A key on the stand-in upstream, and a program that calls with it."""

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.test import Client

from accounts import api_keys
from accounts.models import ApiKey, Scope, Team, User
from accounts.policy import access_for
from api.rate_limits import counter
from rentals.tests.fixtures import House


@pytest.fixture(autouse=True)
def _no_requests_so_far() -> Iterator[None]:
    counter.forget()
    yield
    counter.forget()


@dataclass
class Program:
    """Calls the API with a key."""

    key: ApiKey
    secret: str
    language: str = "en"

    def get(self, path: str, query: dict[str, Any] | None = None, **headers: str) -> Any:
        return Client().get(f"/api/v1/{path}", query, headers=self._headers(headers))

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        sent = json.dumps(body) if body is not None else ""
        return Client().post(f"/api/v1/{path}", sent, content_type="application/json", headers=self._headers(headers))

    def _headers(self, more: dict[str, str]) -> dict[str, str]:
        named = {name.replace("_", "-"): value for name, value in more.items()}
        return {"Authorization": f"Bearer {self.secret}", "Accept-Language": self.language, **named}


def make_program(person: User, team: Team, scopes: Collection[str] = tuple(Scope.values), **over: Any) -> Program:
    """Make a key for a person, and the program that has it."""
    access = access_for(person, team_id=team.pk)
    return Program(*api_keys.make(person, access, name="CI", scopes=scopes, **over))


@pytest.fixture
def program(house: House) -> Program:
    return make_program(house.person, house.team)
