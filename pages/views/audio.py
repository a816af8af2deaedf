"""The recording of a call, for those who may read its code or whose look at it was recorded."""

import re
from datetime import timedelta

from django.http import FileResponse, Http404, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts import audit
from accounts.http import DeskRequest
from accounts.models import AuditRecord
from rentals.models import Message, Rental

# For so long after a recorded look the player that it brought plays.
LOOK = timedelta(minutes=15)


@require_safe
@never_cache
def audio(request: DeskRequest, pk: int) -> HttpResponse | FileResponse:
    """Play a call. `?message=` names one of several; else it is the latest. Serves byte ranges, which Safari asks for."""
    found = get_object_or_404(Rental.objects.for_cards().visible_to(request.access), pk=pk)
    if not request.access.sees_code(found) and not _revealed(request, found):
        raise Http404
    wanted = request.GET.get("message", "")
    calls = [m for m in found.messages.all() if m.audio and (not wanted or str(m.pk) == wanted)]
    if not calls:
        raise Http404
    return _ranged(request, calls[-1])


def _revealed(request: DeskRequest, rental: Rental) -> bool:
    """Whether they may ask for masked codes, did so for this one just now, and it stands in the audit record."""
    looks = AuditRecord.objects.filter(
        action=audit.Action.REVEAL, person=request.user, target=audit.about(rental), at__gt=timezone.now() - LOOK
    )
    return request.access.may_reveal(rental) and looks.exists()


def _ranged(request: DeskRequest, call: Message) -> HttpResponse:
    with call.audio.open("rb") as kept:
        body = kept.read()
    wanted = re.fullmatch(r"bytes=(\d*)-(\d*)", request.headers.get("Range", ""))
    headers = {"Accept-Ranges": "bytes", "Content-Disposition": "inline", "X-Content-Type-Options": "nosniff"}
    content_type = call.audio_type or "audio/wav"
    if not wanted or wanted.group(1) == "":
        return HttpResponse(body, content_type=content_type, headers=headers)
    first = int(wanted.group(1))
    last = min(int(wanted.group(2) or len(body) - 1), len(body) - 1)
    if first > last:
        return HttpResponse(status=416, headers={"Content-Range": f"bytes */{len(body)}"})
    headers["Content-Range"] = f"bytes {first}-{last}/{len(body)}"
    return HttpResponse(body[first : last + 1], content_type=content_type, headers=headers, status=206)
