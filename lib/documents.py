"""Documents in Markdown as pages show them: CommonMark with tables, in which HTML is text.

A document is an English file, and may have one in Vietnamese with the same headings: `NAME.md` and `NAME.vi.md`, or
`en/NAME.md` and `vi/NAME.md`. A heading has the id of the English one in both, so that a link from elsewhere finds it.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from markdown_it import MarkdownIt
from markdown_it.token import Token

_NO_SLUG = re.compile(r"[^\w\- ]")


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, and what follows it until the next one as plain texts: paragraphs, list items, rows of tables and blocks of
    code."""

    level: int
    title: str
    id: str
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """A document as a page shows it."""

    body: SafeString
    sections: tuple[Section, ...]

    @property
    def title(self) -> str:
        return self.sections[0].title

    @property
    def contents(self) -> list[Section]:
        """The parts of the document."""
        return [section for section in self.sections if section.level == 2]


def _text_alone(_path: Path, text: str) -> str:
    return escape(text)


def render(
    path: Path, *, address: Callable[[Path], str], picture: Callable[[Path, str], str] = _text_alone
) -> Document:
    """Return the document at `path`. Its buttons are in the language of the page.

    `address` returns the page that shows another file, `""` where none does: the link is then its text alone. `picture`
    returns the HTML of a picture: of its file, and of the text that stands for it.
    """
    markdown = _parser()
    tokens = markdown.parse(path.read_text())
    ids = iter(anchors(path).values())
    for token in tokens:
        if token.type == "heading_open":
            token.attrSet("id", next(ids))
        if token.children:
            token.children = list(_linked(token.children, partial(_target, path, address), path, picture))
    body = mark_safe(markdown.renderer.render(tokens, markdown.options, {}))  # noqa: S308 - our own, without HTML in it
    return Document(body, tuple(_sections(tokens)))


@cache
def anchors(path: Path) -> dict[str, str]:
    """Return the ids of the headings, in their order, by the anchor that GitHub gives them.

    Raises ValueError where the Vietnamese document has not as many headings as the English one.
    """
    own, english = _slugs(path), _slugs(english_of(path))
    return dict(zip(own, english, strict=True))


def english_of(path: Path) -> Path:
    """Return the English file of a document."""
    if path.parent.name == "vi":
        return path.parent.parent / "en" / path.name
    return path.with_name(path.name.replace(".vi.md", ".md"))


def slug(title: str) -> str:
    """Return the anchor that GitHub gives a heading."""
    return _NO_SLUG.sub("", title.strip().lower()).replace(" ", "-")


def _parser() -> MarkdownIt:
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    markdown.add_render_rule("fence", _snippet)
    markdown.add_render_rule("code_inline", _code)
    return markdown


def _slugs(path: Path) -> list[str]:
    """Return the anchors of the headings; GitHub numbers those that come again."""
    slugs: list[str] = []
    seen: dict[str, int] = {}
    for token, inside in pairwise(_parser().parse(path.read_text())):
        if token.type == "heading_open":
            anchor = slug(_plain(inside))
            times = seen[anchor] = seen.get(anchor, -1) + 1
            slugs.append(f"{anchor}-{times}" if times else anchor)
    return slugs


def _target(path: Path, address: Callable[[Path], str], link: str) -> str:
    """Return where a link of the document at `path` leads on the pages; `""` for nowhere."""
    if link.startswith(("https://", "http://")):
        return link
    file, _hash, anchor = unquote(link).partition("#")  # the parser has quoted what is not ASCII
    to = (path.parent / file).resolve() if file else path
    page = address(to) if file else ""
    if not anchor or (file and not page):
        return page
    return f"{page}#{anchors(to)[anchor]}"


def _linked(
    inline: list[Token], target: Callable[[str], str], path: Path, picture: Callable[[Path, str], str]
) -> Iterator[Token]:
    """Yield the tokens with the addresses of pages and pictures, without the links that lead nowhere."""
    shown = True
    for token in inline:
        if token.type == "link_open":
            to = target(str(token.attrGet("href")))
            token.attrSet("href", to)
            shown = bool(to)
        elif token.type == "image":
            file = (path.parent / str(token.attrGet("src"))).resolve()
            token = Token("html_inline", "", 0, content=picture(file, token.content))
        if shown or token.type not in {"link_open", "link_close"}:
            yield token


def _snippet(_renderer: object, tokens: Sequence[Token], at: int, _options: object, _env: object) -> SafeString:
    """Write a block of code with a button that copies it. It may scroll, so the keyboard must reach it."""
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


def _plain(inline: Token) -> str:
    """Return the text of an inline token without its marks."""
    parts = [
        " " if part.type == "softbreak" else part.content
        for part in inline.children or ()
        if part.type in {"text", "code_inline", "softbreak"}
    ]
    return "".join(parts)


def _sections(tokens: Sequence[Token]) -> Iterator[Section]:
    sections: list[tuple[int, str, str, list[str]]] = []
    row: list[str] | None = None
    for before, token in pairwise(tokens):
        if token.type == "tr_open":
            row = []
        elif token.type == "tr_close" and row:
            sections[-1][3].append(" · ".join(filter(None, row)))
            row = None
        elif token.type == "inline" and before.type == "heading_open":
            sections.append((int(before.tag[1:]), _plain(token), str(before.attrGet("id")), []))
        elif token.type == "inline":
            (sections[-1][3] if row is None else row).append(_plain(token))
        elif token.type == "fence":
            sections[-1][3].append(token.content)
    for level, title, anchor, texts in sections:
        yield Section(level, title, anchor, tuple(text for text in texts if text.strip()))
