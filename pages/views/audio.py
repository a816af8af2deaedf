"""The recording of a voice call, for those who may read its code or whose reveal of it was recorded."""

import re
from http import HTTPStatus
from typing import IO

from django.http import FileResponse, Http404, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts import audit
from accounts.audit import OncePerDay
from accounts.http import DeskRequest
from rentals import code_access, enqueue
from rentals.models import Message, Rental


@require_safe
@never_cache
def audio(request: DeskRequest, pk: int) -> HttpResponseBase:
    """Play a recording: the latest, or that of `?message=`. Serves byte ranges, which Safari asks for."""
    rental = get_object_or_404(Rental.objects.for_cards().visible_to(request.access), pk=pk)
    if not request.access.sees_code(rental) and not code_access.was_revealed_to(request.access, rental):
        raise Http404
    chosen = request.GET.get("message", "")
    recorded = [m for m in rental.messages.all() if m.audio and (not chosen or str(m.pk) == chosen)]
    if not recorded:
        raise Http404
    try:
        answer = _ranged(request, recorded[-1])
    except OSError:
        return _missing(recorded[-1])
    listened = OncePerDay(audit.Action.LISTEN, request.user.pk, rental.team_id, audit.about(rental))
    code_access.record_shown([listened], request=request)
    return answer


def _missing(message: Message) -> HttpResponse:
    """Say that the file is not here, as after a restore without it, and have it fetched again if that may help."""
    sentence = _("The recording is no longer here, and ThueSim does not have it any more.")
    if message.may_fetch_recording:
        enqueue.fetch_audio(message.pk)
        sentence = _(
            "The recording is no longer here. It is being fetched from ThueSim again: play it in a few seconds."
        )
    return HttpResponse(sentence, status=HTTPStatus.NOT_FOUND, content_type="text/plain; charset=utf-8")


def _ranged(request: DeskRequest, message: Message) -> HttpResponseBase:
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
