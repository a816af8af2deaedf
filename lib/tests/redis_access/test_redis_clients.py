"""Clients of one Redis, and of the master that Sentinels know."""

import asyncio
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from kombu import Connection

from lib import announcement_listener
from lib.announce import CHANNEL
from lib.redis_access import redis_clients
from lib.redis_access.redis_address import sentinels
from thuesim_site.start.addresses import celery_options, celery_url
from thuesim_site.start.embedded_redis import find_server
from thuesim_site.testing import free_port, wait_until


def test_an_address_names_sentinels_their_master_and_both_logins() -> None:
    found = sentinels("redis+sentinel://desk:p%40ss@s1:26380,s2,[::1]:7/mymaster/3?sentinel_password=own")
    assert found is not None
    assert found.hosts == [("s1", 26380), ("s2", 26379), ("::1", 7)]
    assert (found.master, found.database) == ("mymaster", 3)
    assert (found.login, found.own_login) == ({"username": "desk", "password": "p@ss"}, {"password": "own"})


def test_one_server_is_no_sentinel() -> None:
    assert sentinels("redis://s1:6379/0") is None
    assert celery_options("redis://s1:6379/0") == {}


def test_celery_is_given_each_sentinel() -> None:
    url = "redis+sentinel://desk:p%40ss@s1,[::1]:7/mymaster/3"
    assert celery_url(url) == "sentinel://desk:p%40ss@s1:26379/3;sentinel://desk:p%40ss@[::1]:7/3"
    assert celery_options(url)["master_name"] == "mymaster"


@pytest.mark.parametrize("query", ["", "?ssl_ca_certs=/etc/desk/ca.pem"])
def test_celery_takes_no_certificate_that_nobody_vouches_for(query: str) -> None:
    options = Connection(celery_url(f"rediss://redis.example:6379/0{query}")).ssl
    assert isinstance(options, dict)
    assert options["ssl_cert_reqs"] == ssl.CERT_REQUIRED


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a master by one Sentinel that knows it, behind one that is not there."""
    folder, server = tmp_path_factory.mktemp("sentinel"), find_server()
    assert server is not None
    port, sentinel_port = free_port(), free_port()
    (folder / "sentinel.conf").write_text(
        f"bind 127.0.0.1\nport {sentinel_port}\ndir {folder}\nsentinel monitor desk 127.0.0.1 {port} 1\n"
    )
    commands = [["--port", str(port), "--bind", "127.0.0.1", "--save", ""], ["sentinel.conf", "--sentinel"]]
    started = [subprocess.Popen([server, *command], cwd=folder, stdout=subprocess.DEVNULL) for command in commands]
    url = f"redis+sentinel://127.0.0.1:{free_port()},127.0.0.1:{sentinel_port}/desk/1"
    try:
        wait_until(lambda: _answers(url), "the master is found")
        yield url
    finally:
        for process in started:
            process.kill()
            process.wait()


def _answers(url: str) -> bool:
    try:
        with redis_clients.client(url) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def test_the_master_that_sentinel_knows_takes_what_is_said_and_hands_it_on(watched: str) -> None:
    async def hear() -> bytes:
        async for message in announcement_listener.messages(watched):
            if message["type"] == "message":
                return bytes(message["data"])
            with redis_clients.client(watched) as client:
                client.publish(CHANNEL, "hello")
        raise AssertionError("the subscription ended")

    assert asyncio.run(asyncio.wait_for(hear(), 60)) == b"hello"


def test_celery_sends_to_the_master_that_sentinel_knows(watched: str) -> None:
    with Connection(celery_url(watched), transport_options=celery_options(watched)) as broker:
        broker.SimpleQueue("probe").put({"said": 1})
    with redis_clients.client(watched) as client:
        assert client.llen("probe") == 1


def test_a_redis_that_falls_silent_is_gone_after_two_silences(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(announcement_listener, "SILENCE_SECONDS", 0.2)

    def subscribe_only() -> None:
        with silent.accept()[0] as client:
            while data := client.recv(4096):
                if b"SUBSCRIBE" in data:
                    client.sendall(b"*3\r\n$9\r\nsubscribe\r\n$%d\r\n%s\r\n:1\r\n" % (len(CHANNEL), CHANNEL.encode()))
                elif b"PING" not in data:
                    client.sendall(b"+OK\r\n" * data.count(b"*"))

    async def listen() -> None:
        async for _ in announcement_listener.messages(f"redis://127.0.0.1:{silent.getsockname()[1]}/0?protocol=2"):
            pass

    with socket.create_server(("127.0.0.1", 0)) as silent:
        threading.Thread(target=subscribe_only, daemon=True).start()
        with pytest.raises(redis.ConnectionError, match="no answer"):
            asyncio.run(asyncio.wait_for(listen(), 60))
