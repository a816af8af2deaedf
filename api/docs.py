"""The OpenAPI document, and pages of `docs/api.md` and `docs/events.md`: no script, no other host."""

from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.html import escape
from django.utils.safestring import mark_safe
from django.utils.translation import get_language
from django.views.decorators.http import require_safe

from api.authentication import Bearer
from api.desk_api import openapi
from api.problems import Problem
from lib import documents
from lib.web.urls import root_url

FOLDER: Path = settings.BASE_DIR / "docs"
EXAMPLE = "http://127.0.0.1:8000"  # in the documents, for the address of this desk
_PAGES = {"openapi.json": "api:openapi", "api.md": "api:docs", "events.md": "api:docs_events"}


@cache
def document() -> dict[str, Any]:
    """Return the OpenAPI document."""
    return openapi()


@login_not_required
@require_safe
def openapi_json(request: HttpRequest) -> HttpResponse:
    """Answer the OpenAPI document, for a person who is signed in, and for a key."""
    if not request.user.is_authenticated:
        try:
            Bearer()(request)
        except Problem as problem:
            return problem.response()
    return JsonResponse(
        {**document(), "servers": [{"url": root_url(request)}]}, json_dumps_params={"ensure_ascii": False}
    )


@login_not_required
@require_safe
def docs(request: HttpRequest) -> HttpResponse:
    """Show how the API is used, with all calls."""
    return _page(request, "api")


@login_not_required
@require_safe
def docs_events(request: HttpRequest) -> HttpResponse:
    """Show what goes out to other programs, and how to check it."""
    return _page(request, "events")


def _page(request: HttpRequest, name: str) -> HttpResponse:
    if not request.user.is_authenticated:
        try:
            Bearer()(request)
        except Problem as problem:
            return problem.response() if request.headers.get("Authorization") else redirect_to_login(request.path)
    guide = guide_of(name, get_language() or "en")
    body = guide.body.replace(EXAMPLE, escape(root_url(request)))
    return render(request, "api/docs.html", {"name": name, "guide": guide, "body": mark_safe(body)})  # noqa: S308


@cache
def guide_of(name: str, language: str) -> documents.Document:
    """Return the document `docs/NAME.md` in a language: the English one where there is no other."""
    translated = FOLDER / f"{name}.{language}.md"
    return documents.render(translated if translated.exists() else FOLDER / f"{name}.md", address=_address)


def _address(path: Path) -> str:
    """Return the page that shows a file of `docs`; `""` where none does."""
    page = _PAGES.get(documents.english_of(path).name) if path.parent == FOLDER else None
    return reverse(page) if page else ""
