"""Django's pages on threads, through a real server: what a WSGI server has to get right."""

import http.client
import json
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.http import FileResponse, HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from pytest_django import Settings

from pages.tests.live.server import serving
from thuesim_site.serving import wsgi_threads
from thuesim_site.serving.wsgi_threads import MAX_BODY_BYTES, Pages
from thuesim_site.testing import wait_until

LONG = bytes(range(256)) * 20_000  # 5 MB: more than the kernel keeps for a reader
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
        go_on.wait(60)
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


def long(request: HttpRequest) -> HttpResponse:
    return HttpResponse(LONG)


def long_stream(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(LONG[start : start + 10_000] for start in range(0, len(LONG), 10_000))


def file(request: HttpRequest) -> FileResponse:
    kept = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the response
    kept.write(LONG)
    kept.seek(0)
    return FileResponse(kept)


def broken_stream(request: HttpRequest) -> StreamingHttpResponse:
    def parts() -> Iterator[bytes]:
        yield b"first"
        raise RuntimeError("on purpose")

    return StreamingHttpResponse(parts())


urlpatterns = [
    path("long/", long),
    path("long-stream/", long_stream),
    path("file/", file),
    path("broken-stream/", broken_stream),
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
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    yield connection
    connection.close()


def ask(connection: http.client.HTTPConnection, method: str, path: str, **more: object) -> http.client.HTTPResponse:
    connection.request(method, path, **more)  # type: ignore[arg-type]
    return connection.getresponse()


def ask_once(port: int, path: str) -> int:
    """The status of an answer that is read whole, on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        answer = ask(connection, "GET", path)
        answer.read()
        return answer.status
    finally:
        connection.close()


@contextmanager
def unread(port: int, path: str) -> Iterator[socket.socket]:
    """Ask for a page and read the first byte of the answer alone, with the smallest window that the kernel gives."""
    with socket.socket() as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        reader.settimeout(60)
        reader.connect(("127.0.0.1", port))
        reader.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        reader.recv(1)
        yield reader


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


def test_a_refusal_of_the_api_is_a_problem_document(connection: http.client.HTTPConnection) -> None:
    headers = {"Accept-Language": "en"}
    answer = ask(connection, "POST", "/api/v1/rentals", body=b"x" * (MAX_BODY_BYTES + 1), headers=headers)
    assert (answer.status, answer.getheader("content-type")) == (413, "application/problem+json")
    assert (answer.getheader("connection"), answer.getheader("content-language")) == ("close", None)
    problem = json.loads(answer.read())
    assert (problem["code"], problem["detail"]) == ("too_large", "The request is too large.")


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
    with socket.create_connection(("127.0.0.1", port), timeout=60) as reader:
        reader.sendall(b"GET /endless/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
        reader.recv(1000)
    wait_until(stopped.is_set, "the answer has stopped")
    assert ask(connection, "GET", "/echo/").status == 200


def test_a_reader_that_does_not_read_holds_no_thread_for_long(port: int) -> None:
    with serving(Pages(WSGIHandler(), threads=1, max_unread_bytes=1_000_000)) as port, unread(port, "/endless/"):
        wait_until(stopped.is_set, "the answer has stopped")
        assert ask_once(port, "/echo/") == 200  # there is but one thread


@pytest.mark.parametrize("where", ["/long/", "/long-stream/", "/file/"])
def test_readers_that_do_not_read_hold_no_thread(port: int, connection: http.client.HTTPConnection, where: str) -> None:
    with unread(port, where), unread(port, where):
        assert ask(connection, "GET", "/echo/").status == 200  # there is but one thread


@pytest.mark.parametrize("where", ["/long/", "/long-stream/", "/file/"])
def test_a_long_answer_arrives_whole(connection: http.client.HTTPConnection, where: str) -> None:
    assert ask(connection, "GET", where).read() == LONG
    assert ask(connection, "HEAD", where).read() == b""
    assert ask(connection, "GET", "/echo/").status == 200  # the connection is still in step


def test_a_stream_that_breaks_is_not_taken_for_whole(
    connection: http.client.HTTPConnection, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
        ask(connection, "GET", "/broken-stream/").read()


def test_a_client_with_too_much_unread_is_given_no_more_until_it_reads(port: int) -> None:
    with serving(Pages(WSGIHandler(), threads=1, max_unread_bytes=len(LONG) + 1)) as port:
        with unread(port, "/long/"):
            assert ask_once(port, "/long/") == 429
            assert ask_once(port, "/echo/") == 200  # a short one is no burden
        wait_until(lambda: ask_once(port, "/long/") == 200, "what was unread is forgotten")


@pytest.mark.parametrize("function", ["os.pwrite", "tempfile.TemporaryFile"])
def test_where_the_disk_is_full_a_long_page_still_comes(
    connection: http.client.HTTPConnection, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    def no_room(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(function, no_room)
    assert ask(connection, "GET", "/long/").read() == LONG


def test_a_body_that_does_not_come_is_refused(
    port: int, connection: http.client.HTTPConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wsgi_threads, "BODY_SECONDS", 0.1)
    with socket.create_connection(("127.0.0.1", port), timeout=60) as slow:
        slow.sendall(b"POST /echo/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nx")
        answer = slow.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in answer


def test_a_body_that_is_declared_far_too_long_is_refused_before_it_comes(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=60) as sender:
        sender.sendall(b"POST /echo/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000000\r\n\r\n")
        assert sender.makefile("rb").read().startswith(b"HTTP/1.1 413 ")
