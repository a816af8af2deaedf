"""Health checks for monitoring: `/healthz` says that the process is alive, `/readyz` that it can work."""

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from lib.redis_access.redis_state import Store
from pages.presenters.readiness import Readiness, readiness


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
    """For monitors: answer 200 if an order would go out, else 503 with the reasons. `tick_age_seconds` says how long ago the
    scheduler last ran. Redis may be full or down: the workers then look for work by themselves."""
    now = readiness()
    return _answer(now, now.reasons)


@login_not_required
@never_cache
@require_safe
def readyz_web(request: HttpRequest) -> JsonResponse:
    """For load balancers: answer 200 if this process serves pages and takes orders into the queue, else 503 with the
    reasons. A process that is about to leave is not ready.

    Redis is not asked: it takes no part in the verdict, and the question takes seconds when its machine falls silent."""
    now = readiness(asks_redis=False)
    return _answer(now, now.web_reasons, asked_redis=False)


def _answer(now: Readiness, reasons: list[str], *, asked_redis: bool = True) -> JsonResponse:
    if now.database == Store.DOWN:
        return JsonResponse({"database": now.database, "reasons": reasons}, status=503)
    body: dict[str, object] = {
        "database": now.database,
        **({"redis": now.redis} if asked_redis else {}),
        "tick_age_seconds": None if now.tick_age is None else round(now.tick_age, 1),
        "disk_free_mb": now.disk_free_bytes // 1_000_000,
    }
    if now.differences:  # names of machines are not for strangers
        settings = ", ".join(each.setting for each in now.differences)
        body["warning"] = f"machines differ in {settings}: the system page and ./run --check say which, and what to do"
    if not reasons:
        return JsonResponse(body)
    return JsonResponse({**body, "reasons": reasons}, status=503, headers={"Retry-After": "30"})
