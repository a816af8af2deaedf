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
from pages.presenters.help_words import nearest_word, subject_of
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
MIN_PHRASE = 3  # words
MIN_NEARNESS = 0.6  # the part of a question's words, by their weight, that a section has

_DRAWN_VIEW = "-light-1440"  # the end of the names of the pictures that the guides name, each of which has eight views
PHRASE, HEADING, WHOLE_WORDS, BEGINNINGS = range(4)  # how well a text fits, the best first

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


@dataclass(frozen=True, slots=True)
class Question:
    """What is searched for: its telling words; as it was typed, `""` where it is too short to stand in a text by more than
    chance; and whether a mistyped word was taken for another."""

    words: list[Word]
    phrase: str
    corrected: bool

    @property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)


def guides() -> dict[str, Guide]:
    """Return all guides and references by name, in the language of the page."""
    return {name: _guide(name, _language()) for name in (*GUIDES, *REFERENCES)}


def term(name: str) -> Term:
    """Return the term `name`, one of `TERMS`: the first paragraph of its section."""
    guide = _guide("terms", _language())
    [section] = [section for section in guide.document.sections if section.id == name]
    return Term(section.title, section.texts[0], f"{guide.address}#{name}")


def question(text: str) -> Question:
    """Return what `text` asks for. A word that is nowhere in the guides is taken without its accents, else for the one that
    it is likest to."""
    language = _language()
    typed = _WORDS.findall(_lower(text))
    subject = _WORDS.findall(subject_of(text, language))
    words = [_known(Word.of(one), language) for one in list(dict.fromkeys(subject))[:MAX_WORDS]]
    corrected = [word.text for word in words] != list(dict.fromkeys(subject))[:MAX_WORDS]
    return Question(words, " ".join(typed) if len(typed) >= MIN_PHRASE else "", corrected)


def search(asked: Question) -> list[Result]:
    """Return the texts that have, with their heading, a word beginning with each word of the question. First come those
    with the very question, then those of a fitting heading, short before long, then those with the whole words. Accents
    count where they are typed.
    """
    ranked = [
        ((rank, len(section.title) if rank == HEADING else 0), Result(guide, section, _marked(one.shown, asked.words)))
        for guide in (guides().values() if asked.words else ())
        for section, heading, texts in guide.searched
        for rank, one in _fitting(heading, texts, asked)
    ]
    return [result for _rank, result in sorted(ranked, key=lambda one: one[0])[:MAX_RESULTS]]


def nearest(asked: Question, *, beside: Iterable[Result] = (), most: int = 5) -> list[Result]:
    """Return the sections that have the telling words of a question, in the order of how much of it they have: others than
    those of `beside`.

    A word tells the more, the fewer sections have it; one in the heading counts twice. Nothing where a word is nowhere: it
    is not of the desk.
    """
    words = asked.words
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


def _fitting(heading: Text, texts: Iterable[Text], asked: Question) -> list[tuple[int, Text]]:
    """Return the texts of a section that fit, with their ranks. One is enough where the heading has all words."""
    words = asked.words
    fitting = [text for text in texts if all(word.begins_in(heading) or word.begins_in(text) for word in words)]
    phrase = [text for text in fitting if asked.phrase and asked.phrase in " ".join(_WORDS.findall(text.lower))]
    if phrase:
        return [(PHRASE, text) for text in phrase[:1]]
    if all(word.is_in(heading) for word in words):
        return [(HEADING, text) for text in fitting[:1]]
    return [
        (WHOLE_WORDS if all(word.is_in(heading) or word.is_in(text) for word in words) else BEGINNINGS, text)
        for text in fitting
    ]


def _known(word: Word, language: str) -> Word:
    """Return the word, or the one of the guides that was meant."""
    vocabulary, plain = _vocabulary(language)
    if any(other.startswith(word.text) for other in (vocabulary if word.has_accents else plain)):
        return word
    folded = without_accents(word.text)
    if any(other.startswith(folded) for other in plain):
        return Word.of(folded)
    return Word.of(nearest_word(word.text, vocabulary) or nearest_word(folded, plain) or word.text)


@cache
def _vocabulary(language: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return all words of the guides: as they are, and without accents."""
    texts = [
        text
        for name in (*GUIDES, *REFERENCES)
        for _section, heading, texts in _guide(name, language).searched
        for text in (heading, *texts)
    ]
    return (
        frozenset(word for text in texts for word in _WORDS.findall(text.lower)),
        frozenset(word for text in texts for word in _WORDS.findall(text.folded)),
    )


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


def _picture(path: Path, text: str) -> SafeString:
    """Draw a picture for the light and for the dark page: of a phone on a phone. The style sheet shows one of the two, and a
    browser fetches only what it shows."""

    def file(theme: str, width: int) -> str:
        name = path.name.replace(_DRAWN_VIEW, f"-{theme}-{width}")
        return static(f"pictures/{name}")  # docs/pictures is among the static files, too

    return format_html_join(
        "",
        '<picture class="in-{}"><source media="(max-width: 47.5rem)" srcset="{}" width="390" height="844">'
        '<img src="{}" alt="{}" width="1440" height="900" loading="lazy"></picture>',
        ((theme, file(theme, 390), file(theme, 1440), text) for theme in ("light", "dark")),
    )


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
