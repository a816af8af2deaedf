"""Download the recordings of voice calls: once, from the upstream's own host, into our storage."""

import logging
from datetime import timedelta

from django.core.files.base import ContentFile
from django.db.models import F
from django.utils import timezone

import thuesim
from lib.files import shared_files
from rentals import lifecycle
from rentals.models import Message
from rentals.upstream import breaker
from rentals.upstream.client import KeyMissing, client_for

MAX_TRIES = Message.MAX_AUDIO_TRIES
logger = logging.getLogger(__name__)


def due_recordings() -> list[int]:
    """Return the messages whose recording is not stored yet and may still be fetched; at most 50."""
    recent = timezone.now() - timedelta(hours=2)
    missing = Message.objects.filter(is_call=True, audio="", audio_tries__lt=MAX_TRIES, at__gt=recent)
    return list(missing.exclude(audio_url="").values_list("pk", flat=True)[:50])


def fetch_recording(message_id: int) -> bool:
    """Fetch and store the recording of a voice call; again where its file is gone. May run twice: the second run
    changes nothing. Returns whether this run fetched it.

    While the storage does not answer, nothing is fetched and no try is counted.
    """
    if shared_files.recordings().is_away:
        return False
    try:
        return _fetch_recording(message_id)
    except shared_files.Unreachable as error:
        logger.warning(
            "the recording of message %s is not kept yet: the shared files do not answer (%s)", message_id, error
        )
        return False


def _fetch_recording(message_id: int) -> bool:
    message = Message.objects.select_related("rental__token").filter(pk=message_id).first()
    if message is None or message.has_recording_file or not message.may_fetch_recording:
        return False
    try:
        client = client_for(message.rental.token)
    except KeyMissing:
        return False  # before the try is counted
    claimed = Message.objects.filter(pk=message.pk, audio_tries=message.audio_tries)
    if not claimed.update(audio_tries=F("audio_tries") + 1):
        return False
    # Not `breaker.reporting`: a file that comes does not prove that the API answers, nor a missing file that it is down.
    try:
        audio = client.audio(message.audio_url)
    except thuesim.OutcomeUnknown as error:
        breaker.failed(message.rental.token, error)
        return False
    except (thuesim.Rejected, thuesim.AudioRefused):
        if message.audio:  # its file is gone, and ThueSim no longer has it: the player goes, too
            lifecycle.recording_lost(message)
        return False
    except thuesim.NotRented:
        return False
    name = f"calls/{timezone.now():%Y/%m}/{message.pk}.audio"
    try:
        name = shared_files.recordings().save(name, ContentFile(audio.content))
    except shared_files.Unreachable:
        Message.objects.filter(pk=message.pk, audio_tries__gt=0).update(audio_tries=F("audio_tries") - 1)
        raise
    lifecycle.recording_kept(message, name=name, content_type=audio.content_type)
    return True
