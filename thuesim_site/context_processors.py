"""What every template knows."""

from django.conf import settings
from django.http import HttpRequest


def desk(request: HttpRequest) -> dict[str, object]:
    """`demo`: the sandbox stands in for the upstream, and has a page at `sandbox_url`; `access`: what the person may do
    (absent before sign-in); `here`: the address of the page they look at, for a form that leads back to it."""
    return {
        "demo": settings.DEMO,
        "sandbox_url": f"{settings.THUESIM_BASE_URL}/" if settings.DEMO else "",
        "access": getattr(request, "access", None),
        "here": _page_of(request),
    }


def _page_of(request: HttpRequest) -> str:
    if htmx := getattr(request, "htmx", None):  # a fragment of the page that asks
        return str(htmx.current_url_abs_path or "/")
    return request.get_full_path() if request.method in {"GET", "HEAD"} else "/"
