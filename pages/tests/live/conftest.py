"""The event stream, its screens and its readers, on a real web server with a real Redis."""

import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.test import Client
from django.utils import timezone

from accounts.models import Membership, Role, Team, User
from pages.live.hub import Hub
from pages.tests.live.server import pages, serving
from rentals.models import Message, Rental, Service, Status, Token
from rentals.tests.factories import EVERY_TOUR
from thuesim_site.testing import RedisServer


class Stream:
    """A browser's end of `/live/`: reads events, as `(event, data)`."""

    def __init__(self, port: int, path: str = "/live/", session: str = "", **headers: str) -> None:
        lines = [f"GET {path} HTTP/1.1", "Host: localhost", f"Cookie: sessionid={session}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.connection = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.connection.sendall("\r\n".join([*lines, "", ""]).encode())
        self._file = self.connection.makefile("rb")
        self.status = int(self._file.readline().split()[1])
        self.headers: dict[str, str] = {}
        while line := self._file.readline().strip().decode():
            name, _, value = line.partition(": ")
            self.headers[name.lower()] = value
        self._text = ""
        self.ended = False

    def next(self, seconds: float = 60, *, beats: bool = False) -> tuple[str, str]:
        """The next event, but `beats` when asked for; `("", "")` where the stream ended in order. Raises TimeoutError."""
        self.connection.settimeout(seconds)
        until = time.monotonic() + seconds
        while True:
            while "\n\n" not in self._text:
                size = int(self._file.readline(), 16)
                if size == 0:
                    self.ended = True
                    return "", ""
                self._text += self._file.read(size).decode()
                self._file.readline()
            block, _, self._text = self._text.partition("\n\n")
            fields = [line.split(": ", 1) for line in block.split("\n") if not line.startswith(":")]
            event = "".join(value for name, value in fields if name == "event")
            if event and (event != "beat" or beats):  # a block with `retry` alone is none
                return event, "\n".join(value for name, value in fields if name == "data")
            if time.monotonic() > until:  # the beats alone would keep it reading for ever
                raise TimeoutError

    def skip_to(self, event: str) -> str:
        """The data of the next `event`; others are passed over."""
        while True:
            found, data = self.next()
            assert found, f"ended before {event}"
            if found == event:
                return data

    def close(self) -> None:
        self._file.close()
        self.connection.close()


class Screens:
    """A web server with the hub, and the streams that are open."""

    def __init__(self, hub: Hub, port: int) -> None:
        self.hub, self.port = hub, port
        self.streams: list[Stream] = []

    def open(self, client: Client | None, query: str = "", **headers: str) -> Stream:
        session = client.cookies[django_settings.SESSION_COOKIE_NAME].value if client else ""
        stream = Stream(self.port, f"/live/{query}", session, **headers)
        self.streams.append(stream)
        return stream

    def watch(self, client: Client, query: str = "", **headers: str) -> Stream:
        """An open stream that has been greeted."""
        stream = self.open(client, query, **headers)
        assert stream.next() == ("hello", "live")
        return stream


@pytest.fixture
def site(real_redis: RedisServer, transactional_db: None) -> Iterator[str]:
    """The address of the pages and the stream, with the database of the test."""
    with pages(real_redis) as address:
        yield address


@pytest.fixture
def screens(real_redis: RedisServer, transactional_db: None) -> Iterator[Screens]:
    """The hub, served, with no screen open yet."""
    hub = Hub(real_redis.url)
    with serving(hub, hub) as port:
        screens = Screens(hub, port)
        yield screens
        for stream in screens.streams:
            stream.close()


@pytest.fixture
def team(transactional_db: None) -> Team:
    return Team.objects.create(name="Front")


@pytest.fixture
def other_team(transactional_db: None) -> Team:
    return Team.objects.create(name="Back")


class Browser(Client):
    """A signed-in person's browser."""

    person: User


SignIn = Callable[..., Browser]


@pytest.fixture
def sign_in(transactional_db: None) -> SignIn:
    """Makes a person with a role in a team and returns their browser."""

    def make(team: Team, role: Role = Role.OPERATOR, **fields: Any) -> Browser:
        fields = {"tours_seen": EVERY_TOUR, **fields}
        person = User.objects.create_user(f"person{User.objects.count()}", language="en", **fields)
        Membership.objects.create(user=person, team=team, role=role)
        browser = Browser()
        browser.force_login(person)
        browser.person = person
        return browser

    return make


@pytest.fixture
def make_rental(transactional_db: None) -> Callable[..., Rental]:
    def make(team: Team, *, code: str = "", **fields: Any) -> Rental:
        service, _ = Service.objects.get_or_create(sv="02", upstream_id="97", defaults={"name": "TEST"})
        token, _ = Token.objects.get_or_create(name="main", defaults={"value": "1-" + "0" * 32})
        number = Rental.objects.count()
        now = timezone.now()
        fields = {"status": Status.WAITING, "upstream_key": f"{number}", "phone": f"+8485222{number:04}"} | fields
        rental = Rental.objects.create(team=team, token=token, service=service, queued_at=now, **fields)
        if code:
            Message.objects.create(
                rental=rental, at=now, code=code, text=f"Your code is {code}", source="poll", fingerprint=code
            )
        return rental

    return make
