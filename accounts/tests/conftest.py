"""A team, its manager and its operator, for the tests of who comes, leaves, and may do what."""

import pytest

from accounts.models import Role, Team, User
from rentals.tests.factories import make_person, make_team


@pytest.fixture
def team() -> Team:
    return make_team("Support")


@pytest.fixture
def manager(team: Team) -> User:
    return make_person(team, Role.MANAGER, username="boss")


@pytest.fixture
def linh(team: Team) -> User:
    return make_person(team, username="linh", email="linh@example.com")
