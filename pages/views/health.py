"""For those who watch the desk: is it alive, can it work."""

from datetime import timedelta

from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from rentals.models import JobName, JobRun


@login_not_required
@never_cache
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """The process answers. Asks nothing of anybody else."""
    return HttpResponse("ok\n", content_type="text/plain")


@login_not_required
@never_cache
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """The database answers (else 503); beside it, how many seconds ago the jobs last ran."""
    try:
        connection.ensure_connection()
        ticked = JobRun.objects.filter(name=JobName.TICK).values_list("at", flat=True).first()
    except DatabaseError:
        return JsonResponse({"database": "down"}, status=503)
    age = None if ticked is None else round((timezone.now() - ticked) / timedelta(seconds=1), 1)
    return JsonResponse({"database": "up", "tick_age_seconds": age})
