"""Threads do each work once at a time, and survive its errors."""

import threading

import pytest

from lib.deduplicating_threads import DeduplicatingThreads
from thuesim_site.testing import wait_until

pytestmark = pytest.mark.django_db(transaction=True)  # each thread closes its old database connections


def test_what_is_at_work_is_not_taken_twice_and_other_work_does_not_wait() -> None:
    threads, finish, done = DeduplicatingThreads(2, "test"), threading.Event(), list[str]()

    def long() -> None:
        finish.wait(60)
        done.append("long")

    threads.submit("long", long)
    threads.submit("long", long)
    threads.submit("short", lambda: done.append("short"))
    wait_until(lambda: done == ["short"], "the short one is done beside")
    finish.set()
    wait_until(lambda: done == ["short", "long"], "the long one is done once")
    threads.submit("long", lambda: done.append("again"))
    wait_until(lambda: done == ["short", "long", "again"], "it is taken again afterwards")


def test_an_error_is_logged_and_the_work_is_taken_again(caplog: pytest.LogCaptureFixture) -> None:
    threads, done = DeduplicatingThreads(1, "test"), list[str]()

    def fail() -> None:
        raise ValueError("broken")

    threads.submit("work", fail)
    wait_until(lambda: "work failed" in caplog.text, "the error is logged")

    def taken() -> bool:
        threads.submit("work", lambda: done.append("done"))
        return bool(done)

    wait_until(taken, "it is done")
