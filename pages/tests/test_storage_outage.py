"""While the bucket of the shared files does not answer, codes come, pages are made, and what waits for it is done later."""

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.conf import settings as django_settings
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from accounts import api_keys
from accounts.models import Role, Scope
from accounts.policy import access_for
from lib.files import shared_files
from lib.files.buckets import parse_bucket
from lib.tests import storage_outage
from rentals import orders
from rentals.jobs import background, placing, polling, recordings
from rentals.jobs.runs import note_run
from rentals.jobs.upkeep import retention, storage
from rentals.models import BackgroundJob, JobName, JobRun, Message, Rental, Token
from rentals.tests.factories import make_person, make_team, make_voice_call
from rentals.tests.fixtures import House

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def in_a_bucket(settings: Settings, tmp_path: Path) -> Iterator[None]:
    settings.MEDIA_ROOT = settings.FILES_DIR = tmp_path
    settings.FILES_BUCKET = parse_bucket("s3://key:secret@s3.example.com/desk")
    settings.STORAGES = {
        **django_settings.STORAGES,
        "default": {"BACKEND": "lib.tests.storage_outage.Recordings"},
        "exports": {"BACKEND": "lib.tests.storage_outage.Exports"},
    }
    yield
    storage_outage.set_down(False)


@pytest.fixture
def call(client: Client) -> Message:
    """A voice call of a signed-in manager, whose recording is in the bucket."""
    team = make_team()
    person = make_person(team, Role.MANAGER)
    client.force_login(person)
    return make_voice_call(person, team)


def test_pages_with_a_player_ask_the_bucket_nothing(client: Client, call: Message) -> None:
    before = storage_outage.asked()
    for page in ("/", reverse("rental", args=[call.rental_id])):
        assert "<audio" in client.get(page).content.decode()
    assert storage_outage.asked() == before


def test_playing_says_that_the_storage_does_not_answer_and_no_one_counts_as_a_listener(
    client: Client, call: Message
) -> None:
    storage_outage.set_down(True)
    answer = client.get(reverse("recording", args=[call.rental_id]))
    assert answer.status_code == 503
    assert answer.content.decode().startswith("The storage of recordings does not answer")
    storage_outage.set_down(False)
    assert b"".join(client.get(reverse("recording", args=[call.rental_id]))) == b"RIFF"


def test_the_api_says_it_as_a_problem(client: Client, call: Message) -> None:
    rental = call.rental
    assert rental.person is not None
    scopes = [Scope.CODES_READ, Scope.RENTALS_READ]
    _key, text = api_keys.make(rental.person, access_for(rental.person), name="CI", scopes=scopes)
    storage_outage.set_down(True)
    answer = client.get(f"/api/v1/rentals/{rental.pk}/audio", headers={"Authorization": f"Bearer {text}"})
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert "recordings" in answer.json()["detail"]


def test_a_recording_that_could_not_be_kept_is_fetched_again_and_no_try_is_counted(house: House) -> None:
    rental = orders.take_order(orders.Order(person=house.person, team=house.team, service=house.service))
    placing.place_next(house.token.pk)
    rental.refresh_from_db()
    house.upstream.deliver(rental.upstream_key, "mã otp của bạn là 059809", "059809", call=True)
    Token.objects.update(next_watch_at=None)
    Rental.objects.update(due_at=timezone.now())
    polling.poll_token(house.token.pk)
    message = Message.objects.get(rental=rental)
    assert message.code == "059809"
    storage_outage.set_down(True)
    for _ in range(2 * recordings.MAX_TRIES):
        assert not recordings.fetch_recording(message.pk)
    storage_outage.set_down(False)
    assert recordings.due_recordings() == [message.pk]
    assert recordings.fetch_recording(message.pk)
    message.refresh_from_db()
    with message.audio.open() as file:
        assert file.read(4) == b"RIFF"


def export(call: Message) -> BackgroundJob:
    rental = Rental.objects.get(pk=call.rental_id)
    assert rental.person is not None
    return background.begin(BackgroundJob.Kind.EXPORT_CSV, person=rental.person, team=rental.team)


def test_an_export_that_cannot_be_kept_says_so(client: Client, call: Message, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "MAX_STORAGE_SECONDS", 0.0)
    monkeypatch.setattr(background, "STORAGE_RETRY_SECONDS", 0.01)
    storage_outage.set_down(True)
    background.work(export(call).pk)
    page = client.get("/background/").content.decode()
    assert "The storage of shared files does not answer, so the export was not kept." in page


def test_an_export_waits_for_a_storage_that_comes_back(
    client: Client, call: Message, monkeypatch: pytest.MonkeyPatch
) -> None:
    back = mock.Mock(wraps=time, sleep=lambda _seconds: storage_outage.set_down(False))
    monkeypatch.setattr(background, "time", back)
    storage_outage.set_down(True)
    job = export(call)
    background.work(job.pk)
    job.refresh_from_db()
    assert job.state == BackgroundJob.State.DONE
    answer: Any = client.get(f"/background/{job.pk}/file/")
    assert b"059809" in b"".join(answer)


def test_an_export_into_a_bucket_is_downloaded_from_the_page_of_background_work(
    client: Client, call: Message, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "MAX_AT_ONCE", 0)
    assert client.post("/rentals/export.csv").headers["Location"] == "/background/"
    BackgroundJob.objects.update(state="running", run="one", alive_at=timezone.now())
    assert "Download" not in client.get("/background/", headers={"HX-Request": "true"}).content.decode()


def test_a_finished_export_that_cannot_be_read_is_said_on_the_page(client: Client, call: Message) -> None:
    job = export(call)
    background.work(job.pk)
    storage_outage.set_down(True)
    answer = client.get(f"/background/{job.pk}/file/", follow=True)
    assert "The storage of shared files does not answer. Try again in a minute." in answer.content.decode()


def test_old_texts_are_deleted_at_once_and_recordings_once_it_answers(call: Message) -> None:
    old = timezone.now() - timedelta(days=365)
    text = Message.objects.create(rental=call.rental, at=old, code="1", source="poll", fingerprint="y")
    Message.objects.filter(pk=call.pk).update(at=old)
    storage_outage.set_down(True)
    assert retention.delete_old_messages() == 1
    assert not Message.objects.filter(pk=text.pk).exists()
    storage_outage.set_down(False)
    assert retention.delete_old_messages() == 1
    assert not shared_files.recordings().exists(str(call.audio.name))


def test_the_system_page_says_that_the_shared_files_do_not_answer(client: Client, call: Message) -> None:
    storage.check()
    assert JobRun.objects.get(name=JobName.STORAGE).fault == ""
    storage_outage.set_down(True)
    storage.check()
    assert JobRun.objects.get(name=JobName.STORAGE).fault == "no answer"
    JobRun.objects.filter(name=JobName.STORAGE).update(ok_at=timezone.now() - timedelta(minutes=6))
    page = client.get("/system/").content.decode()
    assert "Shared files" in page
    assert "no answer" in page


def test_files_of_one_machine_are_not_tried_out(settings: Settings) -> None:
    settings.FILES_BUCKET, settings.DATA_DIR = None, settings.FILES_DIR
    note_run(JobName.STORAGE, error="of a bucket that was there before")
    storage.check()
    assert not JobRun.objects.filter(name=JobName.STORAGE).exists()
