"""The last runs of recurring jobs."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

import thuesim
from rentals.jobs import runs
from rentals.models import JobName, JobRun
from rentals.tests.factories import make_token
from thuesim_site.celery import app

pytestmark = pytest.mark.django_db


def test_a_job_keeps_one_last_run_per_token() -> None:
    token = make_token()
    for _ in range(2):
        runs.note_run(JobName.BALANCE, token.pk)
        runs.note_run(JobName.TICK)
    assert sorted(JobRun.objects.values_list("name", "token")) == [("balance", token.pk), ("tick", None)]


def fail(error: thuesim.ThueSimError) -> None:
    raise error


def test_an_error_of_the_upstream_is_kept_with_the_last_run_and_leaves_the_last_success() -> None:
    token = make_token()
    with runs.noted_at_end(JobName.BALANCE, token.pk):
        pass
    with runs.noted_at_end(JobName.BALANCE, token.pk):
        fail(thuesim.TimedOut("no answer"))
    job_run = JobRun.objects.get()
    assert job_run.fault == "TimedOut: no answer"
    assert job_run.ok_at is not None
    assert job_run.at is not None
    assert job_run.ok_at < job_run.at


def test_a_job_is_due_again_after_its_time_and_sooner_after_an_error() -> None:
    token = make_token()
    assert runs.due(JobName.CATALOG, seconds=600) == [token.pk]
    runs.note_run(JobName.CATALOG, token.pk)
    assert runs.due(JobName.CATALOG, seconds=600) == []
    later = timezone.now() + timedelta(seconds=601)
    with time_machine.travel(later):
        assert runs.due(JobName.CATALOG, seconds=600) == [token.pk]
    runs.note_run(JobName.CATALOG, token.pk, error="x")
    assert runs.due(JobName.CATALOG, seconds=600) == []
    with time_machine.travel(timezone.now() + timedelta(seconds=runs.RETRY_SECONDS + 1)):
        assert runs.due(JobName.CATALOG, seconds=600) == [token.pk]


def test_only_the_same_job_on_the_same_token_counts_and_tokens_come_by_name() -> None:
    second, first, fresh = make_token(name="B"), make_token(name="A"), make_token(name="C")
    runs.note_run(JobName.CATALOG, fresh.pk)
    runs.note_run(JobName.BALANCE, first.pk)
    runs.note_run(JobName.TICK)
    assert runs.due(JobName.CATALOG, seconds=600) == [first.pk, second.pk]


def test_what_failed_is_due_again_when_it_is_asked_next() -> None:
    assert app.conf.beat_schedule["upkeep"]["schedule"] > runs.RETRY_SECONDS
