"""The marks that recurring jobs leave."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

import thuesim
from rentals.jobs import runs
from rentals.models import JobName, JobRun
from rentals.tests.factories import make_token

pytestmark = pytest.mark.django_db


def test_a_job_leaves_one_mark_per_token() -> None:
    token = make_token()
    for _ in range(2):
        runs.ran(JobName.BALANCE, token.pk)
        runs.ran(JobName.TICK)
    assert sorted(JobRun.objects.values_list("name", "token")) == [("balance", token.pk), ("tick", None)]


def answer(fault: thuesim.ThueSimError) -> None:
    raise fault


def test_a_fault_of_the_upstream_stands_in_the_mark_and_leaves_the_last_success() -> None:
    token = make_token()
    with runs.run(JobName.BALANCE, token.pk):
        pass
    with runs.run(JobName.BALANCE, token.pk):
        answer(thuesim.TimedOut("no answer"))
    mark = JobRun.objects.get()
    assert mark.fault == "TimedOut: no answer"
    assert mark.ok_at is not None
    assert mark.at is not None
    assert mark.ok_at < mark.at


def test_a_job_is_due_again_after_its_time_and_sooner_after_a_fault() -> None:
    token = make_token()
    assert runs.due(JobName.CATALOG, seconds=600) == [token.pk]
    runs.ran(JobName.CATALOG, token.pk)
    assert runs.due(JobName.CATALOG, seconds=600) == []
    later = timezone.now() + timedelta(seconds=601)
    with time_machine.travel(later):
        assert runs.due(JobName.CATALOG, seconds=600) == [token.pk]
    runs.ran(JobName.CATALOG, token.pk, fault="x")
    assert runs.due(JobName.CATALOG, seconds=600) == []
    with time_machine.travel(timezone.now() + timedelta(seconds=runs.RETRY_SECONDS + 1)):
        assert runs.due(JobName.CATALOG, seconds=600) == [token.pk]
