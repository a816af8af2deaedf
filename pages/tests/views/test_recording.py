"""A recording whose file is gone, as after a restore without it, is a sentence and no error page."""

from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from rentals.models import Message
from rentals.tests.factories import make_person, make_team, make_voice_call

pytestmark = pytest.mark.django_db


@pytest.fixture
def call(client: Client, settings: Settings, tmp_path: Path) -> Message:
    """A voice call of a signed-in person, whose recording was kept."""
    settings.MEDIA_ROOT = tmp_path
    team = make_team()
    person = make_person(team)
    client.force_login(person)
    return make_voice_call(person, team)


def lose(call: Message) -> None:
    Path(call.audio.path).unlink()


def play(client: Client, call: Message) -> tuple[int, str]:
    answer = client.get(reverse("recording", args=[call.rental_id]))
    return answer.status_code, b"".join(answer).decode()


def has_player(client: Client, call: Message) -> list[bool]:
    pages = ["/", reverse("rental", args=[call.rental_id])]
    return ["<audio" in client.get(page).content.decode() for page in pages]


def test_a_file_that_is_here_is_played(client: Client, call: Message) -> None:
    assert play(client, call) == (200, "RIFF")
    assert has_player(client, call) == [True, True]


def test_a_missing_file_that_thuesim_may_have_is_fetched_again(
    client: Client, call: Message, enqueued: list[tuple[str, int]], django_capture_on_commit_callbacks: object
) -> None:
    Message.objects.update(audio_url="https://thuesim.xyz/1.wav")
    lose(call)
    assert has_player(client, call) == [True, True]
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]
        status, sentence = play(client, call)
    assert (status, sentence) == (
        404,
        "The recording is no longer here. It is being fetched from ThueSim again: play it in a few seconds.",
    )
    assert ("rentals.fetch_audio", call.pk) in enqueued


def test_a_missing_file_that_nobody_has_is_said_and_its_player_is_gone(
    client: Client, call: Message, enqueued: list[tuple[str, int]]
) -> None:
    lose(call)
    assert has_player(client, call) == [False, False]
    assert play(client, call) == (404, "The recording is no longer here, and ThueSim does not have it any more.")
    assert enqueued == []
