"""Static files from the event loop, through a real server: as WhiteNoise serves them, and without a page thread."""

import gzip
import http.client
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings
from whitenoise.middleware import WhiteNoiseMiddleware

from pages.tests.live.server import serving
from thuesim_site.serving.static_responses import StaticFiles
from thuesim_site.tests.serving.test_wsgi_threads import unread

LONG = os.urandom(5_000_000)


@pytest.fixture
def static(settings: Settings, tmp_path: Path) -> StaticFiles:
    settings.STATIC_ROOT = tmp_path
    (tmp_path / "page.css").write_text("a {}" * 1000)
    (tmp_path / "page.css.gz").write_bytes(gzip.compress(b"a {}" * 1000))
    (tmp_path / "long.bin").write_bytes(LONG)
    return StaticFiles(WhiteNoiseMiddleware(None).files)


@pytest.fixture
def connection(static: StaticFiles) -> Iterator[http.client.HTTPConnection]:
    with serving(static) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        yield connection
        connection.close()


def ask(
    connection: http.client.HTTPConnection, method: str, path: str, **headers: str
) -> tuple[http.client.HTTPResponse, bytes]:
    connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    return answer, answer.read()


def test_a_file_arrives_whole(connection: http.client.HTTPConnection) -> None:
    answer, body = ask(connection, "GET", "/static/page.css")
    assert (answer.status, body) == (200, b"a {}" * 1000)
    assert (answer.getheader("content-type") or "").startswith("text/css")
    assert ask(connection, "GET", "/static/long.bin")[1] == LONG


def test_it_is_compressed_for_who_takes_that(connection: http.client.HTTPConnection) -> None:
    answer, body = ask(connection, "GET", "/static/page.css", Accept_Encoding="gzip")
    assert answer.getheader("content-encoding") == "gzip"
    assert gzip.decompress(body) == b"a {}" * 1000


def test_a_part_of_it_arrives(connection: http.client.HTTPConnection) -> None:
    answer, body = ask(connection, "GET", "/static/long.bin", Range="bytes=100000-199999")
    assert (answer.status, body) == (206, LONG[100_000:200_000])


def test_one_that_is_there_already_is_not_sent_again(connection: http.client.HTTPConnection) -> None:
    etag = ask(connection, "GET", "/static/page.css")[0].getheader("etag") or ""
    answer, body = ask(connection, "GET", "/static/page.css", If_None_Match=etag)
    assert (answer.status, body) == (304, b"")


def test_head_gives_no_body_and_post_is_refused(connection: http.client.HTTPConnection) -> None:
    answer, body = ask(connection, "HEAD", "/static/long.bin")
    assert (answer.status, body, answer.getheader("content-length")) == (200, b"", str(len(LONG)))
    assert ask(connection, "POST", "/static/page.css")[0].status == 405


def test_it_carries_the_headers_of_every_answer(connection: http.client.HTTPConnection) -> None:
    answer = ask(connection, "GET", "/static/page.css")[0]
    assert answer.getheader("x-content-type-options") == "nosniff"
    assert answer.getheader("cross-origin-resource-policy") == "same-origin"
    assert answer.getheader("referrer-policy") == "same-origin"
    assert "no-store" not in (answer.getheader("cache-control") or "")


def test_a_file_that_nobody_reads_keeps_no_other_from_being_read(connection: http.client.HTTPConnection) -> None:
    with unread(connection.port, "/static/long.bin"), unread(connection.port, "/static/long.bin"):
        assert ask(connection, "GET", "/static/page.css")[0].status == 200


def test_what_is_no_file_is_left_to_the_pages(static: StaticFiles) -> None:
    scope: dict[str, Any] = {"path": "/static/../settings.py", "headers": []}
    assert not static.has(scope)
    assert not static.has({**scope, "path": "/"})
    assert static.has({**scope, "path": "/static/page.css"})


def test_behind_https_a_plain_request_is_left_to_the_redirect(static: StaticFiles, settings: Settings) -> None:
    settings.SECURE_SSL_REDIRECT = True
    scope: dict[str, Any] = {"path": "/static/page.css", "headers": []}
    assert not static.has(scope)
    assert static.has({**scope, "headers": [(b"x-forwarded-proto", b"https")]})
