"""What every template knows."""

from django.conf import settings
from django.http import HttpRequest


def desk(request: HttpRequest) -> dict[str, object]:
    """`demo`: the sandbox stands in for the upstream; `access`: what the person may do (absent before sign-in)."""
    return {"demo": settings.DEMO, "access": getattr(request, "access", None)}
