"""What every template knows."""

from django.conf import settings
from django.http import HttpRequest


def desk(request: HttpRequest) -> dict[str, object]:
    """`demo`: the sandbox stands in for the upstream, and has a page at `sandbox_url`; `access`: what the person may do
    (absent before sign-in)."""
    return {
        "demo": settings.DEMO,
        "sandbox_url": f"{settings.THUESIM_BASE_URL}/" if settings.DEMO else "",
        "access": getattr(request, "access", None),
    }
