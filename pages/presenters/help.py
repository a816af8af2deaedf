"""The guides of `docs/guides` as the help pages show them, with a search over their headings and paragraphs."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, partial
from math import log
from pathlib import Path
from unicodedata import normalize

from django.conf import settings
from django.templatetags.static import static
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import get_language

from lib import documents
from lib.documents import Document, Section
from thuesim.folding import without_accents

DOCS: Path = settings.BASE_DIR / "docs"
INDEX = "index"
GUIDES = (INDEX, "operator", "manager", "admin", "qa", "operations", "terms")
# Other documents that the help searches, and the pages that show them; `""`: a page of the help.
REFERENCES = {"api": "api:docs", "events": "api:docs_events", "exports": ""}
# The terms that have a "?" beside them: the ids of the sections of `terms.md`.
TERMS = ("sv", "prefix", "purpose", "token", "keep-trying", "masked", "refunded")
MAX_RESULTS = 50
MAX_EXCERPT = 240  # characters
MAX_WORDS = 12  # of a question
MIN_NEARNESS = 0.6  # the part of a question's words, by their weight, that a section has

_WORDS = re.compile(r"(\w+)")


@dataclass(frozen=True, slots=True)
class Text:
    """A text of a guide, and the forms in which the search compares it."""

    shown: str
    lower: str
    folded: str  # without accents, too

    @classmethod
    def of(cls, shown: str) -> "Text":
        return cls(shown, _lower(shown), without_accents(shown))


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
    """A guide, or another document that the help searches, in one language."""

    name: str
    language: str  # of its text
    document: Document
    searched: tuple[tuple[Section, Text, tuple[Text, ...]], ...]  # each section with its heading and its texts

    @property
    def title(self) -> str:
        return self.document.title

    @property
    def address(self) -> str:
        return _page(self.name)


@dataclass(frozen=True, slots=True)
class Term:
    """What the "?" beside a term says, and where the guide says more."""

    title: str
    text: str
    address: str


@dataclass(frozen=True, slots=True)
class Result:
    """A text that the search found, with the words that were searched for marked."""

    guide: Guide
    section: Section
    excerpt: SafeString

    @property
    def address(self) -> str:
        return f"{self.guide.address}#{self.section.id}"


def guides() -> dict[str, Guide]:
    """Return all guides and references by name, in the language of the page."""
    return {name: _guide(name, _language()) for name in (*GUIDES, *REFERENCES)}


def term(name: str) -> Term:
    """Return the term `name`, one of `TERMS`: the first paragraph of its section."""
    guide = _guide("terms", _language())
    [section] = [section for section in guide.document.sections if section.id == name]
    return Term(section.title, section.texts[0], f"{guide.address}#{name}")


def search(text: str) -> list[Result]:
    """Return the texts in which, or in whose heading, all words of `text` begin: those of a fitting heading first, then
    those with the whole words. Accents count where they are typed."""
    words = [Word.of(typed) for typed in _WORDS.findall(text)]
    ranked = [
        (rank, Result(guide, section, _marked(fitting.shown, words)))
        for guide in (guides().values() if words else ())
        for section, heading, texts in guide.searched
        for rank, fitting in _fitting(heading, texts, words)
    ]
    return [result for _rank, result in sorted(ranked, key=lambda one: one[0])[:MAX_RESULTS]]


def nearest(text: str, *, beside: Iterable[Result] = (), most: int = 5) -> list[Result]:
    """Return the sections that have the telling words of a question, in the order of how much of it they have: others than
    those of `beside`.

    A word tells the more, the fewer sections have it; one in the heading counts twice. Nothing where a word is nowhere: it
    is mistyped, or not of the desk.
    """
    words = list(dict.fromkeys(Word.of(typed) for typed in _WORDS.findall(text)))[:MAX_WORDS]
    sections = [(guide, *section) for guide in guides().values() for section in guide.searched]
    having = [
        [word.begins_in(heading) or any(map(word.begins_in, texts)) for word in words]
        for *_, heading, texts in sections
    ]
    counts = [sum(column) for column in zip(*having, strict=True)]
    if not words or 0 in counts:
        return []
    weights = {word: log(1 + len(sections) / count) for word, count in zip(words, counts, strict=True)}
    ranked: list[tuple[float, Result]] = []
    for (guide, section, heading, texts), has in zip(sections, having, strict=True):
        there = [word for word, is_there in zip(words, has, strict=True) if is_there]
        weight = sum(weights[word] for word in there)
        if weight >= MIN_NEARNESS * sum(weights.values()):
            best = max(texts, key=lambda one: sum(weights[word] for word in there if word.begins_in(one)))
            weight += sum(weights[word] for word in there if word.begins_in(heading))
            ranked.append((weight, Result(guide, section, _marked(best.shown, there))))
    found_already = {result.address for result in beside}
    others = [result for _weight, result in sorted(ranked, key=lambda one: -one[0])]
    return [result for result in others if result.address not in found_already][:most]


def _fitting(heading: Text, texts: Iterable[Text], words: list[Word]) -> list[tuple[int, Text]]:
    """Return the texts of a section that fit, with their ranks. One is enough where the heading has all words."""
    fitting = [text for text in texts if all(word.begins_in(heading) or word.begins_in(text) for word in words)]
    if all(word.is_in(heading) for word in words):
        return [(0, text) for text in fitting[:1]]
    return [(1 if all(word.is_in(heading) or word.is_in(text) for word in words) else 2, text) for text in fitting]


def _language() -> str:
    return "vi" if get_language() == "vi" else "en"


def _lower(text: str) -> str:
    return normalize("NFC", text).lower()


@cache
def _guide(name: str, language: str) -> Guide:
    """Return a guide, rendered once a process."""
    path = DOCS / "guides" / language / f"{name}.md" if name in GUIDES else DOCS / f"{name}.{language}.md"
    if not path.exists():
        path, language = DOCS / f"{name}.md", "en"
    document = documents.render(path, address=_address, picture=_picture)
    searched = (
        (section, Text.of(section.title), tuple(map(Text.of, section.texts)) or (Text.of(""),))
        for section in document.sections
    )
    return Guide(name, language, document, tuple(searched))


def _page(name: str) -> str:
    """Return the page that shows a guide or a reference."""
    if name == INDEX:
        return reverse("help")
    return reverse(REFERENCES[name]) if REFERENCES.get(name) else reverse("help_guide", args=[name])


def _address(path: Path) -> str:
    """Return the page that shows a file, `""` where none does."""
    name = documents.english_of(path).stem
    folders = {DOCS / "guides" / "en", DOCS / "guides" / "vi"} if name in GUIDES else {DOCS}
    return _page(name) if path.parent in folders and name in {*GUIDES, *REFERENCES} else ""


def _picture(path: Path) -> str:
    return static(path.relative_to(DOCS).as_posix())  # `pictures/…` among the static files, too


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
