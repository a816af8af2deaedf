"""What a monitor reads while the pages cannot answer, through a real server."""

import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from email.message import Message

import pytest
from django.contrib.auth.decorators import login_not_required
from django.core.handlers.wsgi import WSGIHandler
from django.db import OperationalError, connection
from django.http import HttpRequest, HttpResponse
from django.test.utils import CaptureQueriesContext
from django.urls import path
from pytest_django import Settings

from pages.tests.live.server import serving
from pages.views.programs import health
from thuesim_site.serving import health_responses
from thuesim_site.serving.health_responses import Health, Metrics
from thuesim_site.serving.wsgi_threads import Pages

pytestmark = pytest.mark.django_db
database_answers = threading.Event()


@login_not_required
def readyz(request: HttpRequest) -> HttpResponse:
    database_answers.wait(60)
    return HttpResponse(f"cookies: {len(request.COOKIES)}")


@login_not_required
def metrics(request: HttpRequest) -> HttpResponse:
    return HttpResponse("figures")


urlpatterns = [
    path("healthz", health.healthz),
    path("readyz", readyz),
    path("readyz/web", readyz),
    path("metrics", metrics),
]


@pytest.fixture
def port(settings: Settings) -> Iterator[int]:
    settings.ROOT_URLCONF = __name__
    database_answers.clear()
    with serving(Health(WSGIHandler())) as port:
        yield port
        database_answers.set()


def ask(port: int, path: str) -> tuple[int, str, Message]:
    """The status, the body and the headers of an answer to a client with a session's cookie."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Cookie": "sessionid=some"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read().decode(), answer.headers
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode(), error.headers


def test_healthz_is_djangos_own_answer(port: int) -> None:
    status, body, headers = ask(port, "/healthz")
    assert (status, body) == (200, "ok\n")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "no-store" in headers["Cache-Control"]


def test_healthz_asks_the_database_for_nothing(settings: Settings) -> None:
    settings.ROOT_URLCONF = __name__
    with CaptureQueriesContext(connection) as queries:
        Health(WSGIHandler())
    assert len(queries) == 0


def test_readyz_says_so_in_time_where_the_database_does_not_answer(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health_responses, "READY_SECONDS", 0.1)
    for _ in range(3):  # also while an earlier question still waits
        status, body, headers = ask(port, "/readyz")
        assert (status, body) == (503, '{"database": "down"}')
        assert headers["Retry-After"] == "5"
        assert ask(port, "/healthz")[0] == 200


def test_a_load_balancer_hears_within_its_two_seconds_that_the_database_does_not_answer(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health_responses, "READY_SECONDS", 60)
    begun = time.monotonic()
    assert ask(port, "/readyz/web")[:2] == (503, '{"database": "down"}')
    assert time.monotonic() - begun < 30, "it was READY_SECONDS that ended it"
    assert health_responses.WEB_READY_SECONDS < 2


def test_metrics_are_a_page_while_the_database_answers_and_else_503_as_soon_as_for_a_load_balancer(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.ROOT_URLCONF = __name__
    let_go, pages = threading.Event(), Pages(WSGIHandler())
    with serving(Metrics(pages)) as port:
        monkeypatch.setattr(health_responses, "WEB_READY_SECONDS", 60)
        monkeypatch.setattr(health_responses, "database_answers", lambda: True)
        assert ask(port, "/metrics")[:2] == (200, "figures")
        monkeypatch.setattr(health_responses, "database_answers", lambda: let_go.wait(60))
        monkeypatch.setattr(health_responses, "WEB_READY_SECONDS", 0.1)
        for _ in range(2):  # also while an earlier question still waits
            assert ask(port, "/metrics")[:2] == (503, '{"database": "down"}')
        let_go.set()


def test_a_database_that_refuses_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health_responses, "close_old_connections", lambda: None)  # the test's own
    assert health_responses.database_answers()

    def refuse(*_: object) -> None:
        raise OperationalError

    monkeypatch.setattr(connection, "cursor", refuse)
    assert not health_responses.database_answers()


def test_readyz_is_djangos_own_answer_to_nobody(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health_responses, "READY_SECONDS", 60)
    database_answers.set()
    assert ask(port, "/readyz")[:2] == (200, "cookies: 0")


def test_other_addresses_and_methods_are_not_for_it(settings: Settings) -> None:
    settings.ROOT_URLCONF = __name__
    answers = Health(WSGIHandler())
    assert answers.has({"path": "/readyz", "method": "HEAD"})
    assert not answers.has({"path": "/healthz", "method": "POST"})
    assert not answers.has({"path": "/", "method": "GET"})
