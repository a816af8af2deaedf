"""The check of the public address that an admin asks for."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from lib.network.public_url import Finding
from lib.network.public_url_problems import Problem
from rentals import enqueue, tasks
from rentals.enqueue import Wakeup
from rentals.jobs.upkeep import public_url
from rentals.models import PublicUrlCheck
from rentals.task_names import TaskName

pytestmark = pytest.mark.django_db


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Wakeup]:
    sent: list[Wakeup] = []
    monkeypatch.setattr(enqueue, "put", sent.append)
    return sent


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> list[str]:
    """The addresses that were examined: each has a proxy that drops `X-Forwarded-For`."""
    settings.PUBLIC_URL = "https://example.com/desk"
    asked: list[str] = []

    def examine(url: str) -> list[Finding]:
        asked.append(url)
        return [Finding(Problem.CLIENT_LOST, {"peer": "10.0.0.9"})]

    monkeypatch.setattr(public_url, "examine", examine)
    return asked


def test_a_check_is_done_by_a_worker_and_kept(
    sent: list[Wakeup], asked: list[str], django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        assert public_url.ask()
    assert [(wakeup.task, wakeup.pk) for wakeup in sent] == [(TaskName.CHECK_PUBLIC_URL, public_url.THE_ROW)]
    assert asked == []
    tasks.check_public_url(public_url.THE_ROW)
    tasks.check_public_url(public_url.THE_ROW)  # the message came twice
    assert asked == ["https://example.com/desk"]
    kept = PublicUrlCheck.objects.get()
    assert kept.done_at is not None
    assert (kept.url, kept.findings) == (
        "https://example.com/desk", [{"problem": "client_lost", "values": {"peer": "10.0.0.9"}}]
    )  # fmt: skip


def test_nobody_has_it_checked_again_and_again(sent: list[Wakeup]) -> None:
    assert public_url.ask()
    assert not public_url.ask()
    with time_machine.travel(timezone.now() + public_url.PAUSE + timedelta(seconds=1)):
        assert public_url.ask()
    assert PublicUrlCheck.objects.count() == 1


def test_a_check_whose_message_was_lost_is_sent_again(
    sent: list[Wakeup], django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    public_url.ask()
    with django_capture_on_commit_callbacks(execute=True):
        tasks.resend_lost_work()
    assert TaskName.CHECK_PUBLIC_URL in {wakeup.task for wakeup in sent}
    public_url.check(public_url.THE_ROW)
    assert public_url.due_checks() == []
