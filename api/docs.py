"""The OpenAPI document, and pages of `docs/api.md` and `docs/events.md`: no script, no other host."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import unquote

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import slugify
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe
from markdown_it import MarkdownIt
from markdown_it.token import Token

from api.authentication import Bearer
from api.desk_api import openapi
from api.problems import Problem

FOLDER = settings.BASE_DIR / "docs"
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
    return JsonResponse(document(), json_dumps_params={"ensure_ascii": False})


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
    body = guide.body.replace(EXAMPLE, escape(request.build_absolute_uri("/").rstrip("/")))
    return render(request, "api/docs.html", {"name": name, "guide": guide, "body": mark_safe(body)})  # noqa: S308


@dataclass(frozen=True, slots=True)
class Guide:
    """A document as a page shows it. `contents` has the parts as (id, title)."""

    title: str
    contents: Sequence[tuple[str, str]]
    body: SafeString


@cache
def guide_of(name: str, language: str) -> Guide:
    """Return the document `docs/NAME.md` in a language: the English one where there is no other.

    A part has the same id in each language, that of its English title, so that a link from elsewhere finds it.
    """
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    markdown.add_render_rule("fence", _snippet)
    markdown.add_render_rule("code_inline", _code)
    english = markdown.parse((FOLDER / f"{name}.md").read_text())
    translated = FOLDER / f"{name}.{language}.md"
    tokens = markdown.parse(translated.read_text()) if translated.exists() else english
    titles = _headings(tokens)
    ids = [_slug(title) for _tag, title in _headings(english)]
    anchors = {f"#{_slug(title)}": f"#{part}" for part, (_tag, title) in zip(ids, titles, strict=True)}
    openings = (token for token in tokens if token.type == "heading_open")
    for token, part in zip(openings, ids, strict=True):
        token.attrSet("id", part)
    for token in (each for inline in tokens for each in inline.children or () if each.type == "link_open"):
        token.attrSet("href", _address(str(token.attrs["href"]), anchors))
    contents = [(part, title) for part, (tag, title) in zip(ids, titles, strict=True) if tag == "h2"]
    body = markdown.renderer.render(tokens, markdown.options, {})
    return Guide(titles[0][1], contents, mark_safe(body))  # noqa: S308 - our own documents; HTML in them is escaped


def _headings(tokens: Sequence[Token]) -> list[tuple[str, str]]:
    """Return the headings as (tag, title)."""
    return [(token.tag, tokens[at + 1].content) for at, token in enumerate(tokens) if token.type == "heading_open"]


def _slug(title: str) -> str:
    """Return the id that GitHub gives to a heading."""
    return slugify(title, allow_unicode=True)


def _address(href: str, anchors: dict[str, str]) -> str:
    """Return where a link of a document leads on the pages."""
    href = unquote(href)  # the parser has quoted what is not ASCII
    file, _hash, _part = href.partition("#")
    page = _PAGES.get(file.replace(".vi.md", ".md"))
    return reverse(page) if page else anchors.get(href, href)


def _snippet(_renderer: object, tokens: Sequence[Token], at: int, _options: object, _env: object) -> SafeString:
    """Write a block of code with a button that copies it."""
    text = tokens[at].content
    return format_html(
        '<div class="snippet"><pre tabindex="0"><code>{}</code></pre>'
        '<button type="button" class="button small only-js" data-copy="{}" data-copy-quietly>{}</button></div>\n',
        text,
        text.rstrip("\n"),
        _("Copy"),
    )


def _code(_renderer: object, tokens: Sequence[Token], at: int, _options: object, _env: object) -> str:
    """Write code within a line, which may break where a name has a mark: a narrow table has no room for it."""
    return f"<code>{re.sub(r'(?<=[._:/])(?=[a-z])', '<wbr>', escape(tokens[at].content))}</code>"
