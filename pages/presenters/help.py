"""The guides of `docs/guides` as the help pages show them, with a search over their headings and paragraphs."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import pairwise
from typing import Any
from unicodedata import normalize

from django.conf import settings
from django.templatetags.static import static
from django.urls import reverse
from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language
from markdown_it import MarkdownIt
from markdown_it.token import Token

from thuesim.folding import without_accents

DOCS = settings.BASE_DIR / "docs"
INDEX = "index"
GUIDES = (INDEX, "operator", "manager", "admin", "qa", "operations", "terms")
# Written in English alone.
REFERENCES = {name: DOCS / f"{name}.md" for name in ("api", "events", "exports")}
# The terms that have a "?" beside them: the sections of `terms.md`, in their order.
TERMS = ("sv", "prefix", "purpose", "token", "keep-trying", "masked", "refunded")
MAX_RESULTS = 50
MAX_EXCERPT = 240  # characters

_NO_SLUG = re.compile(r"[^\w\- ]")
_WORDS = re.compile(r"(\w+)")
_PICTURES = "pictures/"  # where they are among the static files, and in `docs`


@dataclass(frozen=True, slots=True)
class Text:
    """A heading, a paragraph, a list item, a row of a table or a block of commands: as plain text, and as it is compared."""

    shown: str
    lower: str
    folded: str  # without accents, too

    @classmethod
    def of(cls, shown: str) -> "Text":
        return cls(shown, _lower(shown), without_accents(shown))


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what follows it until the next one. `anchor` is the id of the heading, as GitHub makes it."""

    level: int
    heading: Text
    anchor: str
    blocks: tuple[Text, ...]

    @property
    def title(self) -> str:
        return self.heading.shown


@dataclass(frozen=True, slots=True)
class Word:
    """A word that is searched for: with its accents if it was typed with them."""

    text: str
    has_accents: bool

    @classmethod
    def of(cls, typed: str) -> "Word":
        text = _lower(typed)
        return cls(text, text != without_accents(text))

    def begins_in(self, text: Text) -> bool:
        """Whether a word of the text begins with it."""
        return self._found(text, r"\b%s")

    def is_in(self, text: Text) -> bool:
        """Whether it is a word of the text."""
        return self._found(text, r"\b%s\b")

    def _found(self, text: Text, pattern: str) -> bool:
        return re.search(pattern % re.escape(self.text), text.lower if self.has_accents else text.folded) is not None


@dataclass(frozen=True, slots=True)
class Guide:
    """A guide in one language."""

    name: str
    language: str  # of its text
    html: SafeString
    sections: tuple[Section, ...]

    @property
    def title(self) -> str:
        return self.sections[0].title

    @property
    def address(self) -> str:
        return reverse("help") if self.name == INDEX else reverse("help_guide", args=[self.name])


@dataclass(frozen=True, slots=True)
class Term:
    """What the "?" beside a term says, and where the guide says more."""

    title: str
    text: str
    address: str


@dataclass(frozen=True, slots=True)
class Result:
    """A block that the search found, with the words that were searched for marked."""

    guide: Guide
    section: Section
    excerpt: SafeString

    @property
    def address(self) -> str:
        return f"{self.guide.address}#{self.section.anchor}"


def guides() -> dict[str, Guide]:
    """Return all guides by name, in the language of the page."""
    return {name: _guide(name, _language()) for name in (*GUIDES, *REFERENCES)}


def _language() -> str:
    return "vi" if get_language() == "vi" else "en"


def term(name: str) -> Term:
    """Return the term `name`, one of `TERMS`: the first paragraph of its section."""
    return _term(_language(), name)


@cache
def _term(language: str, name: str) -> Term:
    guide = _guide("terms", language)
    section = [section for section in guide.sections if section.level == 2][TERMS.index(name)]
    return Term(section.title, section.blocks[0].shown, f"{guide.address}#{section.anchor}")


def search(text: str) -> list[Result]:
    """Return the blocks under whose heading, or in which, all words of `text` begin: those of a fitting heading first, then
    those with the whole words. Accents count where they are typed."""
    words = [Word.of(typed) for typed in _WORDS.findall(text)]
    ranked = []
    for guide in guides().values() if words else ():
        for section in guide.sections:
            for block in section.blocks:
                if not all(word.begins_in(section.heading) or word.begins_in(block) for word in words):
                    continue
                rank = (
                    not all(word.is_in(section.heading) for word in words),
                    not all(word.is_in(section.heading) or word.is_in(block) for word in words),
                )
                ranked.append((rank, Result(guide, section, _marked(block.shown, words))))
                if not rank[0]:
                    break  # the others of the section are found for its heading, too
    return [result for _rank, result in sorted(ranked, key=lambda one: one[0])[:MAX_RESULTS]]


def _lower(text: str) -> str:
    return normalize("NFC", text).lower()


def slug(title: str) -> str:
    """Return the anchor that GitHub gives a heading."""
    return _NO_SLUG.sub("", title.strip().lower()).replace(" ", "-")


def parser() -> MarkdownIt:
    """Return the parser of the guides: CommonMark with tables; HTML in it is text."""
    return MarkdownIt("commonmark", {"html": False}).enable("table")


@cache
def _guide(name: str, language: str) -> Guide:
    """Return a guide, rendered once a process."""
    path = REFERENCES.get(name) or DOCS / "guides" / language / f"{name}.md"
    markdown = parser()
    markdown.add_render_rule("fence", _fence)
    tokens = markdown.parse(path.read_text())
    for token, inside in pairwise(tokens):
        if token.type == "heading_open":
            token.attrSet("id", slug(_plain(inside)))
    for token in tokens:
        if token.children:
            token.children = list(_with_addresses(token.children))
    html = mark_safe(markdown.renderer.render(tokens, markdown.options, {}))  # noqa: S308 - of our own files, without HTML
    return Guide(name, "en" if name in REFERENCES else language, html, tuple(_sections(tokens)))


def _fence(renderer: Any, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    # It may scroll, so the keyboard must reach it.
    return f'<pre tabindex="0"><code>{escape(tokens[index].content)}</code></pre>\n'


def _with_addresses(inline: list[Token]) -> Iterator[Token]:
    """Yield the tokens with addresses of the desk; a link to a file that the desk does not show becomes its text."""
    shown = []
    for token in inline:
        if token.type == "link_open":
            address = _address(str(token.attrGet("href")))
            shown.append(bool(address))
            token.attrSet("href", address)
        elif token.type == "image":
            token.attrSet("src", static(_PICTURES + str(token.attrGet("src")).rpartition(_PICTURES)[2]))
            token.attrSet("loading", "lazy")
        if token.type not in {"link_open", "link_close"} or shown[-1]:
            yield token
        if token.type == "link_close":
            shown.pop()


def _address(link: str) -> str:
    """Return where a link of a guide leads on the desk; `""` for a file that it does not show."""
    if link.startswith(("#", "https://", "http://")):
        return link
    path, _, anchor = link.partition("#")
    name = path.rpartition("/")[2].removesuffix(".md")
    if name not in {*GUIDES, *REFERENCES} or not path.endswith(".md"):
        return ""
    address = reverse("help") if name == INDEX else reverse("help_guide", args=[name])
    return f"{address}#{anchor}" if anchor else address


def _plain(inline: Token) -> str:
    """Return the text of an inline token without its marks."""
    parts = [
        " " if part.type == "softbreak" else part.content
        for part in inline.children or ()
        if part.type in {"text", "code_inline", "softbreak"}
    ]
    return "".join(parts)


def _sections(tokens: Sequence[Token]) -> Iterator[Section]:
    headings: list[tuple[int, str, list[str]]] = []
    row: list[str] | None = None
    for before, token in pairwise(tokens):
        if token.type == "tr_open":
            row = []
        elif token.type == "tr_close" and row:
            headings[-1][2].append(" · ".join(filter(None, row)))
            row = None
        elif token.type == "inline" and before.type == "heading_open":
            headings.append((int(before.tag[1:]), _plain(token), []))
        elif token.type == "inline":
            (headings[-1][2] if row is None else row).append(_plain(token))
        elif token.type == "fence":
            headings[-1][2].append(token.content)
    for level, title, texts in headings:
        blocks = tuple(Text.of(text) for text in texts if text.strip())
        yield Section(level, Text.of(title), slug(title), blocks or (Text.of(""),))


def _marked(text: str, words: list[Word]) -> SafeString:
    """Return an excerpt of `text` around the first of the words, all of them marked."""
    parts = _WORDS.split(text)
    hits = [any(word.begins_in(Text.of(part)) for word in words) for part in parts]
    start = max(0, hits.index(True) - 20) if True in hits else 0
    size, end = 0, start
    while end < len(parts) and size < MAX_EXCERPT:
        size += len(parts[end])
        end += 1
    mark = partial(format_html, "<mark>{}</mark>")
    shown = format_html_join(
        "", "{}", ((mark(part) if hit else part,) for part, hit in zip(parts[start:end], hits[start:end], strict=True))
    )
    return format_html("{}{}{}", "… " if start else "", shown, " …" if end < len(parts) else "")
