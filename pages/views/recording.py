"""The recording of a voice call, for people who may read its code, or have revealed it."""

from http import HTTPStatus

from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts import audit
from accounts.audit import OncePerDay
from accounts.desk_request import DeskRequest
from lib.files.shared_files import Unreachable
from rentals import code_access, recordings
from rentals.models import Rental


@require_safe
@never_cache
def recording(request: DeskRequest, pk: int) -> HttpResponseBase:
    """Play a recording: the latest, or that of `?message=`. Serves byte ranges, which Safari asks for."""
    rental = get_object_or_404(Rental.objects.for_cards().visible_to(request.access), pk=pk)
    if not request.access.sees_code(rental) and not code_access.was_revealed_to(request.access, rental):
        raise Http404
    chosen = request.GET.get("message", "")
    recorded = [m for m in rental.messages.all() if m.audio and (not chosen or str(m.pk) == chosen)]
    if not recorded:
        raise Http404
    try:
        answer = recordings.ranged(request, recorded[-1])
    except Unreachable:
        return _sentence(recordings.unreachable_sentence(), HTTPStatus.SERVICE_UNAVAILABLE)
    except OSError:
        return _sentence(recordings.missing_sentence(recorded[-1]), HTTPStatus.NOT_FOUND)
    listened = OncePerDay(audit.Action.LISTEN, request.user.pk, rental.team_id, audit.about(rental))
    code_access.record_shown([listened], request=request)
    return answer


def _sentence(sentence: str, status: HTTPStatus) -> HttpResponse:
    return HttpResponse(sentence, status=status, content_type="text/plain; charset=utf-8")
