from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import DjangoAssertNumQueries, Settings

from rentals.models import (
    BalanceQuestion,
    BalanceReading,
    Callback,
    Delivery,
    Heartbeat,
    JobRun,
    Status,
    UpstreamMinute,
)
from rentals.tests.factories import make_destination, make_rental, make_team, make_token

pytestmark = pytest.mark.django_db


def figures(client: Client) -> dict[tuple[str, str], float]:
    """The samples by name and first label."""
    answer = client.get("/metrics", REMOTE_ADDR="127.0.0.1")
    return {
        (sample.name, next(iter(sample.labels.values()), "")): sample.value
        for family in text_string_to_metric_families(answer.content.decode())
        for sample in family.samples
    }


def test_it_tells_what_waits_and_how_old_things_are(client: Client) -> None:
    now = timezone.now()
    team = make_team()
    token = make_token(team, name="Chính", faults=3, balance=5000)
    make_rental(Status.QUEUED, team=team, token=token, due_at=now - timedelta(seconds=30))
    make_rental(Status.WAITING, team=team, token=token)
    JobRun.objects.create(name="tick", at=now, ok_at=now - timedelta(seconds=7))
    JobRun.objects.create(name="balance", token=token, at=now)
    Heartbeat.objects.create(kind="beat", name="beat@here/1", started_at=now, at=now - timedelta(seconds=4))
    Callback.objects.create(token=token, at=now, body=b"")
    found = figures(client)
    assert found[("desk_open_rentals", "queued")] == 1
    assert found[("desk_open_rentals", "placing")] == 0
    assert found[("desk_ordered_last_hour", "waiting")] == 1
    assert found[("desk_queue_length", "")] == 1
    assert found[("desk_oldest_due_seconds", "")] == pytest.approx(30, abs=5)
    assert found[("desk_token_faults", "Chính")] == 3
    assert found[("desk_token_balance_dong", "Chính")] == 5000
    assert found[("desk_job_age_seconds", "tick")] == pytest.approx(7, abs=5)
    assert ("desk_job_age_seconds", "balance") not in found  # it never succeeded: there is no age
    assert found[("desk_heartbeat_age_seconds", "beat")] == pytest.approx(4, abs=5)
    assert found[("desk_callbacks_pending", "")] == 1
    assert found[("desk_open_streams", "")] == 0


def test_it_tells_how_thuesim_answers_and_how_much_of_the_turns_is_used(client: Client, settings: Settings) -> None:
    settings.THUESIM_RENT_GAP_SECONDS = 5.0
    token, minute = make_token(name="Chính"), timezone.now().replace(second=0, microsecond=0)
    UpstreamMinute.objects.create(
        token=token, minute=minute, endpoint="rent", calls=180, faults=9, milliseconds=36_000, slowest=4200
    )
    UpstreamMinute.objects.create(token=token, minute=minute - timedelta(hours=2), endpoint="rent", calls=7)
    found = figures(client)
    assert found[("desk_upstream_calls_last_hour", "rent")] == 180
    assert found[("desk_upstream_errors_last_hour", "rent")] == 9
    assert found[("desk_upstream_seconds_last_hour", "rent")] == 36
    assert found[("desk_upstream_slowest_seconds_last_hour", "rent")] == 4.2
    assert found[("desk_token_gap_used_ratio", "Chính")] == pytest.approx(180 * 5.1 / 3600)  # the gap and its margin


def test_it_tells_which_events_wait_and_which_were_given_up(client: Client) -> None:
    now = timezone.now()
    destination = make_destination(make_team())
    for state, minutes in (("pending", 3), ("pending", 1), ("failed", 2), ("failed", 90), ("delivered", 2)):
        at = now - timedelta(minutes=minutes)
        Delivery.objects.create(destination=destination, event="code", at=at, next_try=at, state=state)
    found = figures(client)
    assert found[("desk_deliveries_pending", "")] == 2
    assert found[("desk_delivery_age_seconds", "")] == pytest.approx(180, abs=5)
    assert found[("desk_deliveries_failed_last_hour", "")] == 1


def test_it_tells_what_nobody_has_explained_of_the_money(client: Client) -> None:
    token, now = make_token(), timezone.now()
    for amount, answer in ((-1300, ""), (500, ""), (9000, "top_up")):
        reading = BalanceReading.objects.create(token=token, at=now, balance=0)
        BalanceQuestion.objects.create(token=token, reading=reading, since=now, until=now, amount=amount, answer=answer)
    found = figures(client)
    assert (found[("desk_money_questions", "")], found[("desk_money_unexplained_dong", "")]) == (2, 1800)


def test_an_empty_desk_has_figures_too(client: Client) -> None:
    assert figures(client)[("desk_oldest_due_seconds", "")] == 0


def test_the_queries_do_not_grow_with_the_rows(
    client: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(5):
        make_rental(Status.QUEUED)
    with django_assert_num_queries(18 if connection.vendor == "sqlite" else 19):
        figures(client)


def test_other_machines_need_the_token(client: Client, settings: Settings) -> None:
    settings.METRICS_TOKEN = "long-and-secret"

    def status(**headers: str) -> int:
        return client.get("/metrics", headers=headers, REMOTE_ADDR="192.0.2.7").status_code

    assert status() == 403
    assert status(Authorization="Bearer wrong") == 403
    assert status(Authorization="Basic long-and-secret") == 403
    assert status(Authorization="Bearer long-and-secret") == 200


def test_without_a_token_no_other_machine_is_answered(client: Client, settings: Settings) -> None:
    settings.METRICS_TOKEN = ""
    assert client.get("/metrics", headers={"Authorization": "Bearer "}, REMOTE_ADDR="192.0.2.7").status_code == 403


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP"])
def test_a_stranger_behind_a_proxy_is_not_taken_for_this_machine(client: Client, header: str) -> None:
    assert client.get("/metrics", headers={header: "192.0.2.7"}, REMOTE_ADDR="127.0.0.1").status_code == 403


def test_ipv6_is_this_machine_too(client: Client) -> None:
    assert client.get("/metrics", REMOTE_ADDR="::1").status_code == 200


def test_it_is_only_read(client: Client) -> None:
    assert client.post("/metrics", REMOTE_ADDR="127.0.0.1").status_code == 405


def test_a_stranger_behind_a_proxy_that_sets_no_header_is_not_on_this_machine(
    client: Client, settings: Settings
) -> None:
    settings.PUBLIC_URL, settings.ALLOWED_HOSTS = "https://desk.example.com", ["desk.example.com", "127.0.0.1"]
    for host, status in (
        ("desk.example.com", 403),
        ("desk.example.com:443", 403),
        ("Desk.Example.com", 403),
        ("127.0.0.1:8000", 200),
    ):
        answer = client.get("/metrics", REMOTE_ADDR="127.0.0.1", headers={"host": host})
        assert answer.status_code == status, host


@pytest.mark.parametrize("header", ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "forwarded", "via"])
def test_what_came_by_way_of_a_proxy_is_not_of_this_machine(client: Client, header: str) -> None:
    answer = client.get("/metrics", REMOTE_ADDR="127.0.0.1", headers={header: "127.0.0.1"})
    assert answer.status_code == 403
