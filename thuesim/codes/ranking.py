"""The ranking of a message's numbers: the words that name a code each vote for the number they speak of.

A name votes only where a link ties the number to it ("code is: 5293"), or nothing but known words stands between them.
Names that other things have as well ("ma", "code", "PIN") need more: that the message is about signing in, or a sender
that is known. What the message is about otherwise, an offer or a booking, takes from all but the certain names.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from . import places
from .between import CHINESE, REACH, are_fillers, ends_as_a_code, following_number, is_linked_before, says_what_for
from .choice import LEAST, let_rivals_in
from .no_codes import THING
from .numbers import (
    CUT,
    MAX_CANDIDATES,
    SYLLABLE,
    Candidate,
    digits_in,
    is_date_or_year,
    letters_in,
    without_other_numbers,
)
from .words import (
    AFTER_UNTIED,
    AFTER_WEAK,
    ALTERNATIVE,
    ANY_PURPOSE,
    AUTOFILL,
    BEFORE_NO_NAME,
    BEFORE_WEAK_NAME,
    CAPITALS_AND_COLON,
    CERTAIN_NAME,
    COUNTS,
    DOOR_NAME,
    ENTER,
    EXAMPLE,
    GIVES,
    LIKELY_NAME,
    LINK_BEFORE,
    LOOSE_LINK,
    OFFER,
    OTHER_SUBJECT,
    OTHER_TOPIC,
    PARCEL_NAME,
    POINTS_BACK,
    PURPOSE,
    PURPOSE_NAME,
    SECRECY,
    SECRECY_BEFORE,
    SENDER_WORDS,
    SENDERS,
    SENTENCE_END,
    SIGNING_IN,
    SPENT,
    SURE_ANYWHERE,
    WARNING,
    WEAK_NAME,
)

# How far around a name is read, in characters.
_NEAR: Final = 30
# More names than a message has; a text of nothing else is hostile.
_MAX_NAMES: Final = 60

_SPENT: Final = -9
# What a name is worth where a link ties it to the number; where it stands beside it, it is worth one less.
_CERTAIN: Final = 6
_LIKELY: Final = 5
_WEAK: Final = 4
# What a name is worth that nothing else in the message supports: too little, but the number may be meant.
HINT: Final = 2
# What another topic or an offer takes from all but the certain names.
_DOUBT: Final = 3

_LINKED: Final = "linked"
_BESIDE: Final = "beside"


@dataclass(frozen=True, slots=True)
class _Message:
    """A message without the numbers that are surely no code, and what it is about."""

    text: str
    offers: bool
    doubtful: bool  # it is about an offer, a booking, a device, a lesson …
    signing_in: Sequence[tuple[int, int]]  # where it speaks of signing in
    from_sender: bool  # a sender of codes is named

    @classmethod
    def of(cls, plain: str) -> "_Message":
        text = without_other_numbers(plain)
        offers = OFFER.search(plain) is not None
        return cls(
            text,
            offers,
            offers or OTHER_TOPIC.search(plain) is not None,
            [match.span() for match in SIGNING_IN.finditer(text)],
            not SENDERS.isdisjoint(re.findall(r"\w+", text.lower())),
        )


@dataclass(frozen=True, slots=True)
class _Name:
    """A word that names a code: where it is, and what it is worth."""

    start: int
    end: int
    text: str
    worth: int
    kind: re.Pattern[str]
    own: bool  # "your code", "your Lyft code"

    @property
    def weak(self) -> bool:
        return self.kind is WEAK_NAME and not self.own

    @property
    def door(self) -> bool:
        return self.kind is LIKELY_NAME and DOOR_NAME.search(self.text) is not None

    @property
    def parcel(self) -> bool:
        return self.kind is LIKELY_NAME and PARCEL_NAME.search(self.text) is not None

    @property
    def takes_purpose(self) -> bool:
        if self.kind is LIKELY_NAME:
            return PURPOSE_NAME.search(self.text) is not None
        return self.kind is CERTAIN_NAME or self.own


def scored(plain: str) -> list[Candidate]:
    """Return what may be the code in a normalised message, with its score; nothing for a long list of numbers."""
    if not any("0" <= c <= "9" for c in plain) and not any(
        name.search(plain) for name in (CERTAIN_NAME, LIKELY_NAME, WEAK_NAME)
    ):
        return []  # a code of letters stands beside the name
    message = _Message.of(plain)
    numbers = digits_in(message.text)
    names = _names_in(message)
    if len(numbers) > MAX_CANDIDATES or len(names) > _MAX_NAMES:
        return []
    letters = [] if message.offers else letters_in(message.text)
    candidates = sorted([*numbers, *letters], key=lambda number: number.start)
    _vote(message, candidates, names)
    if len({number.value for number in numbers}) == 1 and not is_date_or_year(numbers[0].value):
        announced = (
            WEAK_NAME.search(message.text) and places.has_a_line(message.text, numbers[0]) and not message.doubtful
        )
        if announced or places.nothing_else(plain, numbers[0]):
            numbers[0].raise_to(_WEAK)
    wary, counts = WARNING.search(plain), COUNTS.search(plain)
    for number in candidates:
        if number.score > 0 and (counts or (wary and number.score < _CERTAIN)):
            number.score = 0
        elif number.score == 0 and message.offers:
            number.score -= _DOUBT
    return [number for number in candidates if number.score > 0 or not number.letters]


def for_autofill(plain: str) -> str:
    """Return the code in the last line for browsers (`@shop.example #123456`), `""` where there is none.

    In a line of its own it is certain; at the end of another one, and with letters, it must stand in the text as well.
    """
    found = AUTOFILL.search(plain)
    if found is None or not any(c.isdecimal() for c in found["code"]):
        return ""
    code = found["code"]
    certain = found["own_line"] is not None and code.isdecimal() and not is_date_or_year(code)
    spoken = re.search(rf"(?<![A-Za-z0-9#]){code}(?![A-Za-z0-9])", plain[: found.start("code")])
    return code if certain or spoken else ""


def _names_in(message: _Message) -> list[_Name]:
    """Return the words that name a code, without those that belong to a longer name or to something else."""
    text = message.text
    names: list[_Name] = []
    lesser = _DOUBT if message.doubtful else 0
    for kind, worth in ((CERTAIN_NAME, _CERTAIN), (LIKELY_NAME, _LIKELY - lesser), (WEAK_NAME, _WEAK - lesser)):
        for match in kind.finditer(text):
            if len(names) > _MAX_NAMES:
                return names
            if any(name.start < match.end() and match.start() < name.end for name in names):
                continue
            before = text[max(0, match.start() - _NEAR) : match.start()]
            if BEFORE_NO_NAME.search(before) or not _may_stand_behind(before, match[0], kind):
                continue
            own = kind is WEAK_NAME and " " not in match[0] and _OWN.search(before) is not None
            names.append(_Name(match.start(), match.end(), match[0], worth + own, kind, own))
    return names


# "your Ant International (code)"
_OWN: Final = re.compile(r"(?<![A-Za-z])(?:[Yy]our|YOUR|Dein|Ihr|Votre|Su|Tu|Seu)\s(?:[A-Z][\w.]{0,14}\s){0,3}$")
# "Zalo Pay (code)"
_LAST_WORDS: Final = re.compile(
    r"\w+(?:\.\w+)*(?=[\s+]{1,3}(?:(?:Business|Account|Games|ID|Web|Pay|App|Login|Guard)\s)?$)"
)


def _may_stand_behind(before: str, name: str, kind: re.Pattern[str]) -> bool:
    """Whether a name may name a code behind these words: "Uber code" may, "class code" and "delivered OTP" do not."""
    if kind is CERTAIN_NAME and not (name.lower() == "otp" and re.search(r"(?<![A-Za-z])[a-z]+\s$", before)):
        return True
    if kind is LIKELY_NAME and SURE_ANYWHERE.match(name):
        return True
    if not re.search(r"\w[\s+]{0,3}$", before) or _OWN.search(before):
        return True
    last = re.findall(r"\w+", before)[-1].lower()
    senders = (word.lower() for word in _LAST_WORDS.findall(before))
    return last in BEFORE_WEAK_NAME or not last.isascii() or any(word in SENDERS for word in senders)


def _vote(message: _Message, candidates: Sequence[Candidate], names: Sequence[_Name]) -> None:
    """Let each name of a code raise the number that it speaks of, and lower what is a year or has expired."""
    text = message.text
    for name in names:
        _vote_for(name, message, candidates)
    named = {number.value for number in candidates if number.score >= LEAST}
    for number in candidates:
        if not number.letters and not message.doubtful:
            _vote_by_place(message, number, names, alone=named <= {number.value})
        if number.plain and is_date_or_year(number.value) and number.score <= _LIKELY:
            number.score -= _DOUBT
        before = text[max(0, number.start - REACH) : number.start]
        if SPENT.match(text[number.end : number.end + 40]) or EXAMPLE.search(before):
            number.score = _SPENT
    let_rivals_in(text, candidates)
    for number, other in pairwise(candidates):
        if ALTERNATIVE.fullmatch(_ASIDE.sub("", text[number.end : other.start])):
            number.score = other.score = max(number.score, other.score)


# "Nhap 529310 vao ung dung", "enter 529310."
_ENDS: Final = re.compile(r"\s?(?:$|[.,;\n]|(?:tai|vao|trong|lam|as|in|on|khi)(?![a-z]))", re.IGNORECASE)
_SENTENCE_ENDS: Final = re.compile(r"\s?(?:$|\n|[.!]\s|[.!]$)")


def _vote_by_place(message: _Message, number: Candidate, names: Sequence[_Name], *, alone: bool) -> None:
    """Raise a number for what is said around it, where no name is tied to it; `alone` where none is to another one."""
    text = message.text
    before, after = text[max(0, number.start - 100) : number.start], text[number.end : number.end + 60]
    entered, begins = ENTER.search(before[-60:]), places.begins(text[: number.start])
    secret = _is_secret(text[: number.start], after)
    prefixed = (number.prefix, len(number.value)) in {("G-", 6), ("FB-", 5), ("FB-", 6)}
    if (
        ((entered or begins) and PURPOSE.match(after))
        or (entered and message.signing_in and _ENDS.match(after))
        or secret
        or (SECRECY_BEFORE.search(before) and _SENTENCE_ENDS.match(after))
        or prefixed
    ):
        number.raise_to(_WEAK)
    named = any(name.worth >= _LIKELY for name in names) or POINTS_BACK.search(text, number.end)
    sender = places.SENDER_AND_COLON.search(before[-_NEAR:])
    from_sender = sender is not None and sender["sender"].lower() in SENDERS
    if alone and named and (places.START.search(before[-_NEAR:]) or from_sender) and _SENTENCE_ENDS.match(after):
        number.raise_to(_LIKELY)


def _is_secret(before: str, after: str) -> bool:
    """Whether a number is called secret: with "this code", or behind the name of a known sender, or of none."""
    secrecy = SECRECY.match(after)
    if secrecy is None:
        return False
    sender = places.SENDER_AND_COLON.search(before[-_NEAR:])
    known = sender is None or not SENDERS.isdisjoint(sender["sender"].lower().split())
    return places.begins(before) and (secrecy["this"] is not None or (known and secrecy["end"] is not None))


def _vote_for(name: _Name, message: _Message, candidates: Sequence[Candidate]) -> None:
    """Raise the number behind the name, or the one before it, that is tied to it."""
    text = message.text
    following, between = following_number(name.end, text, candidates)
    previous = next((number for number in reversed(candidates) if number.end <= name.start), None)
    if following:
        tie = _tie_behind(between, text[following.end : following.end + 40], name, length=len(following.value))
        confirms_order = (
            name.kind is LIKELY_NAME and _ORDER.search(between) and not _speaks_of_signing_in(message, name)
        )
        if name.text.lower() == "otp" and len(following.value) < 6 and not _is_introduced(text[: name.start]):
            return None  # "Gia OTP: 6031"
        if confirms_order or ((name.weak or name.door) and not _is_supported(name, following, message, tie)):
            return following.raise_to(HINT if tie and not following.letters else 0)
        behind = tie and (not following.letters or _may_be_letters(name, following, text, tie))
        # "8812 la ma OTP chuyen tien, 9931 la ma OTP dang nhap": each name speaks of the number before it.
        if behind and not (tie == _BESIDE and previous and is_linked_before(text[previous.end : name.start])):
            return following.raise_to(name.worth - (tie == _BESIDE))
    if previous is None:
        return None
    between = _ASIDE.sub("", text[previous.end : name.start])
    if len(between) > REACH or SENTENCE_END.search(between.rstrip(". "), 2):
        return None
    if previous.letters and not any(c.isdecimal() for c in previous.value):
        return None
    if name.kind is WEAK_NAME and not ends_as_a_code(text[name.end : name.end + 40]):
        return None  # "4882 la ma cua" (of the door)
    if is_linked_before(between):
        return previous.raise_to(name.worth)
    loose = LOOSE_LINK.match(between + name.text)
    if loose and not previous.letters and not name.weak and _may_be_first(previous, text, between, name):
        rest = between[loose.end() :]
        if are_fillers(rest, 2) or re.fullmatch(r"[\u4e00-\u9fff]{0,6}", rest):
            return previous.raise_to(name.worth - 1)
    return None


def _tie_behind(between: str, after: str, name: _Name, *, length: int) -> str:
    """Return how a number is tied to the name before it: by a link ("code is: 5293"), by standing beside it, or `""`."""
    lower = name.text.lower()
    if OTHER_SUBJECT.search(between) or (lower.endswith("pin") and _DEVICE.search(between)):
        return ""
    link = LINK_BEFORE.search(between)
    words = _ASIDE.sub(" ", between[: link.start()] if link else between)
    # A garden may be called OTP, and a car has a "pin": with a name that is not known they are no codes.
    strangers = 0 if name.weak or lower in {"ma pin", "pin"} or (lower == "otp" and length < 6) else 3
    if link:
        words = words.replace(CUT, " ")
        any_purpose = name.kind is CERTAIN_NAME and " " in name.text and ANY_PURPOSE.fullmatch(words)
        purpose = name.takes_purpose and says_what_for(words)
        return _LINKED if are_fillers(words, strangers, weak=name.weak) or any_purpose or purpose else ""
    if name.parcel or CHINESE.search(words) or _PLACE.search(words):
        return ""
    goes_on = AFTER_WEAK if name.kind is WEAK_NAME else AFTER_UNTIED
    return _BESIDE if are_fillers(words, strangers, weak=name.weak) and goes_on.match(after) else ""


# "(khong cung cap cho ai)", "6 chu so"
_ASIDE: Final = re.compile(
    r"\([^()]{0,60}\)"
    r"|(?<![a-z\d])(?:\d{1,2}|hai|two)[ -]?(?:chu so|so|ky tu|digits?|lop|yeu to|buoc|steps?|factor)(?![a-z])",
    re.IGNORECASE,
)
_DEVICE: Final = re.compile(r"\b(?:dien thoai|thiet bi|may|xe|laptop)\b", re.IGNORECASE)
# "ma kich hoat tai cua hang 4721"
_PLACE: Final = re.compile(r"\b(?:[Tt]ai(?! khoan| [A-Z])|TAI(?! KHOAN)|qua|tu|at|from|via|to)\b")


def _is_introduced(before: str) -> bool:
    """Whether nothing stands before "OTP", or another code, or a word that gives a code or sends it."""
    word = re.search(r"(\w+)\s$", before[-_NEAR:])
    return (
        word is None
        or re.fullmatch("[0-9]{4,8}", word[1]) is not None
        or word[1].lower() in BEFORE_WEAK_NAME - {"gui"}
        or word[1].lower() in SENDERS
    )


# "Ma xac nhan don hang 552910 - du kien giao 29/11"
_ORDER: Final = re.compile(
    r"\b(?:don|dat|thanh toan|giao(?! dich)|mua|tour|lich|ve|chuyen khoan|nop|order|payment)\b", re.IGNORECASE
)


def _speaks_of_signing_in(message: _Message, name: _Name) -> bool:
    """Whether the message does so with other words than this name."""
    return any(end <= name.start or start >= name.end for start, end in message.signing_in)


def _is_supported(name: _Name, number: Candidate, message: _Message, tie: str) -> bool:
    """Whether more than a weak name speaks for a number: signing in, a known sender, or that it begins the message."""
    before = message.text[max(0, name.start - 60) : name.start]
    after = message.text[number.end : number.end + 60]
    last = next(iter(re.findall(r"\w+", before[-_NEAR:])[-1:]), "").lower()
    own = _OWN.search(before[-_NEAR:]) is not None
    signing_in = _speaks_of_signing_in(message, name)
    context = signing_in or message.from_sender
    whose = re.match(r"\s(?:cua\s(?:ban|quy|qk|anh|chi))", message.text[name.end : name.end + 9]) is not None
    yours = tie == _LINKED and whose
    if context and (tie == _LINKED or (tie and name.door)):
        return True
    if tie == _BESIDE and (last in SENDERS or (context and GIVES.search(before)) or (own and signing_in)):
        return True
    if PURPOSE.match(after) or _is_secret(message.text[: name.start], after):
        return True
    if (name.door and (yours or own)) or (own and last in SENDER_WORDS):
        return True
    # "Ma 529310. Hotline …", "The code is 529310"
    alone = yours or re.match(r"[\s\"')]{0,3}(?:$|[.\n]|,(?!.{0,20}:))", after)
    long_enough = len(number.value) >= 5 or len(message.text.strip()) < 15
    long_enough = long_enough and (own or "confirm" not in name.text.lower())
    begins = places.START.search(_LEADING_WORDS.sub("", before)) or (whose and _is_sender(message.text[: name.start]))
    return bool(long_enough and alone and begins)


def _is_sender(before: str) -> bool:
    """Whether a message begins with no more than a sender's name that is not known: capitals, or a foreign word."""
    if THING.search(before):
        return False
    word = _WORD_AND_COLON.match(before)
    return CAPITALS_AND_COLON.match(before) is not None or (
        word is not None and not SYLLABLE.fullmatch(word[1].upper())
    )


# "Acme: ma cua ban la 603184"
_WORD_AND_COLON: Final = re.compile(
    r"(?!(?i:ticket|lucky|locker|queue|prize|winner|bingo|minigame|booking|invoice|member))([A-Z][A-Za-z0-9]{3,14})\s?:\s?$"
)
_LEADING_WORDS: Final = re.compile(
    r"(?:(?:the|your|vui long|please|ban|nhap|enter|use|xin loi)\s){1,3}$", re.IGNORECASE
)


def _may_be_letters(name: _Name, number: Candidate, text: str, tie: str) -> bool:
    """Whether the name is good enough for a code of letters: behind "code" alone stand offers, such as "SALE50"."""
    if tie == _BESIDE and not any(c.isdecimal() for c in number.value):
        return False
    if name.text.lower().endswith("pin"):
        return False
    if name.weak:
        return len(text.strip()) < 15 and not re.search("[AEIOUY]", number.value)
    return tie == _LINKED or name.kind is CERTAIN_NAME


def _may_be_first(number: Candidate, text: str, between: str, name: _Name) -> bool:
    """Whether the number before a name that no link ties to it begins something, or the name stands in brackets."""
    in_brackets = between.strip() == "(" and name.kind is CERTAIN_NAME and len(number.value) >= 6
    return in_brackets or places.begins(text[: number.start])
