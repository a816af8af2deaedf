"""The whole web process, through a real server."""

import contextlib
import http.client
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.urls import path
from pytest_django import Settings

from pages.tests.live.server import serving
from pages.views.programs import health
from thuesim_site.asgi import desk
from thuesim_site.middleware.static_files import StaticFilesMiddleware
from thuesim_site.testing import wait_until

pytestmark = pytest.mark.django_db
THREADS = 8
go_on = threading.Event()
stuck_threads: set[int] = set()


@login_not_required
def stuck(request: HttpRequest) -> HttpResponse:
    stuck_threads.add(threading.get_ident())
    go_on.wait(60)
    return HttpResponse("done")


@login_not_required
def page(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"{request.META['REMOTE_ADDR']} {request.scheme}")


@login_not_required
def headers(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(request.headers).lower())


urlpatterns = [path("healthz", health.healthz), path("stuck/", stuck), path("page/", page), path("headers/", headers)]


@pytest.fixture
def port(settings: Settings, tmp_path: Path) -> Iterator[int]:
    settings.ROOT_URLCONF, settings.STATIC_ROOT = __name__, tmp_path
    (tmp_path / "page.css").write_text("a {}")
    StaticFilesMiddleware(None)  # finds it
    go_on.clear()
    stuck_threads.clear()
    with serving(desk()) as port:
        yield port
        go_on.set()


def ask(port: int, path: str, **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@contextlib.contextmanager
def asking(port: int, path: str, source: str) -> Iterator[None]:
    with socket.create_connection(("127.0.0.1", port), timeout=60, source_address=(source, 0)) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        yield


def test_health_and_files_come_while_every_page_thread_is_stuck(port: int) -> None:
    with contextlib.ExitStack() as stack:
        for number in range(THREADS + 1):
            stack.enter_context(asking(port, "/stuck/", f"127.0.2.{number + 1}"))
        wait_until(lambda: len(stuck_threads) == THREADS, "every page thread is stuck")
        assert ask(port, "/healthz") == (200, b"ok\n")
        assert ask(port, "/static/page.css") == (200, b"a {}")
        go_on.set()


def test_one_address_leaves_page_threads_to_the_others(port: int) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(THREADS + 1):
            stack.enter_context(asking(port, "/stuck/", "127.0.2.1"))
        wait_until(lambda: len(stuck_threads) == THREADS // 2, "the address has its share")
        assert ask(port, "/page/") == (200, b"127.0.0.1 http")
        go_on.set()


def test_nobody_is_believed_about_their_address_unless_named_as_a_proxy(
    port: int, settings: Settings, tmp_path: Path
) -> None:
    assert ask(port, "/page/", X_Forwarded_For="192.0.2.1") == (200, b"127.0.0.1 http")
    settings.PROXIES = ["127.0.0.1"]
    with serving(desk()) as behind_proxy:
        assert ask(behind_proxy, "/page/", X_Forwarded_For="192.0.2.1") == (200, b"192.0.2.1 http")


def test_a_proxy_of_this_machine_is_believed_about_the_scheme_alone_unless_named(port: int, settings: Settings) -> None:
    claims = {"X_Forwarded_For": "192.0.2.1", "X_Forwarded_Proto": "https"}
    assert ask(port, "/page/", **claims) == (200, b"127.0.0.1 http")
    settings.SCHEME_PROXIES = ["127.0.0.1"]
    assert ask(port, "/page/", **claims) == (200, b"127.0.0.1 https")
    assert ask(port, "/page/", X_Forwarded_Proto="https, http") == (200, b"127.0.0.1 http")
    settings.SCHEME_PROXIES, settings.PROXIES = [], ["127.0.0.1"]
    with serving(desk()) as behind_proxy:
        assert ask(behind_proxy, "/page/", **claims) == (200, b"192.0.2.1 https")


def test_nobody_else_is_believed_about_the_scheme(port: int, settings: Settings) -> None:
    settings.SCHEME_PROXIES = ["127.0.0.1", "::1"]
    with socket.create_connection(("127.0.0.1", port), timeout=60, source_address=("127.0.2.1", 0)) as stranger:
        stranger.sendall(b"GET /page/ HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-Proto: https\r\n\r\n")
        answer = b""
        while b"127.0.2.1" not in answer:
            answer += stranger.recv(1000)
    assert answer.endswith(b"127.0.2.1 http")


@pytest.mark.parametrize(("version", "status"), [("1.1", b"400"), ("1.0", b"200")])
def test_a_request_that_says_not_whom_it_asks_is_refused(port: int, version: str, status: bytes) -> None:
    for where in ("/page/", "/healthz", "/live/"):
        with socket.create_connection(("127.0.0.1", port), timeout=60) as stranger:
            stranger.sendall(f"GET {where} HTTP/{version}\r\n\r\n".encode())
            assert stranger.recv(1000).split()[1] == status, where


@pytest.mark.parametrize("asked", ["/desk/page/", "/page/", "/desk/healthz", "/healthz", "/desk/static/page.css"])
def test_below_a_path_it_answers_with_the_path_and_without_it(settings: Settings, tmp_path: Path, asked: str) -> None:
    """A proxy may take the path away, and monitors ask without the proxy."""
    settings.ROOT_URLCONF, settings.STATIC_ROOT = __name__, tmp_path
    settings.FORCE_SCRIPT_NAME, settings.STATIC_URL = "/desk", "/desk/static/"
    (tmp_path / "page.css").write_text("a {}")
    StaticFilesMiddleware(None)  # finds it
    with serving(desk()) as port:
        assert ask(port, asked)[0] == 200
        assert ask(port, "/desk")[0] == 301
        assert ask(port, "/desktop/page/")[0] != 200


def test_with_a_secret_nobody_is_believed_who_does_not_send_it(port: int, settings: Settings) -> None:
    """Any program on the proxy's machine could claim an address, to be throttled by none."""
    settings.PROXIES, settings.PROXY_SECRET = ["127.0.0.1"], "a-secret-of-the-proxy"
    claims = {"X_Forwarded_For": "192.0.2.1", "X_Forwarded_Proto": "https"}
    with serving(desk()) as behind_proxy:
        assert ask(behind_proxy, "/page/", **claims) == (200, b"127.0.0.1 http")
        assert ask(behind_proxy, "/page/", **claims, X_Desk_Proxy_Secret="wrong") == (200, b"127.0.0.1 http")
        sent = {**claims, "X_Desk_Proxy_Secret": settings.PROXY_SECRET}
        assert ask(behind_proxy, "/page/", **sent) == (200, b"192.0.2.1 https")
        assert ask(behind_proxy, "/headers/", **sent)[1].find(b"secret") == -1
