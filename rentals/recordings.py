"""A recording of a voice call as it is served: in byte ranges, and fetched again where its file is not here."""

import re
from http import HTTPStatus
from typing import IO

from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase
from django.utils.translation import gettext as _

from rentals import enqueue
from rentals.models import Message


def missing_sentence(message: Message) -> str:
    """Return the sentence that says that the file is not here, as after a restore without it. It is fetched again if that
    may help."""
    if not message.may_fetch_recording:
        return _("The recording is no longer here, and ThueSim does not have it any more.")
    enqueue.fetch_recording(message.pk)
    return _("The recording is no longer here. It is being fetched from ThueSim again: play it in a few seconds.")


def unreachable_sentence() -> str:
    """Return the sentence that says that the shared files do not answer."""
    return _("The storage of recordings does not answer: play it again in a minute. The code does not wait for it.")


def ranged(request: HttpRequest, message: Message) -> HttpResponseBase:
    """Return the recording, or the part of it that `Range` asks for. Raises `OSError` if the file is not here,
    `shared_files.Unreachable` if the storage does not say.
    """
    size = message.audio.size
    asked = re.fullmatch(r"bytes=(\d{1,15})-(\d{0,15})", request.headers.get("Range", ""))
    first = int(asked.group(1)) if asked else 0
    last = min(int(asked.group(2) or size), size - 1) if asked else size - 1
    if asked and first > last:
        unsatisfiable = HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
        return HttpResponse(status=unsatisfiable, headers={"Content-Range": f"bytes */{size}"})
    headers = {
        "Accept-Ranges": "bytes",
        "Content-Disposition": "inline",
        "Content-Length": str(last - first + 1),
        "X-Content-Type-Options": "nosniff",
    }
    if asked:
        headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    return FileResponse(
        _Part(message.audio.open("rb"), first, last - first + 1),
        content_type=message.audio_type or "audio/wav",
        headers=headers,
        status=HTTPStatus.PARTIAL_CONTENT if asked else HTTPStatus.OK,
    )


class _Part:
    """A part of a file, as `FileResponse` reads and closes it. A whole recording may have 10 MB."""

    def __init__(self, file: IO[bytes], first: int, length: int) -> None:
        self._file, self._remaining = file, length
        file.seek(first)

    def read(self, size: int) -> bytes:
        chunk = self._file.read(min(size, self._remaining))
        self._remaining -= len(chunk)
        return chunk

    def close(self) -> None:
        self._file.close()
