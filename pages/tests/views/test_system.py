from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest
import time_machine
from celery import signals
from django.db import OperationalError
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

import thuesim
from accounts.models import Role, Team, User
from accounts.policy import access_for
from pages.presenters import system
from pages.presenters.system import SystemState
from rentals.jobs import background, heartbeats
from rentals.models import BackgroundJob, Callback, Heartbeat, JobRun, Rental, Status, Token, UpstreamMinute
from rentals.task_names import TaskName, TaskQueue
from rentals.tests.factories import make_person, make_rental, make_team, make_token
from rentals.tests.fixtures import House
from rentals.upstream import call_stats
from rentals.upstream.client import client_for
from thuesim_site.celery import app
from thuesim_site.testing import RedisServer

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _nothing_counted() -> None:
    call_stats.forget()


@pytest.fixture
def team() -> Team:
    return make_team()


@pytest.fixture
def token(team: Team) -> Token:
    return make_token(team, name="Chính")


@pytest.fixture
def person(team: Team, client: Client) -> User:
    person = make_person(team)
    client.force_login(person)
    return person


def state(person: User) -> SystemState:
    return system.system_state(access_for(person))


def all_is_well(token: Token) -> None:
    now = timezone.now()
    for name in ("tick", "statistics"):
        JobRun.objects.create(name=name, at=now, ok_at=now)
    for name in ("balance", "catalog", "settle"):
        JobRun.objects.create(name=name, token=token, at=now, ok_at=now)
    for kind in Heartbeat.Kind:
        Heartbeat.objects.create(kind=kind, name=f"{kind}@here/1", started_at=now, at=now)


@pytest.mark.usefixtures("real_redis")
def test_it_says_that_everything_runs(client: Client, token: Token, person: User) -> None:
    all_is_well(token)
    assert state(person).is_well
    assert "Everything runs" in client.get("/system/").content.decode()


@pytest.mark.usefixtures("real_redis")
def test_a_queue_whose_only_worker_is_silent_is_named(client: Client, token: Token, person: User) -> None:
    all_is_well(token)
    now = timezone.now()
    for name, queues, seconds in (("slow", "slow", 60), ("worker-1", "renting, ticks", 60), ("worker-2", "renting", 1)):
        at = now - timedelta(seconds=seconds)
        Heartbeat.objects.create(kind="worker", name=f"{name}@here/2", queues=queues, started_at=at, at=at)
    assert state(person).missing == ["worker (slow)", "worker (ticks)"]
    assert "No sign of life from: worker (slow), worker (ticks)." in client.get("/system/").content.decode()


@pytest.mark.usefixtures("real_redis")
def test_it_turns_stale_by_itself(token: Token, person: User) -> None:
    all_is_well(token)
    with time_machine.travel(timezone.now() + timedelta(seconds=36)):
        found = state(person)
        assert found.missing == ["worker", "beat"]
        assert [job.age.is_stale for job in found.jobs] == [True, False]  # the tick is each second
        assert not found.is_well


def test_a_silent_redis_is_said_and_holds_nothing_up(client: Client, token: Token, person: User) -> None:
    all_is_well(token)
    page = client.get("/system/").content.decode()
    assert "Redis does not answer." in page


@pytest.mark.usefixtures("real_redis")
def test_messages_that_nobody_takes_are_counted(person: User, real_redis: RedisServer) -> None:
    assert state(person).messages == {"ticks": 0, "renting": 0, "watching": 0, "slow": 0}
    for queue in (TaskQueue.SLOW, TaskQueue.SLOW, TaskQueue.TICKS):
        app.send_task(TaskName.TIDY, queue=queue)
    assert state(person).messages == {"ticks": 1, "renting": 0, "watching": 0, "slow": 2}


def test_a_person_sees_the_tokens_and_orders_of_their_team_alone(token: Token, person: User) -> None:
    other = make_token(make_team(), name="Another's")
    make_rental(Status.QUEUED, team=person.memberships.get().team, token=token)
    make_rental(Status.QUEUED, token=other, team=make_team())
    for one in (token, other):
        Callback.objects.create(token=one, at=timezone.now(), body=b"", state="unreadable")
        UpstreamMinute.objects.create(token=one, endpoint="code", minute=timezone.now(), calls=1)
    found = state(person)
    assert [health.token for health in found.tokens] == [token]
    assert (found.queue.queued, found.callbacks.unreadable) == (1, 1)
    admin = state(make_person(is_staff=True))
    assert [health.token for health in admin.tokens] == [other, token]
    assert (admin.queue.queued, admin.callbacks.unreadable) == (2, 2)


def test_a_callback_for_another_teams_rental_on_a_shared_token_is_not_counted(token: Token, person: User) -> None:
    shared = make_rental(Status.WAITING, token=token, team=make_team())
    Callback.objects.create(token=token, at=timezone.now(), body=b"", state="applied", rental=shared)
    assert state(person).callbacks.today == 0


def test_only_admins_read_the_names_of_machines(token: Token, person: User) -> None:
    all_is_well(token)
    assert {process.name for process in state(person).processes} == {"worker", "beat"}
    admin = make_person(is_staff=True)
    assert {process.name for process in state(admin).processes} == {"worker@here/1", "beat@here/1"}


def test_htmx_gets_the_state_alone_and_asks_again(client: Client, token: Token, person: User) -> None:
    page = client.get("/system/", headers={"HX-Request": "true"}).content.decode()
    assert page.lstrip().startswith('<div id="system" hx-get="/system/" hx-trigger="every 5s"')


def test_the_page_takes_the_same_queries_for_many_tokens(
    client: Client, team: Team, person: User, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(5):
        token = make_token(team)
        JobRun.objects.create(name="balance", token=token, at=timezone.now())
        UpstreamMinute.objects.create(token=token, endpoint="code", minute=timezone.now(), calls=1)
    with django_assert_max_num_queries(11):
        client.get("/system/")


# Calls to the upstream


def test_calls_are_counted_with_their_faults_and_durations(house: House) -> None:
    client = client_for(house.token)
    client.balance()
    with pytest.raises(thuesim.UnknownSession):
        client.code("12345.02")
    house.upstream.stop()
    with pytest.raises(thuesim.CannotConnect):
        client.balance()
    call_stats.write()
    rows = UpstreamMinute.objects.values_list("endpoint", "token")
    assert set(rows) >= {("balance", house.token.pk), ("code", house.token.pk)}
    (health,) = state(house.person).tokens
    told = {endpoint.name: (endpoint.calls, endpoint.faults) for endpoint in health.endpoints}
    assert told["balance"] == (2, 1)
    assert told["code"] == (1, 0)  # an answer, if not the wanted one


def test_two_processes_add_to_the_same_minute(token: Token) -> None:
    for seconds in (0.1, 0.3):
        call_stats.count(token.pk, thuesim.Call("code", seconds, None))
        call_stats.write()
    row = UpstreamMinute.objects.get()
    assert (row.calls, row.milliseconds, row.slowest) == (2, 400, 300)


def test_what_cannot_be_written_is_kept_for_the_next_time(token: Token) -> None:
    call_stats.count(token.pk, thuesim.Call("code", 0.1, None))
    with patch.object(call_stats, "_add", side_effect=OperationalError), pytest.raises(OperationalError):
        call_stats.write()
    call_stats.write()
    assert UpstreamMinute.objects.get().calls == 1


def test_a_token_that_is_gone_keeps_nobody_from_counting(token: Token) -> None:
    for pk in (token.pk, 999_999):
        call_stats.count(pk, thuesim.Call("code", 0.1, None))
    call_stats.write()
    assert UpstreamMinute.objects.get().token == token


def test_counting_holds_no_more_than_it_must(token: Token) -> None:
    with patch.object(call_stats, "MAX_UNWRITTEN", 2):
        for name in ("a", "b", "c"):
            call_stats.count(token.pk, thuesim.Call(name, 0.1, None))
    call_stats.write()
    assert UpstreamMinute.objects.count() == 2


def test_old_counts_and_marks_are_forgotten(token: Token) -> None:
    old = timezone.now() - timedelta(days=2)
    UpstreamMinute.objects.create(token=token, endpoint="code", minute=old)
    Heartbeat.objects.create(kind="worker", name="w", started_at=old, at=old)
    call_stats.forget_old()
    heartbeats.forget_old()
    assert not UpstreamMinute.objects.exists()
    assert not Heartbeat.objects.exists()


# Heartbeats


@pytest.fixture
def kept_connection() -> Any:
    """A mark closes the connection of its thread; the test's own must stay open."""
    with patch.object(heartbeats, "connection"), patch.object(heartbeats, "close_old_connections"):
        yield


@pytest.mark.usefixtures("kept_connection")
class TestPulse:
    def test_a_worker_leaves_one_mark_that_grows_younger(self) -> None:
        pulse = heartbeats.Pulse(Heartbeat.Kind.WORKER, "worker@here/1", "slow")
        pulse.leave_mark()
        with time_machine.travel(timezone.now() + timedelta(seconds=10)):
            pulse.worked()
            pulse.leave_mark()
            mark = Heartbeat.objects.get()
            assert timezone.now() - mark.at < timedelta(seconds=2)
            assert mark.worked_at is not None

    def test_a_process_takes_the_place_of_the_one_before_it(self) -> None:
        long_ago = timezone.now() - timedelta(minutes=5)
        for name in ("worker@here/1", "worker@there/1"):
            Heartbeat.objects.create(kind="worker", name=name, started_at=long_ago, at=long_ago)
        heartbeats.Pulse(Heartbeat.Kind.WORKER, "worker@here/2").leave_mark()
        assert set(Heartbeat.objects.values_list("name", flat=True)) == {"worker@here/2", "worker@there/1"}

    def test_a_beat_that_sends_nothing_leaves_no_new_mark(self) -> None:
        pulse = heartbeats.Pulse(Heartbeat.Kind.BEAT, "beat@here/1")
        pulse.leave_mark()
        assert not Heartbeat.objects.exists()
        pulse.worked()
        pulse.leave_mark()
        Heartbeat.objects.all().delete()
        pulse.leave_mark()
        assert not Heartbeat.objects.exists()

    def test_a_process_that_ends_is_not_missed(self) -> None:
        pulse = heartbeats.Pulse(Heartbeat.Kind.WORKER, "worker@here/1")
        pulse.leave_mark()
        pulse.end()
        assert not Heartbeat.objects.exists()

    def test_a_database_that_is_away_ends_nothing(self) -> None:
        pulse = heartbeats.Pulse(Heartbeat.Kind.WORKER, "worker@here/1")
        with patch.object(Heartbeat.objects, "update_or_create", side_effect=OperationalError):
            pulse.leave_mark()

    def test_a_ready_worker_marks_itself_on_its_own_threads(self) -> None:
        queues = SimpleNamespace(consume_from={"slow": None, "ticks": None})
        app = SimpleNamespace(amqp=SimpleNamespace(queues=queues))
        pool = SimpleNamespace(apply_async=lambda leave_mark: leave_mark())
        consumer = SimpleNamespace(hostname="slow@here", app=app, pool=pool)
        with patch("threading.Thread"):
            heartbeats._worker_is_ready(consumer)
        mark = Heartbeat.objects.get()
        assert mark.name.startswith("slow@here/")
        assert mark.queues == "slow, ticks"
        signals.worker_shutdown.send(sender="test", sig="TERM", how="warm", exitcode=0)
        assert not Heartbeat.objects.exists()


# The import of a history


def test_a_manager_has_a_history_imported(client: Client, house: House) -> None:
    manager = make_person(house.team, Role.MANAGER)
    client.force_login(manager)
    client_for(house.token).rent("02.97")  # elsewhere, with the same token
    answer = client.post(reverse("import_history", args=[house.token.pk]))
    assert answer.headers["Location"] == "/background/"
    job = BackgroundJob.objects.get()
    background.work(job.pk)
    assert Rental.objects.get().imported
    assert "1 rental imported" in client.get("/background/").content.decode()


def test_an_import_that_the_upstream_refuses_says_so(client: Client, house: House) -> None:
    client.force_login(make_person(house.team, Role.MANAGER))
    client.post(reverse("import_history", args=[house.token.pk]))
    house.upstream.stop()
    background.work(BackgroundJob.objects.get().pk)
    assert "ThueSim did not give its history." in client.get("/background/").content.decode()


def test_an_operator_imports_nothing_and_nobody_imports_anothers(client: Client, token: Token, person: User) -> None:
    assert client.post(reverse("import_history", args=[token.pk])).status_code == 403
    client.force_login(make_person(make_team(), Role.MANAGER))
    assert client.post(reverse("import_history", args=[token.pk])).status_code == 404
    assert not BackgroundJob.objects.exists()
