"""Waits and event streams through a real server and a real Redis."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
import requests
from django.utils import timezone

from accounts import api_keys
from accounts.models import Team
from accounts.policy import access_for
from api.holding import Holding
from api.rate_limits import WAITS_PER_MINUTE
from api.tests.conftest import Program, make_program
from lib.web.asgi import Message as AsgiMessage
from lib.web.asgi import Receive, Send
from pages.tests.live.server import serving
from rentals import lifecycle
from rentals.models import Message, Rental, Status
from rentals.tests.factories import make_person, make_rental, make_team, make_token
from thuesim_site.serving.wsgi_threads import Pages
from thuesim_site.testing import RedisServer, wait_until
from thuesim_site.wsgi import application as django_pages

WAIT_SECONDS = 60


@dataclass
class Served:
    """The API, served, for a program of a team."""

    holding: Holding
    port: int
    program: Program
    team: Team
    rental: Rental
    asked: list[str]  # the paths that Django has answered
    streams: ExitStack = field(default_factory=ExitStack)

    def wait(self, wanted: str = "code", timeout: int = WAIT_SECONDS, **query: Any) -> requests.Response:
        """Wait as a program does."""
        return self._get(f"rentals/{self.rental.pk}/wait", {"for": wanted, "timeout": timeout, **query})

    def stream(self, **headers: str) -> Iterator[dict[str, str]]:
        """The events of an open stream, each as its fields."""
        answer = self.open_stream(**headers)
        fields: dict[str, str] = {}
        for line in answer.iter_lines(1, decode_unicode=True):
            name, _colon, value = line.partition(": ")
            if line and name:
                fields[name] = value
            elif not line:
                if "event" in fields:
                    yield fields
                fields = {}

    def open_stream(self, **headers: str) -> requests.Response:
        """An open stream, before its first event."""
        answer = self._get("events", {}, stream=True, **headers)
        self.streams.callback(answer.close)
        return answer

    def _get(self, path: str, query: dict[str, Any], *, stream: bool = False, **headers: str) -> requests.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {"Authorization": f"Bearer {self.program.secret}", **named}
        address = f"http://127.0.0.1:{self.port}/api/v1/{path}"
        return requests.get(address, query, headers=sent, stream=stream, timeout=2 * WAIT_SECONDS)

    def listen(self) -> None:
        """Return once announcements are heard. A request that is held earlier is asked for again then."""
        self.wait("number")
        wait_until(lambda: self.holding._listening, "it listens")
        self.asked.clear()

    def held(self, count: int = 1) -> None:
        """Return once so many requests are held."""
        wait_until(lambda: self.holding.count == count, f"{count} are held")


@pytest.fixture
def served(real_redis: RedisServer, transactional_db: None) -> Iterator[Served]:
    team = make_team("QA")
    person = make_person(team)
    rental = make_rental(
        Status.WAITING,
        team=team,
        person=person,
        token=make_token(team),
        expires_at=timezone.now() + timedelta(minutes=5),
    )
    pages, asked = Pages(django_pages), list[str]()

    async def noted(scope: AsgiMessage, receive: Receive, send: Send) -> None:
        await pages(scope, receive, send)
        asked.append(scope["path"])

    holding = Holding(noted, real_redis.url)
    with serving(holding, holding) as port:  # type: ignore[arg-type]  # it is stopped as a hub is
        world = Served(holding, port, make_program(person, team), team, rental, asked)
        with world.streams:
            yield world


def test_equal_waits_share_one_answer_and_no_other_key_gets_it(served: Served) -> None:
    sees = replace(served, program=make_program(served.program.key.person, served.team, ["rentals:read"]))
    served.listen()
    with ThreadPoolExecutor(6) as pool:
        waits = [pool.submit(served.wait) for _ in range(5)]
        masked = pool.submit(sees.wait)
        served.held(6)
        wait_until(lambda: len(served.asked) >= 6, "all were asked for once")
        served.asked.clear()
        _arrives(served.rental, "195829")
        assert [wait.result(60).json()["code"] for wait in waits] == ["195829"] * 5
        assert (masked.result(60).json()["masked"], masked.result(60).json()["code"]) == (True, None)
    assert len(served.asked) == 2


def _arrives(rental: Rental, code: str, number: int = 0) -> Message:
    """A message comes, and is announced as `lifecycle` does."""
    Rental.objects.filter(pk=rental.pk).update(
        status=Status.RECEIVED, received_at=timezone.now(), ended_at=timezone.now()
    )
    message = Message.objects.create(
        rental=rental, at=timezone.now(), code=code, text=f"Ma {code}", source="poll", fingerprint=f"{code}{number}"
    )
    rental.announce()
    return message


def test_a_code_that_comes_is_answered_at_once(served: Served) -> None:
    with ThreadPoolExecutor(1) as pool:
        waits = pool.submit(served.wait)
        served.held()
        began = time.monotonic()
        message = _arrives(served.rental, "195829")
        answer = waits.result(60)
    assert time.monotonic() - began < WAIT_SECONDS / 2
    body = answer.json()
    assert (answer.status_code, body["code"], body["after"]) == (200, "195829", message.pk)
    assert "desk-hold" not in {name.lower() for name in answer.headers}
    assert served.wait().json()["code"] == "195829"  # there already


def test_a_code_of_before_is_no_new_one(served: Served) -> None:
    first = _arrives(served.rental, "111111")
    with ThreadPoolExecutor(1) as pool:
        waits = pool.submit(served.wait, after=first.pk)
        served.held()
        served.rental.announce()  # something else changed
        second = _arrives(served.rental, "222222")
        body = waits.result(60).json()
    assert (body["code"] in {"111111", "222222"}, body["after"]) == (True, second.pk)
    assert "222222" in body["codes"]


def test_a_wait_that_times_out_says_how_to_go_on(served: Served) -> None:
    answer = served.wait(timeout=1)
    assert answer.headers["RateLimit-Remaining"] == str(
        WAITS_PER_MINUTE - 1
    )  # one wait, however often it was looked at
    body = answer.json()
    assert (body["timed_out"], body["ended"], body["after"], body["status"]) == (True, False, None, "waiting")


def test_a_rental_that_ends_without_a_code_ends_the_wait(served: Served) -> None:
    with ThreadPoolExecutor(1) as pool:
        waits = pool.submit(served.wait)
        served.held()
        assert lifecycle.expire(Rental.objects.get(pk=served.rental.pk))
        body = waits.result(60).json()
    assert (body["ended"], body["status"], body["reason"]["code"]) == (True, "expired", "no_code")


def test_revoking_a_key_ends_its_waits_and_streams_at_once(served: Served) -> None:
    stream = served.stream()
    with ThreadPoolExecutor(2) as pool:
        waits, events = pool.submit(served.wait), pool.submit(next, stream, None)
        served.held(2)
        key = served.program.key
        api_keys.revoke(key.person, access_for(key.person, team_id=served.team.pk), key)
        assert waits.result(60).json()["code"] == "unauthorized"
        assert events.result(60) is None


def test_a_process_that_stops_answers_its_waits(served: Served) -> None:
    with ThreadPoolExecutor(1) as pool:
        waits = pool.submit(served.wait)
        served.held()
        served.holding.stop()
        assert waits.result(60).json()["timed_out"] is True


def test_waits_end_while_redis_is_away(
    served: Served, real_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.holding.AWAY_SECONDS", 0.2)
    with ThreadPoolExecutor(1) as pool:
        waits = pool.submit(served.wait)
        served.held()
        real_redis.stop()
        try:
            _arrives(served.rental, "195829")
            assert waits.result(60).json()["code"] == "195829"
        finally:
            real_redis.start()


def test_a_client_that_leaves_is_forgotten(served: Served) -> None:
    stream = served.open_stream()
    served.held()
    stream.close()
    served.held(0)


def test_events_come_as_they_happen_and_resume_from_the_database(served: Served) -> None:
    stream = served.stream()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(next, stream)
        served.held()
        assert lifecycle.expire(Rental.objects.get(pk=served.rental.pk))
        event = first.result(60)
    data = json.loads(event["data"])
    assert data["rental"]["queued_at"] == served.wait("number").json()["queued_at"]  # times as in the other answers
    assert (event["event"], data["rental"]["id"], data["rental"]["status"]) == (
        "rental.expired",
        served.rental.pk,
        "expired",
    )
    other = make_rental(Status.WAITING, team=served.team, token=served.rental.token)
    assert lifecycle.expire(other)
    elsewhere = make_rental(Status.WAITING)  # of another team
    assert lifecycle.expire(elsewhere)
    resumed = next(served.stream(Last_Event_ID=event["id"]))
    assert json.loads(resumed["data"])["rental"]["id"] == other.pk
