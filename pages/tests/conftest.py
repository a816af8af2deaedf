"""A team that rents one service at 3,000 ₫, its operator, and its manager's browser."""

import pytest
from django.test import Client

from accounts.models import Role, Team, User
from rentals.models import Service, Token
from rentals.tests.factories import make_person, make_service, make_team, make_token, signed_in


@pytest.fixture
def team(db: None) -> Team:
    return make_team("Support")


@pytest.fixture
def linh(team: Team) -> User:
    return make_person(team, username="linh")


@pytest.fixture
def token(team: Team) -> Token:
    return make_token(team)


@pytest.fixture
def service(token: Token) -> Service:
    return make_service(sv="02", upstream_id="97", price=3000)


@pytest.fixture
def as_manager(team: Team, service: Service) -> Client:
    return signed_in(make_person(team, Role.MANAGER, username="boss"))
