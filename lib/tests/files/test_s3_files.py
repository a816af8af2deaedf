"""Files in a bucket, on moto's S3 server: a program of its own, spoken to over HTTP."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django.core.files.base import ContentFile

from lib.files import s3_files, shared_files
from lib.files.buckets import Bucket, Refused, Unreachable, parse_bucket
from lib.files.s3_files import S3Files


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of an S3 server; it keeps its objects in memory."""
    from moto.server import ThreadedMotoServer  # a second of loading

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(server: str, request: pytest.FixtureRequest) -> Iterator[Bucket]:
    bucket = parse_bucket(f"s3+http://key:s%2Fecret@{server}/desk-{abs(hash(request.node.name))}")
    s3_files.client(bucket).create_bucket(Bucket=bucket.name)
    s3_files._Pause.until = 0.0
    yield bucket
    s3_files.client(bucket).close()
    s3_files.client.cache_clear()
    s3_files._Pause.until = 0.0


@pytest.fixture
def files(bucket: Bucket) -> S3Files:
    return S3Files(bucket, "media")


def test_a_file_is_written_listed_read_in_parts_and_deleted(files: S3Files) -> None:
    name = files.save("calls/2026/11/5.audio", ContentFile(b"0123456789" * 20_000))
    assert name == "calls/2026/11/5.audio"
    assert files.size(name) == 200_000
    with files.open(name) as file:
        file.seek(100_003)
        assert file.read(5) == b"34567"
        file.seek(0)
        assert file.read() == b"0123456789" * 20_000
    assert files.listdir("") == (["calls"], [])
    assert files.listdir("calls/2026") == (["11"], [])
    assert files.listdir("calls/2026/11") == ([], ["5.audio"])
    [(listed, at)] = files.modified("calls/2026/11").items()
    assert listed == name
    assert abs(datetime.now(UTC) - at) < timedelta(minutes=1)
    files.delete(name)
    files.delete(name)  # which is no error
    assert not files.exists(name)
    with pytest.raises(FileNotFoundError):
        files.open(name)


def test_more_files_than_one_answer_lists(files: S3Files) -> None:
    for number in range(3):
        files.save(f"{number}.csv", ContentFile(b""))
    client = s3_files.client(files._bucket)
    pages = client.get_paginator("list_objects_v2").paginate(
        Bucket=files._bucket.name, PaginationConfig={"PageSize": 1}
    )
    assert len(list(pages)) == 3
    assert sorted(files.modified("")) == ["0.csv", "1.csv", "2.csv"]


def test_two_folders_of_a_bucket_do_not_see_each_other(files: S3Files, bucket: Bucket) -> None:
    files.save("x", ContentFile(b"media"))
    exports = S3Files(bucket, "exports")
    assert not exports.exists("x")
    assert S3Files(replace(bucket, prefix="demo/"), "media").listdir("") == ([], [])


def test_a_name_that_is_there_already_is_written_over(files: S3Files) -> None:
    files.save("x", ContentFile(b"before"))
    assert files.save("x", ContentFile(b"after")) == "x"
    with files.open("x") as file:
        assert file.read() == b"after"


def test_an_object_is_private_and_says_what_it_is(files: S3Files) -> None:
    files.save("1-a.csv", ContentFile(b"x"))
    client = s3_files.client(files._bucket)
    place = files._object("1-a.csv")
    assert client.head_object(**place)["ContentType"] == "text/csv"
    grants = client.get_object_acl(**place)["Grants"]
    assert not any("AllUsers" in str(grant) for grant in grants)


def test_a_good_bucket_passes_the_examination_and_is_left_as_it_was(bucket: Bucket) -> None:
    s3_files.examine(bucket)
    assert S3Files(bucket, "media").listdir("") == ([], [])


def test_a_bucket_that_is_not_there_is_refused(bucket: Bucket) -> None:
    with pytest.raises(Refused, match="NoSuchBucket"):
        s3_files.examine(replace(bucket, name="no-such-bucket"))


def test_a_bucket_that_anybody_may_read_is_refused(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as open_to_all:
        monkeypatch.setattr(Bucket, "shown", f"http://127.0.0.1:{open_to_all.getsockname()[1]}/desk")
        thread = threading.Thread(target=answer_once, args=(open_to_all,))
        thread.start()
        with pytest.raises(Refused, match="anybody may read"):
            s3_files.examine(bucket)
        thread.join()


def answer_once(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\ntry")


def test_a_storage_that_does_not_answer_is_asked_once_and_then_left_alone(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = S3Files(replace(bucket, endpoint="http://127.0.0.1:1"), "media")
    with pytest.raises(Unreachable, match="EndpointConnectionError"):
        away.save("x", ContentFile(b"x"))
    assert away.is_away
    with monkeypatch.context() as nobody_asks:
        nobody_asks.setattr(s3_files, "client", None)
        for ask in (
            lambda: away.open("x"),
            lambda: away.exists("x"),
            lambda: away.delete("x"),
            lambda: away.listdir(""),
        ):
            with pytest.raises(Unreachable, match="EndpointConnectionError"):
                ask()


def test_after_the_pause_it_is_asked_again(files: S3Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_files, "BACK_OFF_SECONDS", 0.0)
    s3_files._Pause.until = 0.0
    with pytest.raises(Unreachable):
        S3Files(replace(files._bucket, endpoint="http://127.0.0.1:1"), "media").exists("x")
    assert files.save("x", ContentFile(b"x")) == "x"


def test_no_key_is_in_what_is_said(bucket: Bucket) -> None:
    away = replace(bucket, endpoint="http://127.0.0.1:1")
    with pytest.raises(Unreachable) as raised:
        S3Files(away, "media").exists("x")
    said = f"{away!r} {away.shown} {raised.value!r} {shared_files.reason(raised.value)}"
    assert "ecret" not in said


def test_the_start_examines_a_bucket_before_django_is_set_up() -> None:
    """As `./run --check` does: no settings are loaded then, nor what they patch."""
    script = (
        "from lib.files import buckets, s3_files\n"
        "try: s3_files.examine(buckets.parse_bucket('s3+http://k:s@127.0.0.1:1/b'))\n"
        "except buckets.Unreachable as error: print(error)"
    )
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": ""}
    ran = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert ran.stdout == "EndpointConnectionError\n"


@pytest.mark.parametrize(
    ("url", "endpoint", "name", "prefix", "region"),
    [
        ("s3://k:s@s3.example.com/desk", "https://s3.example.com", "desk", "", "us-east-1"),
        ("s3+http://k:s@minio:9000/desk/of/team/", "http://minio:9000", "desk", "of/team/", "us-east-1"),
        ("s3://s3.eu-west-1.amazonaws.com/b?region=eu-west-1", "https://s3.eu-west-1.amazonaws.com", "b", "", "eu-west-1"),
    ],
)  # fmt: skip
def test_an_address_names_a_bucket(url: str, endpoint: str, name: str, prefix: str, region: str) -> None:
    bucket = parse_bucket(url)
    assert (bucket.endpoint, bucket.name, bucket.prefix, bucket.region) == (endpoint, name, prefix, region)


def test_keys_are_decoded() -> None:
    bucket = parse_bucket("s3://k%2B1:a%2Fb%40c@s3.example.com/desk")
    assert (bucket.key, bucket.secret) == ("k+1", "a/b@c")


@pytest.mark.parametrize(
    "url",
    [
        "https://s3.example.com/desk",
        "s3://s3.example.com",
        "s3://k@s3.example.com/desk",
        "s3://s3.example.com/b?acl=public",
    ],
)
def test_other_addresses_are_none(url: str) -> None:
    with pytest.raises(ValueError):
        parse_bucket(url)
