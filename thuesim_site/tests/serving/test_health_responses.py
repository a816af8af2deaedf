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
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.test.utils import CaptureQueriesContext
from django.urls import path
from pytest_django import Settings

from pages.tests.live.conftest import serving
from pages.views.programs import health
from thuesim_site.serving import health_responses
from thuesim_site.serving.health_responses import Health

pytestmark = pytest.mark.django_db
database_answers = threading.Event()


@login_not_required
def readyz(request: HttpRequest) -> HttpResponse:
    database_answers.wait(60)
    return HttpResponse(f"cookies: {len(request.COOKIES)}")


urlpatterns = [path("healthz", health.healthz), path("readyz", readyz), path("readyz/web", readyz)]


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


def test_readyz_is_djangos_own_answer_to_nobody(port: int) -> None:
    database_answers.set()
    assert ask(port, "/readyz")[:2] == (200, "cookies: 0")


def test_other_addresses_and_methods_are_not_for_it(settings: Settings) -> None:
    settings.ROOT_URLCONF = __name__
    answers = Health(WSGIHandler())
    assert answers.has({"path": "/readyz", "method": "HEAD"})
    assert not answers.has({"path": "/healthz", "method": "POST"})
    assert not answers.has({"path": "/", "method": "GET"})
