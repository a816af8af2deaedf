"""A team with its manager, rentals to export, and what an Excel file holds."""

from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from openpyxl import load_workbook
from pytest_django import Settings

from accounts.models import Role, Team, User
from rentals.models import Message, Rental, Status
from rentals.tests.factories import make_person, make_rental, make_team, make_token


@pytest.fixture(autouse=True)
def own_folder(settings: Settings, tmp_path: Path) -> None:
    settings.FILES_DIR = tmp_path


@pytest.fixture
def team() -> Team:
    return make_team()


@pytest.fixture
def manager(team: Team, client: Client) -> User:
    manager = make_person(team, Role.MANAGER)
    client.force_login(manager)
    return manager


def received(team: Team, *, code: str = "059809", text: str = "Ma: 059809", **over: Any) -> Rental:
    token = team.tokens.first() or make_token(team)
    fields: dict[str, Any] = {"team": team, "token": token, "received_at": timezone.now(), **over}
    rental = make_rental(Status.RECEIVED, **fields)
    Message.objects.create(rental=rental, at=timezone.now(), code=code, text=text, source="poll", fingerprint="x")
    return rental


def read_xlsx(body: bytes) -> list[tuple[Any, ...]]:
    """The cells of the Excel file, row by row."""
    return list(load_workbook(BytesIO(body)).active.iter_rows())
