"""Redis at its `maxmemory`, or silent, on the whole desk: orders get their numbers and codes, and pages say so."""

import os
import signal
from collections.abc import Iterator

import pytest
import redis
import requests

from thuesim_site.start import demo, embedded_redis
from thuesim_site.testing import RunningDesk, wait_until
from thuesim_site.tests.person import Person

pytestmark = pytest.mark.alone


@pytest.fixture
def full_redis(desk: RunningDesk) -> Iterator[None]:
    with redis.Redis.from_url(embedded_redis.url(desk.data_dir / demo.FOLDER)) as client:
        client.config_set("maxmemory", 1)
        yield
        client.config_set("maxmemory", 0)
    wait_until(lambda: requests.get(f"{desk.base_url}/readyz", timeout=60).json()["redis"] == "up", "Redis is up")


@pytest.mark.usefixtures("full_redis")
def test_an_order_gets_its_number_and_its_code_while_redis_is_full(desk: RunningDesk) -> None:
    linh = Person(desk, "linh")
    before = linh.statuses().count("received")
    linh.rent()
    wait_until(lambda: linh.statuses().count("received") > before, "the code is there", 90)


@pytest.mark.usefixtures("full_redis")
def test_monitors_and_the_system_page_say_that_redis_is_full(desk: RunningDesk) -> None:
    answer = requests.get(f"{desk.base_url}/readyz", timeout=60)
    assert (answer.status_code, answer.json()["redis"]) == (200, "full")
    assert "desk_redis_takes_messages 0.0" in requests.get(f"{desk.base_url}/metrics", timeout=60).text
    assert "maxmemory" in Person(desk, "admin").get("/system/").text


def test_an_order_gets_its_number_and_its_code_while_redis_is_gone(desk: RunningDesk) -> None:
    linh = Person(desk, "linh")
    before = linh.statuses().count("received")
    with redis.Redis.from_url(embedded_redis.url(desk.data_dir / demo.FOLDER)) as client:
        server = int(client.info("server")["process_id"])
    os.kill(server, signal.SIGSTOP)  # connections stay open, and nothing answers
    try:
        linh.rent()
        wait_until(lambda: linh.statuses().count("received") > before, "the code is there", 90)
        answer = requests.get(f"{desk.base_url}/readyz", timeout=60)
        assert (answer.status_code, answer.json()["redis"]) == (200, "down")
        assert "desk_redis_takes_messages 0.0" in requests.get(f"{desk.base_url}/metrics", timeout=60).text
    finally:
        os.kill(server, signal.SIGCONT)
