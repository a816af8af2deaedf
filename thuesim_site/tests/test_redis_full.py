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
def full_redis(running_desk: RunningDesk) -> Iterator[None]:
    with redis.Redis.from_url(embedded_redis.url(running_desk.data_dir / demo.FOLDER)) as client:
        client.config_set("maxmemory", 1)
        yield
        client.config_set("maxmemory", 0)
    wait_until(lambda: readiness(running_desk) == (200, "up"), "Redis is up")


def readiness(desk: RunningDesk) -> tuple[int, str]:
    answer = requests.get(f"{desk.base_url}/readyz", timeout=60)
    return answer.status_code, answer.json().get("redis", "")


def takes_no_messages(desk: RunningDesk) -> bool:
    return "desk_redis_takes_messages 0.0" in requests.get(f"{desk.base_url}/metrics", timeout=60).text


@pytest.mark.usefixtures("full_redis")
def test_an_order_gets_its_number_and_its_code_while_redis_is_full(running_desk: RunningDesk) -> None:
    linh = Person(running_desk, "linh")
    before = linh.statuses().count("received")
    linh.rent()
    linh.wait_until(lambda: linh.statuses().count("received") > before, "the code is there")


@pytest.mark.usefixtures("full_redis")
def test_monitors_and_the_system_page_say_that_redis_is_full(running_desk: RunningDesk) -> None:
    # A machine that stands still for a second or two answers a monitor in time all the same: not ready.
    wait_until(lambda: readiness(running_desk) == (200, "full"), "/readyz says that it is full")
    wait_until(lambda: takes_no_messages(running_desk), "/metrics says so")
    assert "maxmemory" in Person(running_desk, "admin").get("/system/").text


def test_an_order_gets_its_number_and_its_code_while_redis_is_gone(running_desk: RunningDesk) -> None:
    linh = Person(running_desk, "linh")
    before = linh.statuses().count("received")
    with redis.Redis.from_url(embedded_redis.url(running_desk.data_dir / demo.FOLDER)) as client:
        server = int(client.info("server")["process_id"])
    os.kill(server, signal.SIGSTOP)  # connections stay open, and nothing answers
    try:
        linh.rent()
        linh.wait_until(lambda: linh.statuses().count("received") > before, "the code is there")
        wait_until(lambda: readiness(running_desk) == (200, "down"), "/readyz says that it is away")
        wait_until(lambda: takes_no_messages(running_desk), "/metrics says so")
    finally:
        os.kill(server, signal.SIGCONT)
