"""One Idempotency-Key orders once: under equal requests at once, and whichever process dies in between."""

import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
import requests
from django.conf import settings
from django.db import connection

from accounts.models import OneTimeKey
from api.tests.conftest import Program
from pages.tests.live.server import serving
from rentals.jobs import placing, reconciling
from rentals.models import Rental, Status
from rentals.tests.factories import make_rental
from rentals.tests.fixtures import House, later
from thuesim_desk import Desk, IdempotencyMismatch
from thuesim_site.serving.wsgi_threads import Pages
from thuesim_site.wsgi import application as django_pages

pytestmark = pytest.mark.django_db(transaction=True)

AT_ONCE = 10
ORDER = {"service": "02.97", "purpose": "sign-up"}
# What each child process begins with: the tests' database and their stand-in upstream.
CHILD = """
import os, signal, sys
from django.conf import settings
settings.DATABASES["default"]["NAME"] = sys.argv[1]
settings.THUESIM_BASE_URL, settings.THUESIM_RENT_GAP_SECONDS = sys.argv[2], -0.1
import django
django.setup()
def die(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)
"""
SERVE = """
import uvicorn
from thuesim_site.wsgi import application
from thuesim_site.serving.wsgi_threads import Pages
uvicorn.run(Pages(application), fd=int(sys.argv[3]), lifespan="off", log_level="error")
"""
# The first that is done once the order is committed.
KILLED_AFTER_THE_COMMIT = "from rentals import enqueue; enqueue.place = die\n"
PLACE = """
import thuesim
from rentals.jobs import placing
rent = thuesim.Client.rent
thuesim.Client.rent = lambda *args, **kwargs: (rent(*args, **kwargs), die())
placing.place_next(int(sys.argv[3]))
"""


def _child(house: House, code: str, argument: int, *, inherits: tuple[int, ...] = ()) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", CHILD + code, str(connection.settings_dict["NAME"]), house.upstream.url]
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "thuesim_site.settings_test"}
    return subprocess.Popen(
        [*command, str(argument)], cwd=settings.BASE_DIR, env=environment, pass_fds=inherits, stderr=subprocess.PIPE
    )


@contextmanager
def _listening() -> Iterator[tuple[str, int]]:
    """An address that web processes serve one after the other: it, and the descriptor of its socket."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", listener.fileno()


def _at_once(program: Program, path: str, bodies: list[dict[str, Any]]) -> list[requests.Response]:
    """Send these to a live server in the same instant, all with one Idempotency-Key."""
    start = Barrier(len(bodies))
    headers = {"Authorization": f"Bearer {program.secret}", "Idempotency-Key": "one"}

    def send(body: dict[str, Any]) -> requests.Response:
        start.wait(30)
        return requests.post(f"http://127.0.0.1:{port}/api/v1/{path}", json=body, headers=headers, timeout=60)

    with serving(Pages(django_pages)) as port, ThreadPoolExecutor(len(bodies)) as pool:
        return list(pool.map(send, bodies))


def test_ten_equal_orders_at_once_are_one_and_all_get_it(program: Program) -> None:
    answers = _at_once(program, "rentals", [ORDER] * AT_ONCE)
    assert [answer.status_code for answer in answers] == [201] * AT_ONCE, [answer.text for answer in answers]
    rental = Rental.objects.get()
    assert {answer.json()["id"] for answer in answers} == {rental.pk}
    assert Counter(answer.headers.get("Idempotency-Replayed") for answer in answers) == {None: 1, "true": AT_ONCE - 1}
    assert OneTimeKey.objects.count() == 1


def test_ten_equal_orders_of_the_same_number_again_are_one(program: Program, house: House) -> None:
    earlier = make_rental(
        Status.EXPIRED, team=house.team, person=house.person, token=house.token, service=house.service
    )
    answers = _at_once(program, f"rentals/{earlier.pk}/again", [{"max_price": 90_000}] * AT_ONCE)
    assert [answer.status_code for answer in answers] == [201] * AT_ONCE, [answer.text for answer in answers]
    assert {answer.json()["id"] for answer in answers} == {Rental.objects.get(again_of=earlier).pk}


def test_of_two_orders_at_once_with_one_key_one_is_taken_and_the_other_is_told(program: Program) -> None:
    other = {**ORDER, "purpose": "sign-in"}
    answers = _at_once(program, "rentals", [ORDER, other] * (AT_ONCE // 2))
    rental = Rental.objects.get()
    for body, answer in zip([ORDER, other] * (AT_ONCE // 2), answers, strict=True):
        if body["purpose"] == rental.purpose:
            assert (answer.status_code, answer.json()["id"]) == (201, rental.pk)
        else:
            assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_mismatch")


@pytest.mark.programs
def test_a_web_process_killed_after_the_commit_leaves_one_order_and_the_client_gets_it(
    program: Program, house: House
) -> None:
    with _listening() as (url, descriptor), ThreadPoolExecutor(1) as pool:
        dies = _child(house, KILLED_AFTER_THE_COMMIT + SERVE, descriptor, inherits=(descriptor,))
        desk = Desk(url, program.secret, retry_for=60)
        ordered = pool.submit(lambda: desk.rent("02.97", purpose="sign-up", idempotency_key="one"))
        assert dies.wait(60) == -signal.SIGKILL, dies.communicate()[1]
        assert Rental.objects.count() == 1, "it was committed, and nobody was told"
        lives = _child(house, SERVE, descriptor, inherits=(descriptor,))
        try:
            rental = ordered.result(60)
            assert rental.id == Rental.objects.get().pk
            with pytest.raises(IdempotencyMismatch):
                desk.rent("02.97", purpose="something else", idempotency_key="one")
        finally:
            lives.kill()
            dies.communicate()
            lives.communicate()
    assert Rental.objects.count() == 1


@pytest.mark.programs
def test_a_worker_killed_with_the_number_in_its_hand_leaves_one_order_and_one_number(
    program: Program, house: House
) -> None:
    first = program.post("rentals", ORDER, Idempotency_Key="one").json()
    worker = _child(house, PLACE, house.token.pk)
    _output, errors = worker.communicate(timeout=60)
    assert worker.returncode == -signal.SIGKILL, errors
    during = program.post("rentals", ORDER, Idempotency_Key="one")
    assert (during.json()["id"], during.json()["status"]) == (first["id"], "placing")
    with later(timedelta(minutes=1)):
        placing.sweep()
        reconciling.reconcile(house.token.pk)
    after = program.post("rentals", ORDER, Idempotency_Key="one")
    assert (after.json()["id"], after.headers["Idempotency-Replayed"]) == (first["id"], "true")
    assert after.json()["phone"] is not None
    assert list(Rental.objects.values_list("upstream_id", flat=True)) == [after.json()["upstream_id"]]
    assert len(house.upstream.books()["rentals"]) == 1
