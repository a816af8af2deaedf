"""Health checks for monitoring: is the process alive, can it work."""

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
    """Answer 200 as long as the process runs. Asks nothing of the database or Redis."""
    return HttpResponse("ok\n", content_type="text/plain")


@login_not_required
@never_cache
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """Answer 200 if the database does, else 503. `tick_age_seconds` says how long ago the scheduler last ran."""
    try:
        connection.ensure_connection()
        ticked = JobRun.objects.filter(name=JobName.TICK).values_list("at", flat=True).first()
    except DatabaseError:
        return JsonResponse({"database": "down"}, status=503)
    age = None if ticked is None else round((timezone.now() - ticked) / timedelta(seconds=1), 1)
    return JsonResponse({"database": "up", "tick_age_seconds": age})
