"""The system page: how the desk and the upstream are doing."""

import socket
import threading
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
import time_machine
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

import thuesim
from accounts.models import Role, Team, User
from accounts.policy import access_for
from lib.redis_access import redis_state
from pages.presenters.system import SystemState, system_state
from pages.tests.markup import parse
from rentals.models import (
    BackgroundJob,
    Callback,
    Heartbeat,
    JobRun,
    Machine,
    PublicUrlCheck,
    Status,
    Token,
    UpstreamMinute,
)
from rentals.task_names import TaskName, TaskQueue
from rentals.tests.factories import make_person, make_rental, make_team, make_token
from rentals.upstream import breaker
from thuesim_site.celery import app
from thuesim_site.testing import RedisServer

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]


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


@pytest.fixture
def stopped_clock() -> Iterator[None]:
    """What is fresh stays so, however long a busy machine takes for a page."""
    with time_machine.travel(timezone.now(), tick=False):
        yield


def state(person: User) -> SystemState:
    return system_state(access_for(person))


def all_is_well(token: Token) -> None:
    now = timezone.now()
    for name in ("tick", "statistics"):
        JobRun.objects.create(name=name, at=now, ok_at=now)
    for name in ("balance", "catalog", "settle"):
        JobRun.objects.create(name=name, token=token, at=now, ok_at=now)
    for kind in Heartbeat.Kind:
        Heartbeat.objects.create(kind=kind, name=f"{kind}@here/1", started_at=now, at=now)


@pytest.mark.usefixtures("real_redis", "stopped_clock")
def test_it_says_that_everything_runs(client: Client, token: Token, person: User) -> None:
    all_is_well(token)
    assert state(person).is_well
    assert "Everything is running" in client.get("/system/").content.decode()


@pytest.mark.usefixtures("real_redis", "stopped_clock")
def test_a_queue_whose_only_worker_is_silent_is_named(client: Client, token: Token, person: User) -> None:
    all_is_well(token)
    now = timezone.now()
    for name, queues, seconds in (("slow", "slow", 60), ("worker-1", "renting, ticks", 60), ("worker-2", "renting", 1)):
        at = now - timedelta(seconds=seconds)
        Heartbeat.objects.create(kind="worker", name=f"{name}@here/2", queues=queues, started_at=at, at=at)
    assert state(person).missing == ["worker (slow work)", "worker (clock)"]
    assert "Not responding: worker (slow work), worker (clock)." in client.get("/system/").content.decode()


@pytest.mark.usefixtures("real_redis")
def test_it_turns_stale_by_itself(token: Token, person: User) -> None:
    all_is_well(token)
    with time_machine.travel(timezone.now() + timedelta(seconds=36)):
        found = state(person)
        assert found.missing == ["worker", "scheduler"]
        assert [job.age.is_stale for job in found.jobs] == [True, False]  # the tick is each second
        assert not found.is_well


@pytest.mark.usefixtures("real_redis")
@pytest.mark.parametrize(
    ("language", "one_failed", "no_answer"),
    [
        ("en", "the last call failed", "ThueSim does not answer"),
        ("vi", "lần gọi gần nhất bị lỗi", "ThueSim không phản hồi"),
    ],
)
def test_that_thuesim_does_not_answer_is_said_from_the_first_failed_call_until_an_answer(
    client: Client, token: Token, person: User, language: str, one_failed: str, no_answer: str
) -> None:
    all_is_well(token)
    User.objects.update(language=language)
    breaker.failed(token, thuesim.TimedOut("no answer"))
    page = parse(client.get("/system/").content.decode())
    assert f"{no_answer} (Chính)" in page.find("p", data_testid="verdict").text
    assert one_failed in page.find("section", data_testid="token-health").text
    for _ in range(3):
        breaker.failed(token, thuesim.TimedOut("no answer"))
    for seconds in (1, 20):  # while the hold lasts, and after it, before the next call
        with time_machine.travel(timezone.now() + timedelta(seconds=seconds)):
            page = parse(client.get("/system/").content.decode())
            assert f"{no_answer} (Chính)" in page.find("p", data_testid="verdict").text
            assert no_answer in page.find("section", data_testid="token-health").text
    breaker.answered(token)
    assert "is-good" in parse(client.get("/system/").content.decode()).find("p", data_testid="verdict")["class"]


@pytest.mark.usefixtures("real_redis")
def test_a_refused_token_is_not_said_to_be_silent(client: Client, token: Token, person: User) -> None:
    all_is_well(token)
    breaker.failed(token, thuesim.InvalidToken("Invalid token"))
    with time_machine.travel(timezone.now() + timedelta(seconds=20)):
        page = parse(client.get("/system/").content.decode())
    assert "marked below" in page.find("p", data_testid="verdict").text
    assert "refused by ThueSim" in page.find("section", data_testid="token-health").text


@pytest.mark.parametrize(
    ("language", "labels"),
    [
        ("en", ["Scheduler", "Worker 2", "Rent a number", "Ask for a code"]),
        ("vi", ["Bộ lập lịch", "Tiến trình xử lý 2", "Thuê số", "Hỏi mã"]),
    ],
)
def test_an_operator_reads_processes_and_calls_in_plain_words(
    client: Client, token: Token, person: User, language: str, labels: list[str]
) -> None:
    User.objects.update(language=language)
    now = timezone.now()
    for kind, name in (("beat", "beat@here/1"), ("worker", "worker-2@here/2")):
        Heartbeat.objects.create(kind=kind, name=name, started_at=now, at=now)
    for endpoint in ("api/register-service", "code"):
        UpstreamMinute.objects.create(token=token, endpoint=endpoint, minute=now, calls=1)
    text = parse(client.get("/system/").content.decode()).find("main").text
    for label in labels:
        assert label in text
    for raw in ("beat", "api/", "worker-2"):
        assert raw not in text


def test_a_silent_redis_is_said_and_holds_nothing_up(
    client: Client, token: Token, person: User, settings: Settings
) -> None:
    all_is_well(token)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections and says nothing
        settings.REDIS_URL = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        hang_up = threading.Timer(60, silent.close)  # else a page without a time limit would wait for ever
        hang_up.start()
        began = time.monotonic()
        page = client.get("/system/").content.decode()
        waited = time.monotonic() - began
        hang_up.cancel()
    assert "Redis does not answer." in page
    assert redis_state.TIMEOUT_SECONDS <= waited < 30


def test_the_calls_of_the_last_hour_are_summed_by_endpoint(token: Token, person: User) -> None:
    now = timezone.now()
    for minutes, calls, errors in ((1, 3, 0), (2, 1, 1), (90, 5, 5)):
        at = now - timedelta(minutes=minutes)
        UpstreamMinute.objects.create(token=token, endpoint="code", minute=at, calls=calls, faults=errors)
    (health,) = state(person).tokens
    assert [(endpoint.name, endpoint.calls, endpoint.errors) for endpoint in health.endpoints] == [("code", 4, 1)]


@pytest.mark.usefixtures("real_redis")
def test_messages_that_nobody_takes_are_counted(person: User, real_redis: RedisServer) -> None:
    assert state(person).messages == {"ticks": 0, "renting": 0, "watching": 0, "slow": 0, "outgoing": 0}
    for queue in (TaskQueue.SLOW, TaskQueue.SLOW, TaskQueue.TICKS):
        app.send_task(TaskName.TIDY, queue=queue)
    assert state(person).messages == {"ticks": 1, "renting": 0, "watching": 0, "slow": 2, "outgoing": 0}


@pytest.mark.usefixtures("real_redis")
@pytest.mark.parametrize(
    ("language", "labels"),
    [
        ("en", ["clock", "orders", "code checks", "slow work", "outgoing events"]),
        ("vi", ["nhịp đồng hồ", "đặt thuê", "kiểm tra mã", "việc chậm", "gửi sự kiện"]),
    ],
)
def test_queues_are_named_in_the_readers_language(
    client: Client, person: User, language: str, labels: list[str]
) -> None:
    User.objects.update(language=language, is_staff=True, is_superuser=True)
    now = timezone.now()
    Heartbeat.objects.create(kind="worker", name="quick@here/2", queues="outgoing, renting", started_at=now, at=now)
    page = client.get("/system/").content.decode()
    for label in labels:
        assert label in page
    for name in ("outgoing, renting", "watching", "ticks"):
        assert name not in page


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


@pytest.mark.database
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
    page = parse(client.get("/system/", headers={"HX-Request": "true"}).content.decode())
    fragment = page.inside[0]
    assert (fragment["id"], fragment["hx-get"], fragment["hx-trigger"]) == ("system", "/system/", "every 5s")


@pytest.mark.usefixtures("real_redis", "stopped_clock")
def test_an_admin_reads_which_machine_is_not_set_up_like_the_others(client: Client, token: Token, person: User) -> None:
    all_is_well(token)
    at = timezone.now()
    for name, secret in (("web1", "a"), ("web2", "b")):
        values = {"settings": {"SECRET_KEY": secret}, "started_at": at - timedelta(hours=1), "seen_at": at}
        Machine.objects.create(key=name, name=name, roles="web", version="1.5", **values)
    assert state(person).is_well  # names of machines are not for everybody
    assert "web2" not in client.get("/system/").content.decode()
    User.objects.filter(pk=person.pk).update(is_staff=True)
    page = parse(client.get("/system/").content.decode())
    assert [shown.text for shown in page.find_all(**{"data-testid": "machine"})] == [
        "web1 (web) version 1.5",
        "web2 (web) version 1.5",
    ]
    [difference] = page.find_all(**{"data-testid": "machine-difference"})
    assert "web2 (web): not the SECRET_KEY of the other machines" in difference.text
    assert "not set up alike" in page.find(**{"data-testid": "verdict"}).text


def test_the_page_takes_the_same_queries_for_many_tokens(
    client: Client, team: Team, person: User, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(5):
        token = make_token(team)
        JobRun.objects.create(name="balance", token=token, at=timezone.now())
        UpstreamMinute.objects.create(token=token, endpoint="code", minute=timezone.now(), calls=1)
    with django_assert_max_num_queries(11):
        client.get("/system/")


def test_an_operator_imports_nothing_and_nobody_imports_anothers(client: Client, token: Token, person: User) -> None:
    assert client.post(reverse("import_history", args=[token.pk])).status_code == 403
    client.force_login(make_person(make_team(), Role.MANAGER))
    assert client.post(reverse("import_history", args=[token.pk])).status_code == 404
    assert not BackgroundJob.objects.exists()


def test_background_work_of_other_teams_is_counted_for_admins_alone(team: Team, person: User) -> None:
    for each in (team, make_team(), make_team()):
        BackgroundJob.objects.create(kind="export_csv", person=make_person(each), team=each)
    assert state(person).background == 1
    assert state(make_person(team, is_staff=True)).background == 3


@pytest.fixture
def admin(team: Team, client: Client) -> User:
    admin = make_person(team, Role.MANAGER, username="admin", is_staff=True)
    client.force_login(admin)
    return admin


def test_an_admin_has_the_public_address_checked_and_reads_what_is_wrong(
    client: Client, admin: User, settings: Settings
) -> None:
    settings.PUBLIC_URL = "https://example.com/desk"
    section = parse(client.get(reverse("system")).content.decode()).find(data_testid="public-url")
    assert "https://example.com/desk/" in section.text
    assert "Not checked yet" in section.text
    client.post(reverse("check_public_url"))
    section = parse(client.get(reverse("system")).content.decode()).find(data_testid="public-url")
    assert "The desk is asking itself" in section.text
    values = {"peer": "<b>10.0.0.9</b>"}
    PublicUrlCheck.objects.update(
        done_at=timezone.now(), url=settings.PUBLIC_URL, findings=[{"problem": "client_lost", "values": values}]
    )
    page = client.get(reverse("system")).content.decode()
    assert "<b>10.0.0.9" not in page
    [found] = parse(page).find_all(data_testid="public-url-finding")
    assert "have it send X-Forwarded-For" in found.text
    settings.PUBLIC_URL = "https://elsewhere.example.com"  # what was found is not of this one
    section = parse(client.get(reverse("system")).content.decode()).find(data_testid="public-url")
    assert "Not checked yet" in section.text


def test_without_a_public_address_there_is_none_to_check(client: Client, admin: User, settings: Settings) -> None:
    settings.PUBLIC_URL = ""
    answer = client.post(reverse("check_public_url"), follow=True)
    assert "no address to check" in answer.content.decode()
    assert not PublicUrlCheck.objects.exists()


def test_others_do_not_see_the_public_address(client: Client, person: User, settings: Settings) -> None:
    settings.PUBLIC_URL = "https://example.com/desk"
    assert not parse(client.get(reverse("system")).content.decode()).find_all(data_testid="public-url")
    assert client.post(reverse("check_public_url")).status_code == 403
