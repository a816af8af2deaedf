"""Waking a worker never delays its caller."""

import time
from collections.abc import Iterator, Sequence

import pytest
from django.db import transaction
from kombu.exceptions import OperationalError

from rentals import enqueue
from thuesim_site.celery import app

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _own_thread() -> Iterator[None]:
    """The thread of another test may still be busy with what that one sent; from this one messages are taken."""
    enqueue.unsent.cache_clear()
    yield
    enqueue.unsent.cache_clear()


def wait_for(sent: Sequence[object]) -> None:
    deadline = time.monotonic() + 60
    while not sent and time.monotonic() < deadline:
        time.sleep(0.005)


def test_a_message_leaves_after_the_commit_and_holds_an_id_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[str, dict[str, object]]] = []
    monkeypatch.setattr(app, "send_task", lambda task, **options: sent.append((task, options)))
    with transaction.atomic():
        enqueue.place(7, in_seconds=5)
        assert sent == []
    wait_for(sent)
    [(task, options)] = sent
    assert (task, options["args"], options["queue"], options["countdown"]) == ("rentals.place", (7,), "renting", 5)


def test_a_broker_that_is_away_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[object] = []

    def hang(task: str, **options: object) -> None:
        tried.append(task)
        time.sleep(0.3)
        raise OperationalError("away")

    monkeypatch.setattr(app, "send_task", hang)
    for pk in range(enqueue.MAX_UNSENT + 10):
        enqueue.poll_token(pk)
    assert len(tried) < enqueue.MAX_UNSENT, "they were put aside, not waited for"
    wait_for(tried)
    enqueue.unsent().queue.clear()
    assert tried


def test_what_the_broker_s_client_was_not_expected_to_raise_stops_no_later_message(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    sent: list[int] = []

    def send(task: str, *, args: tuple[int], **options: object) -> None:
        if args == (1,):
            raise AttributeError("'NoneType' object has no attribute 'put'")
        sent.append(*args)

    monkeypatch.setattr(app, "send_task", send)
    enqueue.place(1)
    enqueue.place(2)
    wait_for(sent)
    assert sent == [2]
    assert "rentals.place not sent" in caplog.text
