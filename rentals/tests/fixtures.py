"""What the tests of the jobs share: a stand-in upstream of their own, and a team that works with it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from unittest import mock

import pytest
import time_machine
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts import audit
from accounts.models import Team, User
from rentals import enqueue, orders
from rentals.jobs import catalog, placing
from rentals.lifecycle import likely_network
from rentals.models import Rental, Service, Token
from rentals.tests.factories import make_person, make_team, make_token, signed_in
from sandbox.server import Sandbox


@dataclass
class House:
    """A team with an operator and a token on the stand-in upstream."""

    upstream: Sandbox
    team: Team
    person: User
    token: Token

    @property
    def service(self) -> Service:
        """An ordinary service at 02.97, the one of the API page's examples."""
        return Service.objects.get(sv="02", upstream_id="97")


def order(house: House, **over: object) -> Rental:
    """Take an ordinary order in the house; `over` are the fields of the order that the test is about."""
    arguments = {"person": house.person, "team": house.team, "service": house.service, **over}
    return orders.take_order(orders.Order(**arguments))  # type: ignore[arg-type]


def place(rental: Rental) -> Rental:
    """Place the next order in the queue of the rental's token, and read the rental again."""
    placing.place_next(rental.token_id)
    rental.refresh_from_db()
    return rental


@contextmanager
def later(delta: timedelta) -> Iterator[None]:
    """Let so much time pass, on the wall clock and on the monotonic one; a clock that is set moves the first alone."""
    steady = time.monotonic
    with (
        time_machine.travel(timezone.now() + delta, tick=True),
        mock.patch("time.monotonic", side_effect=lambda: steady() + delta.total_seconds()),
    ):
        yield


@pytest.fixture(autouse=True)
def _fresh_prefixes() -> None:
    likely_network.forget()


@pytest.fixture(autouse=True)
def _nothing_recorded() -> None:
    audit.forget_recorded()


@pytest.fixture
def upstream(settings: Settings) -> Iterator[Sandbox]:
    """The stand-in, without gap and without messages of its own accord."""
    with Sandbox(gap=0.0, message_after=None, refund_after=0.0) as sandbox:
        settings.THUESIM_BASE_URL = sandbox.url
        settings.THUESIM_TIMEOUT_SECONDS = 2.0
        yield sandbox


@pytest.fixture
def house(db: None, upstream: Sandbox, settings: Settings) -> House:
    settings.THUESIM_RENT_GAP_SECONDS = -0.1  # with the margin: no gap at all
    team = make_team("Support")
    person = make_person(team, username="linh")
    token = make_token(team, value=upstream.token)
    catalog.sync_catalog(token)
    return House(upstream, team, person, token)


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    """The wall clock, the sandbox's with it, which `shift` moves on."""
    with time_machine.travel(timezone.now(), tick=True) as traveller:
        yield traveller


@pytest.fixture
def admin() -> User:
    return make_person(username="admin", is_staff=True)


@pytest.fixture
def as_admin(admin: User) -> Client:
    """Signed in as an admin who is no superuser."""
    return signed_in(admin)


@pytest.fixture
def enqueued(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """The tasks that were sent, each with its id; none reaches a worker."""
    sent: list[tuple[str, int]] = []
    monkeypatch.setattr(enqueue, "put", lambda wakeup: sent.append((wakeup.task, wakeup.pk)))
    return sent
