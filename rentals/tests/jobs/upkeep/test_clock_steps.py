"""Work goes on with the next tick when the machine's clock was set back by minutes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
import time_machine
from django.db import connection
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, DjangoCaptureOnCommitCallbacks, Settings

from rentals import tasks
from rentals.jobs import background, delivering, outcomes, placing, polling, reconciling, runs, statistics
from rentals.jobs.upkeep import clock_steps
from rentals.models import BackgroundJob, Delivery, Destination, Hold, JobName, Rental, Status, Token
from rentals.task_names import TaskName
from rentals.tests.factories import make_destination, make_person, make_rental, make_team, make_token
from rentals.upstream import breaker

pytestmark = pytest.mark.django_db


@contextmanager
def before_the_step(minutes: float) -> Iterator[None]:
    """What is written in here was written by a clock that is then set back."""
    with time_machine.travel(timezone.now() + timedelta(minutes=minutes)):
        yield


@pytest.fixture
def tick(
    enqueued: list[tuple[str, int]],
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[], list[tuple[str, int]]]:
    """Tick once, in a process whose turn it is to look for such times; returns what workers were woken for."""

    def tick_once() -> list[tuple[str, int]]:
        enqueued.clear()
        monkeypatch.setattr(clock_steps, "_looked_at", float("-inf"))
        with django_capture_on_commit_callbacks(execute=True):
            tasks.tick()
        return enqueued

    return tick_once


Tick = Callable[[], list[tuple[str, int]]]


@pytest.mark.parametrize("minutes", [1, 4, 60])
@pytest.mark.parametrize(
    ("status", "task"),
    [
        (Status.QUEUED, TaskName.PLACE),
        (Status.WAITING, TaskName.POLL_TOKEN),
        (Status.RECEIVED, TaskName.POLL_TOKEN),
        (Status.UNCONFIRMED, TaskName.RECONCILE),
    ],
)
def test_what_was_due_soon_is_due_now(tick: Tick, status: Status, task: TaskName, minutes: int) -> None:
    with before_the_step(minutes):
        rental = make_rental(status)
        Token.objects.update(next_watch_at=timezone.now() + timedelta(seconds=2))
        Rental.objects.update(due_at=timezone.now() + timedelta(seconds=2))
    assert (task, rental.token_id) in tick()


def test_a_destination_that_a_worker_held_before_is_free(tick: Tick) -> None:
    with before_the_step(60):
        destination = make_destination(busy_until=timezone.now() + delivering.MAX_CLAIM)
    tick()
    destination.refresh_from_db()
    assert destination.busy_until is not None
    assert destination.busy_until <= timezone.now()


@pytest.mark.parametrize("minutes", [3, 60])
def test_an_event_is_sent_now_also_to_a_destination_whose_worker_died(tick: Tick, minutes: int) -> None:
    destination = make_destination()
    with before_the_step(minutes):
        now = timezone.now()
        Delivery.objects.create(destination=destination, event="test", at=now, next_try=now)
        Destination.objects.update(busy_until=now + delivering.MAX_CLAIM)
    tick()
    assert (TaskName.DELIVER, destination.pk) in tick()


def test_a_time_that_is_written_after_the_step_by_the_old_clock_is_brought_back_too(tick: Tick) -> None:
    rental = make_rental(Status.WAITING, due_at=timezone.now() + timedelta(seconds=2))
    assert tick() == []
    with before_the_step(60):
        Rental.objects.update(due_at=timezone.now() + timedelta(seconds=2))
    assert tick() == [(TaskName.POLL_TOKEN, rental.token_id)]


@pytest.mark.parametrize(
    ("ahead", "due"), [(-3600, True), (0, True), (1, False), (10, False), (11, True), (3600, True)]
)
def test_a_time_is_due_when_it_has_come_or_lies_further_ahead_than_it_is_ever_set_to(
    tick: Tick, monkeypatch: pytest.MonkeyPatch, ahead: int, due: bool
) -> None:
    monkeypatch.setattr(clock_steps, "skew_seconds", lambda: 0.0)
    with time_machine.travel(timezone.now(), tick=False):
        rental = make_rental(Status.WAITING)
        Token.objects.update(next_watch_at=timezone.now() + timedelta(seconds=ahead))
        assert ((TaskName.POLL_TOKEN, rental.token_id) in tick()) is due


@pytest.mark.parametrize(("ahead", "held"), [(-1, False), (0, False), (1, True), (10, True), (11, False)])
def test_a_hold_lasts_only_as_long_as_it_is_ever_set_to(
    tick: Tick, monkeypatch: pytest.MonkeyPatch, ahead: int, held: bool
) -> None:
    monkeypatch.setattr(clock_steps, "skew_seconds", lambda: 0.0)
    with time_machine.travel(timezone.now(), tick=False):
        token = make_token(hold=Hold.DOWN, hold_until=timezone.now() + timedelta(seconds=ahead))
        tick()
        token.refresh_from_db()
        assert (breaker.hold_of(token) == Hold.DOWN) is held


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite is one machine's own database")
def test_what_a_machine_wrote_whose_clock_is_two_seconds_ahead_stays(tick: Tick) -> None:
    """Its holds, and its claims of a token's numbers: a machine behind it would cut both short at each tick."""
    token = make_token()
    with before_the_step(2 / 60):
        breaker.put_on_hold(token, Hold.DOWN, seconds=breaker.MAX_HOLD_SECONDS)
        Token.objects.update(next_watch_at=timezone.now() + timedelta(seconds=breaker.MAX_PAUSE_SECONDS))
    written = Token.objects.values_list("hold_until", "next_watch_at").get()
    tick()
    assert Token.objects.values_list("hold_until", "next_watch_at").get() == written


def test_a_hold_without_an_end_holds_nothing() -> None:
    assert breaker.hold_of(make_token(hold=Hold.DOWN, hold_until=None)) == Hold.NONE


def test_a_hold_set_before_is_over(tick: Tick) -> None:
    token = make_token()
    with before_the_step(2):
        breaker.put_on_hold(token, Hold.DOWN, seconds=10)
        assert breaker.hold_of(token) == Hold.DOWN
    tick()
    token.refresh_from_db()
    assert breaker.hold_of(token) == Hold.NONE


def test_a_history_distrusted_before_is_asked_again(tick: Tick) -> None:
    with before_the_step(60):
        token = make_token(history_distrusted_until=timezone.now() + timedelta(seconds=30))
    tick()
    token.refresh_from_db()
    assert token.history_distrusted_until is not None
    assert token.history_distrusted_until <= timezone.now()


def test_a_job_that_ran_before_is_due(tick: Tick) -> None:
    token = make_token()
    with before_the_step(2):
        runs.note_run(JobName.BALANCE, token.pk)
        assert runs.due(JobName.BALANCE, seconds=30) == []
        assert statistics.refresh_if_due()
    tick()
    assert runs.due(JobName.BALANCE, seconds=30) == [token.pk]
    assert statistics.refresh_if_due()


def test_a_background_job_whose_worker_died_before_is_found(tick: Tick) -> None:
    team = make_team()
    with before_the_step(60):
        job = BackgroundJob.objects.create(
            kind=BackgroundJob.Kind.EXPORT_CSV,
            person=make_person(team),
            team=team,
            state=BackgroundJob.State.RUNNING,
            alive_at=timezone.now(),
        )
    tick()
    with time_machine.travel(timezone.now() + timedelta(seconds=background.LOST_SECONDS + 1)):
        assert background.due_jobs() == [job.pk]


def test_times_that_are_as_far_ahead_as_they_are_ever_set_stay(tick: Tick, settings: Settings) -> None:
    settings.THUESIM_POLL_SECONDS = 3.0
    longest = {
        Status.QUEUED: max(placing.RETRY_PAUSES),
        Status.WAITING: outcomes.LATE_POLL_SECONDS,
        Status.UNCONFIRMED: max(reconciling.RECONCILE_PAUSES),
    }
    with time_machine.travel(timezone.now(), tick=False):
        now = timezone.now()
        for status, seconds in longest.items():
            make_rental(status, due_at=now + timedelta(seconds=seconds))
        Token.objects.update(
            next_watch_at=now + timedelta(seconds=breaker.MAX_PAUSE_SECONDS),
            hold_until=now + timedelta(seconds=breaker.MAX_HOLD_SECONDS),
            history_distrusted_until=now + timedelta(seconds=polling.HISTORY_DISTRUST_SECONDS),
        )
        rows = [list(Rental.objects.order_by("pk").values()), list(Token.objects.order_by("pk").values())]
        tick()
    assert rows == [list(Rental.objects.order_by("pk").values()), list(Token.objects.order_by("pk").values())]


def test_a_tick_looks_at_once_when_the_clock_of_its_machine_was_set(
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    with django_capture_on_commit_callbacks(execute=True), before_the_step(60):
        tasks.tick()
        rental = make_rental(Status.QUEUED, due_at=timezone.now())
    tasks.tick()
    rental.refresh_from_db()
    assert rental.due_at is not None
    assert rental.due_at <= timezone.now()


def test_times_too_far_ahead_are_looked_for_every_few_seconds(
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    clock_steps.bring_back_in_turn()
    with django_assert_max_num_queries(1):
        clock_steps.bring_back_in_turn()


def test_an_ordinary_tick_writes_nothing_for_it(django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
    make_rental(Status.WAITING)
    clock_steps.bring_back()  # the first one notes how this machine's clock goes
    with django_assert_max_num_queries(2) as captured:
        clock_steps.bring_back()
    assert all(query["sql"].startswith("SELECT") for query in captured)
