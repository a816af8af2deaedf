"""Django's pages on threads, through a real server: what a WSGI server has to get right."""

import http.client
import json
import socket
import threading
from collections.abc import Iterator

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from pytest_django import Settings

from pages.tests.live.conftest import serving
from thuesim_site import wsgi_threads
from thuesim_site.testing import wait_until
from thuesim_site.wsgi_threads import MAX_BODY_BYTES, Pages

go_on = threading.Event()
stopped = threading.Event()


@csrf_exempt
def echo(request: HttpRequest, rest: str = "") -> HttpResponse:
    meta = {name: value for name, value in request.META.items() if isinstance(value, str)}
    said = {"path": request.path, "query": request.GET, "body": request.body.decode(), "meta": meta}
    return JsonResponse({**said, "secure": request.is_secure()})


def broken(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("on purpose")


def streamed(request: HttpRequest) -> StreamingHttpResponse:
    def parts() -> Iterator[bytes]:
        yield b"first"
        go_on.wait(10)
        yield b"second"

    return StreamingHttpResponse(parts())


def endless(request: HttpRequest) -> StreamingHttpResponse:
    def parts() -> Iterator[bytes]:
        try:
            while True:
                yield b"x" * 65536
        finally:
            stopped.set()

    return StreamingHttpResponse(parts())


urlpatterns = [
    path("echo/<path:rest>", echo),
    path("echo/", echo),
    path("broken/", broken),
    path("streamed/", streamed),
    path("endless/", endless),
]


@pytest.fixture
def port(settings: Settings) -> Iterator[int]:
    settings.ROOT_URLCONF = __name__
    settings.MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]  # sets the length
    go_on.clear()
    stopped.clear()
    with serving(Pages(WSGIHandler(), threads=1)) as port:
        yield port


@pytest.fixture
def connection(port: int) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    yield connection
    connection.close()


def ask(connection: http.client.HTTPConnection, method: str, path: str, **more: object) -> http.client.HTTPResponse:
    connection.request(method, path, **more)  # type: ignore[arg-type]
    return connection.getresponse()


def test_the_request_arrives_whole(connection: http.client.HTTPConnection) -> None:
    headers = {"X-Some": "thing", "Cookie": "a=1"}
    said = json.loads(ask(connection, "GET", "/echo/s%E1%BB%91?q=%C4%91&q2=a+b", headers=headers).read())
    assert said["path"] == "/echo/số"
    assert said["query"] == {"q": "đ", "q2": "a b"}
    assert said["meta"]["HTTP_X_SOME"] == "thing"
    assert said["meta"]["HTTP_COOKIE"] == "a=1"
    assert said["meta"]["REMOTE_ADDR"] == "127.0.0.1"
    assert said["secure"] is False


def test_a_header_spelt_with_an_underscore_cannot_pass_for_another(connection: http.client.HTTPConnection) -> None:
    said = json.loads(ask(connection, "GET", "/echo/", headers={"X_Forwarded_Proto": "https"}).read())
    assert "HTTP_X_FORWARDED_PROTO" not in said["meta"]


@pytest.mark.parametrize("pieces", [False, True])
def test_a_body_arrives_whole_with_or_without_a_length(connection: http.client.HTTPConnection, pieces: bool) -> None:
    text = "số " * 20_000
    body = iter([text.encode()[:70_000], text.encode()[70_000:]]) if pieces else text.encode()
    assert json.loads(ask(connection, "POST", "/echo/", body=body).read())["body"] == text


def test_a_body_beyond_all_measure_is_refused(connection: http.client.HTTPConnection) -> None:
    answer = ask(connection, "POST", "/echo/", body=b"x" * (MAX_BODY_BYTES + 1))
    assert answer.status == 413
    assert answer.getheader("connection") == "close"


def test_a_slow_sender_holds_no_thread(port: int, connection: http.client.HTTPConnection) -> None:
    with socket.create_connection(("127.0.0.1", port)) as slow:
        slow.sendall(b"POST /echo/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nx")
        assert ask(connection, "GET", "/echo/").status == 200  # there is but one thread


def test_head_gives_the_length_and_no_body(connection: http.client.HTTPConnection) -> None:
    answer = ask(connection, "HEAD", "/echo/")
    assert answer.status == 200
    assert int(answer.getheader("content-length") or 0) > 0
    assert answer.read() == b""
    assert ask(connection, "GET", "/echo/").status == 200  # the connection is still in step


def test_a_broken_page_is_djangos_500_and_the_next_one_works(
    connection: http.client.HTTPConnection, caplog: pytest.LogCaptureFixture
) -> None:
    answer = ask(connection, "GET", "/broken/")
    assert answer.status == 500
    answer.read()
    assert ask(connection, "GET", "/echo/").status == 200


def test_a_streamed_answer_is_sent_as_it_is_made(connection: http.client.HTTPConnection) -> None:
    answer = ask(connection, "GET", "/streamed/")
    assert answer.read(5) == b"first"
    go_on.set()
    assert answer.read() == b"second"


def test_a_reader_that_leaves_stops_what_is_made_for_it(port: int, connection: http.client.HTTPConnection) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as reader:
        reader.sendall(b"GET /endless/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
        reader.recv(1000)
    wait_until(stopped.is_set, "the answer has stopped")
    assert ask(connection, "GET", "/echo/").status == 200


def test_a_reader_that_does_not_read_holds_no_thread_for_long(
    port: int, connection: http.client.HTTPConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wsgi_threads, "MAX_READER_SECONDS", 0.2)
    with socket.create_connection(("127.0.0.1", port)) as idle:
        idle.sendall(b"GET /endless/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
        wait_until(stopped.is_set, "the answer has stopped")
        assert ask(connection, "GET", "/echo/").status == 200  # there is but one thread
