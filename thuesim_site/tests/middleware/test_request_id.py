"""The id of a request, in its answer and in its log lines."""

import logging
from collections.abc import Callable

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory

from lib.log_lines import JsonLines
from thuesim_site.middleware.request_id import RequestIdMiddleware


@pytest.fixture
def logged() -> Callable[..., tuple[str, str]]:
    """Send a request with this header; return the ids of its log line and of its answer."""

    def send(**headers: str) -> tuple[str, str]:
        lines: list[str] = []

        def view(_: HttpRequest) -> HttpResponse:
            lines.append(JsonLines().format(logging.LogRecord("desk", logging.INFO, "", 0, "here", (), None)))
            return HttpResponse()

        answer = RequestIdMiddleware(view)(RequestFactory().get("/", headers=headers))
        return lines[0], answer.headers["X-Request-ID"]

    return send


def test_a_request_without_an_id_gets_one_of_its_own(logged: Callable[..., tuple[str, str]]) -> None:
    first, second = logged(), logged()
    assert first[1] != second[1]
    assert f'"request": "{first[1]}"' in first[0]


def test_the_id_of_the_proxy_is_taken(logged: Callable[..., tuple[str, str]]) -> None:
    line, answer = logged(**{"X-Request-ID": "gateway-4711.a"})
    assert answer == "gateway-4711.a"
    assert '"request": "gateway-4711.a"' in line


@pytest.mark.parametrize("given", ["", "a" * 65, "a b", 'a"b', "mã"])
def test_what_is_no_id_is_not_repeated(logged: Callable[..., tuple[str, str]], given: str) -> None:
    line, answer = logged(**{"X-Request-ID": given})
    assert answer != given
    assert f'"request": "{answer}"' in line


@pytest.mark.django_db
def test_every_answer_names_its_request() -> None:
    for path in ("/healthz", "/accounts/login/", "/no-such-page/", "/api/v1/rentals"):
        assert Client().get(path).headers["X-Request-ID"]
