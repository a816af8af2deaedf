"""The audio of calls is fetched once, from the upstream's own host, and kept."""

from pathlib import Path

import pytest
from django.utils import timezone
from pytest_django import Settings

from rentals import orders
from rentals.jobs import placing, polling, recordings
from rentals.models import Message, Rental, Token
from rentals.tests.fixtures import House

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]


@pytest.fixture
def call(house: House, settings: Settings, tmp_path: Path) -> Message:
    """A call that a number received, of which only the address is known yet."""
    settings.MEDIA_ROOT = tmp_path
    rental = orders.take_order(orders.Order(person=house.person, team=house.team, service=house.service))
    placing.place_next(house.token.pk)
    rental.refresh_from_db()
    house.upstream.deliver(rental.upstream_key, "mã otp của bạn là 059809", "059809", call=True)
    Token.objects.update(next_watch_at=None)
    Rental.objects.update(due_at=timezone.now())
    polling.poll_token(house.token.pk)
    return Message.objects.get(rental=rental, is_call=True)


@pytest.mark.database
def test_the_audio_is_kept_once_with_its_type(call: Message, tmp_path: Path) -> None:
    assert recordings.due_recordings() == [call.pk]
    assert recordings.fetch_recording(call.pk)
    assert not recordings.fetch_recording(call.pk)
    call.refresh_from_db()
    assert call.audio_type == "audio/wav"
    assert (tmp_path / str(call.audio.name)).read_bytes().startswith(b"RIFF")
    assert recordings.due_recordings() == []
    assert call.code == "059809"


@pytest.mark.parametrize("fault", ["audio-html", "http-500", "redirect", "reset-before", "lost-midway"])
def test_what_is_no_audio_is_not_kept_and_is_tried_a_few_times(house: House, call: Message, fault: str) -> None:
    house.upstream.set_fault(fault, endpoint="audio")
    for _ in range(recordings.MAX_TRIES):
        assert recordings.due_recordings() == [call.pk]
        assert not recordings.fetch_recording(call.pk)
    assert recordings.due_recordings() == []
    call.refresh_from_db()
    assert not call.audio


@pytest.mark.parametrize(
    "address", ["http://127.0.0.2:1/a.wav", "http://example.invalid/a.wav", "file:///etc/passwd", "//x/a"]
)
def test_nothing_is_fetched_from_another_host(call: Message, address: str) -> None:
    Message.objects.filter(pk=call.pk).update(audio_url=address)
    assert not recordings.fetch_recording(call.pk)
    call.refresh_from_db()
    assert not call.audio


def test_a_recording_whose_file_is_gone_is_fetched_again(call: Message, tmp_path: Path) -> None:
    assert recordings.fetch_recording(call.pk)
    call.refresh_from_db()
    file = tmp_path / str(call.audio.name)
    file.unlink()
    assert call.is_playable
    assert recordings.fetch_recording(call.pk)
    call.refresh_from_db()
    assert (tmp_path / str(call.audio.name)).read_bytes().startswith(b"RIFF")
    assert not recordings.fetch_recording(call.pk)


def test_a_recording_that_thuesim_no_longer_has_is_given_up_and_its_player_goes(
    house: House, call: Message, tmp_path: Path
) -> None:
    assert recordings.fetch_recording(call.pk)
    call.refresh_from_db()
    (tmp_path / str(call.audio.name)).unlink()
    Message.objects.filter(pk=call.pk).update(audio_url=f"{house.upstream.url}/audio/none.wav")
    assert not recordings.fetch_recording(call.pk)
    call.refresh_from_db()
    assert not call.is_playable
    assert recordings.due_recordings() == []


def test_a_recording_whose_file_is_gone_stays_while_thuesim_does_not_answer(
    house: House, call: Message, tmp_path: Path
) -> None:
    assert recordings.fetch_recording(call.pk)
    call.refresh_from_db()
    (tmp_path / str(call.audio.name)).unlink()
    house.upstream.set_fault("http-500", endpoint="audio")
    assert not recordings.fetch_recording(call.pk)
    call.refresh_from_db()
    assert call.is_playable
