"""What makes the desk unready for a monitor, and what a web process for a load balancer."""

from datetime import timedelta

import pytest
from cryptography.fernet import Fernet
from django.db import DatabaseError, connection
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from lib.web import leaving
from pages.presenters import readiness
from rentals.models import Heartbeat, JobName, JobRun, Machine
from rentals.tests.factories import make_team, make_token

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _scheduler_runs() -> None:
    JobRun.objects.create(name=JobName.TICK, at=timezone.now())


def reasons(client: Client, path: str = "/readyz") -> list[str]:
    """Why it is not ready; none where it is."""
    answer = client.get(path)
    found: list[str] = answer.json().get("reasons", [])
    assert answer.status_code == (503 if found else 200)
    return found


def heartbeat(*, seconds: float, name: str = "worker-1", queues: str = "renting, ticks") -> None:
    now = timezone.now()
    at = now - timedelta(seconds=seconds)
    Heartbeat.objects.create(kind=Heartbeat.Kind.WORKER, name=name, queues=queues, started_at=at, at=at)


def test_a_desk_that_works_is_ready(client: Client) -> None:
    heartbeat(seconds=3)
    make_token(make_team())
    assert (reasons(client), reasons(client, "/readyz/web")) == ([], [])


def test_workers_that_died_are_named_and_pages_are_served_on(client: Client) -> None:
    heartbeat(seconds=60)
    heartbeat(seconds=1, name="slow", queues="slow")
    assert reasons(client) == ["no worker for orders has been heard of lately"]
    assert reasons(client, "/readyz/web") == []


def test_one_live_worker_suffices(client: Client) -> None:
    heartbeat(seconds=60)
    heartbeat(seconds=1, name="worker-2")
    assert reasons(client) == []


def test_machines_that_differ_are_a_warning_that_names_no_machine(client: Client) -> None:
    at = timezone.now()
    for name, secret in (("web1.internal", "a"), ("web2.internal", "b")):
        values = {"settings": {"SECRET_KEY": secret}, "started_at": at - timedelta(hours=1), "seen_at": at}
        Machine.objects.create(key=name[:4], name=name, roles="web", version="1", **values)
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["warning"].startswith("machines differ in SECRET_KEY: ")
    assert b"internal" not in answer.content
    assert (
        'desk_machine_differs{machine="web2.internal (web)",setting="SECRET_KEY"} 1.0'
        in client.get("/metrics").content.decode()
    )


def test_a_load_balancer_s_question_does_not_wait_for_redis(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "redis_state", lambda: pytest.fail("asked"))
    for works in (True, False):
        with monkeypatch.context() as patch:
            if not works:
                patch.setattr(connection, "ensure_connection", lambda: (_ for _ in ()).throw(DatabaseError))
            assert client.get("/readyz/web").status_code == (200 if works else 503)


def test_a_scheduler_that_stands_still_takes_no_web_machine_out(client: Client) -> None:
    JobRun.objects.update(at=timezone.now() - timedelta(seconds=34))
    assert "no worker has ticked" in reasons(client)[0]
    assert reasons(client, "/readyz/web") == []


def test_missing_migrations_make_both_unready(client: Client) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'rentals' AND name LIKE '0030%'")
    for path in ("/readyz", "/readyz/web"):
        assert reasons(client, path) == ["the database lacks migrations of this version: start ./run, or restore"]


def test_migrations_of_a_newer_version_do_no_harm(client: Client) -> None:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO django_migrations (app, name, applied) VALUES ('rentals', '9999_x', '2026-01-01')")
    assert reasons(client, "/readyz/web") == []


def test_a_lost_key_is_named(client: Client, settings: Settings) -> None:
    make_token(make_team())
    settings.TOKEN_KEYS = [Fernet.generate_key().decode()]
    assert reasons(client) == ["no key decrypts the API tokens: see DESK_SECRET_KEYS"]
    assert reasons(client, "/readyz/web") == []


def test_a_paused_token_needs_no_key(client: Client, settings: Settings) -> None:
    make_token(make_team(), paused=True)
    settings.TOKEN_KEYS = [Fernet.generate_key().decode()]
    assert reasons(client) == []


@pytest.mark.parametrize("ahead", [-75.0, 75.0])
def test_a_clock_far_from_the_databases_is_named(client: Client, monkeypatch: pytest.MonkeyPatch, ahead: float) -> None:
    monkeypatch.setattr(readiness, "_clock_ahead", lambda: ahead)
    assert reasons(client) == ["this machine's clock is not the database's"]


def test_the_clock_of_the_same_machine_is_the_databases() -> None:
    assert abs(readiness._clock_ahead()) < 5


def test_a_process_that_leaves_is_not_ready(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaving, "has_begun", lambda: True)
    assert reasons(client, "/readyz/web") == ["this process is about to leave"]


def test_strangers_learn_no_more_than_that_the_database_is_down(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> bool:
        raise DatabaseError("desk:hunter2@db.internal")

    monkeypatch.setattr(readiness, "_lacks_migrations", fail)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()) == (
        503,
        {"database": "down", "reasons": ["the database does not answer"]},
    )
