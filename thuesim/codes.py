"""Find the code in a message, where the upstream gave the text alone.

No code is better than a wrong one: what is shown is copied, heard and pasted without a second look. So the text is made
plain, the numbers that are surely no code are cut out, the words that name a code each vote for the number they speak
of, and a number that is not clearly ahead of all others is none.
"""

import re
import unicodedata
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from .code_words import (
    ALTERNATIVE,
    AUTOFILL,
    CONNECTOR,
    ENTER_WORD,
    FAR_CONNECTOR,
    KNOWN_SENDER,
    LINK,
    LOOSE_LINK,
    NO_CODES,
    OFFER,
    OTHER_SUBJECT,
    POINTS_BACK,
    PURPOSE,
    REFERENCE,
    SENDER,
    SENTENCE_END,
    SPENT,
    STRONG_WORD,
    WEAK_WORD,
)
from .entities import without_entities
from .limits import MAX_CODE_LENGTH

# The bounds here and those in the patterns keep hostile text from taking long.
_MAX_LENGTH: Final = 4000
_MAX_CANDIDATES: Final = 40
_CUT: Final = " ¦ "

# How far a word speaks, in characters.
_REACH: Final = 80
_NEAR: Final = 30

# The least score of a code, and how far it must be ahead of every other number.
_LEAST: Final = 3
_AHEAD: Final = 2
_SPENT: Final = -9
_STRONG: Final = 6
_WEAK: Final = 4

_DIGITS: Final = re.compile(
    r"(?P<prefix>(?<![A-Za-z0-9-])[A-Z]{1,3}-)?"
    # Letters may touch a code only where they are words of the message: "la 059809ma otp".
    r"(?:(?<![A-Za-z0-9])|(?<=(?i:otp|ode|pin))|(?<=(?i:ma|la|is))(?=[0-9]{6})|(?<=-))(?<![0-9][-./:,])"
    r"(?P<digits>"
    r"[0-9]{4,8}"
    r"|[0-9]{3}([ -])[0-9]{3}|[0-9]{4}[ -][0-9]{4}|[0-9]{2}([ -])[0-9]{2}(?:\4[0-9]{2}){0,2}"
    r"|[0-9](?:[ .,-]{1,2}[0-9]){3,7}"
    r")(?![0-9]|[-./:][0-9]|[ -][0-9]{1,4}(?![0-9]))(?=[^A-Za-z]|$|(?i:ma|la|is|otp|code|xin|de|hieu|co|vui|nhap|khong))"
)
_LETTERS: Final = re.compile(r"(?<![A-Za-z0-9@#/&._-])(?=[A-Za-z0-9]{0,7}[A-Z0-9])[A-Za-z0-9]{4,8}(?![A-Za-z0-9@/_-])")
_TAG: Final = re.compile("</?(?:a|b|br|div|em|font|i|p|span|strong|u)(?:\\s[^<>]{0,200})?/?>")
_SPOKEN_DIGITS: Final = {
    word: str(digit)
    for words in (
        ["khong", "mot", "hai", "ba", "bon", "nam", "sau", "bay", "tam", "chin"],
        ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"],
        list("〇一二三四五六七八九"),
        list("零壹贰叁肆伍陆柒捌玖"),
    )
    for digit, word in enumerate(words)
} | {"oh": "0", "lam": "5", "tu": "4"}
_SPOKEN: Final = re.compile(
    rf"(?<![a-z])(?:(?:{'|'.join(sorted(_SPOKEN_DIGITS, key=len, reverse=True))})(?![a-z])[ ,.-]{{0,2}}){{4,16}}",
    re.IGNORECASE,
)


_SYLLABLE: Final = re.compile("[BCDGHKLMNPQRSTVX]{0,3}[AEIOUY]{1,3}(?:NG|NH|CH|[CMNPT])?")  # of Vietnamese, as "THONG"
_ENDS_IN_CONNECTOR: Final = re.compile(r"(?:[:=]|\b(?:la|is)\b)\s?[\"'(\[<*]?$", re.IGNORECASE)
# "OTP cho giao dich so 20483: 771024"
_OTHER_THING: Final = re.compile(r"\b(?:cho|for|cua|tai|vao|of|on)\b|[.;¦,]", re.IGNORECASE)
_FOLLOWED_BY_ANOTHER: Final = re.compile(r"[^.;\n]{0,20}?(?:[:=]|\bla\b|\bis\b)\s?[0-9]{4,8}", re.IGNORECASE)


@dataclass(slots=True)
class _Candidate:
    """A number or word that may be the code: where it is, how the sender writes it, and its best score so far."""

    start: int
    end: int
    value: str
    prefix: str
    plain: bool  # one run of digits
    score: int = 0


def extract_code(message: str) -> str:
    """Return the code in a message, `""` where there is none or where it is not clear which it is.

    A code has 4 to 8 digits, or letters and digits right beside the word that names it. Digits that the sender writes in
    groups are joined (`"072-464"` is `"072464"`); a prefix such as `G-` stays. At most the first 4,000 characters count.
    """
    return _clearly_best(_scored(normalised(message)))


def _scored(plain: str) -> list[_Candidate]:
    """Return what may be the code in a normalised message, with its score; nothing for a long list of numbers."""
    if not any("0" <= c <= "9" for c in plain) and not STRONG_WORD.search(plain):
        return []  # a code of letters stands beside the word that names it
    text = _without_other_numbers(plain)
    candidates = _digits_in(text)
    if len(candidates) > _MAX_CANDIDATES:
        return []
    offers = bool(OFFER.search(plain))
    _vote(text, candidates, offers=offers)
    candidates += [] if offers else _letters_in(text)
    autofill = AUTOFILL.search(plain)
    if autofill:
        _vote_for_autofill(autofill[1], candidates)
    return candidates


@dataclass(frozen=True, slots=True)
class Reading:
    """The code of a message, and the second reading where the upstream's `Code` and the text disagree.

    `drift` names the disagreement, `""` where there is none.
    """

    code: str
    second: str = ""
    drift: str = ""


def read(given: str, text: str) -> Reading:
    """Return what the code of a message is: `given` is the upstream's `Code`, `""` where it gave none.

    The upstream's stays the code unless the text speaks against it. Where the text clearly names another one, the
    upstream's is second, but for a number that the text may mean as well. Where the text names none and has the
    upstream's as something else alone, such as a phone number or an offer, it is second and there is no code.
    """
    found = extract_code(text)
    if not given:
        return Reading(found)
    given = whole_code(given, text)
    if not text or copied(given) == copied(found):
        return Reading(given)
    if found:
        if _may_be_meant(given, text):
            return Reading(given, found, "a code that the text names beside another one")
        return Reading(found, given, "a code that is not the one in the text")
    if _is_another_number(given, text):
        return Reading("", given, "a code that is another number of the text")
    return Reading(given)


def _may_be_meant(given: str, text: str) -> bool:
    """Whether the text has a word for this number, too."""
    candidates = _scored(normalised(text))
    return any(one.value == copied(given) and one.score >= _LEAST for one in candidates)


def _is_another_number(given: str, text: str) -> bool:
    """Whether the text has this number only as something else: a phone number, an amount, an order, an offer, a year …

    A number that no word speaks of, as in a language that we do not know, may be the code.
    """
    digits, plain = copied(given), normalised(text)
    if not re.fullmatch("[0-9]{4,8}", digits) or digits not in re.sub(r"[ .,-]", "", plain):
        return False
    return not any(one.value == digits and one.score >= 0 for one in _scored(plain))


def normalised(message: str) -> str:
    """Return the message without entities, invisible characters, accents and digits of other scripts."""
    text = _TAG.sub(" ", without_entities(message[:_MAX_LENGTH]))
    text = unicodedata.normalize("NFKD", text)[:_MAX_LENGTH]
    kept = (c for c in text if c in "\n\t" or unicodedata.category(c) not in {"Mn", "Me", "Cf", "Cc"})
    plain = _western("".join(kept)).replace("đ", "d").replace("Đ", "D").replace("\t", " ")
    plain = re.sub(r"[^\S\n]{1,100}", " ", plain)
    return _SPOKEN.sub(_as_digits, plain)


def _western(text: str) -> str:
    """Return the text with the digits 0 to 9 in the place of those of other scripts."""
    return "".join(str(unicodedata.decimal(c)) if c.isdecimal() else c for c in text)


def _as_digits(spoken: re.Match[str]) -> str:
    words = re.findall(r"[a-z]+|[^\W\d_]", spoken[0].lower())
    digits = "".join(_SPOKEN_DIGITS[word] for word in words)
    half = len(digits) // 2
    # A voice says its code twice.
    digits = digits[:half] if half >= 4 and digits[:half] == digits[half:] else digits
    return f" {digits} "


def _without_other_numbers(text: str) -> str:
    for kind in NO_CODES:
        text = kind.sub(_CUT, text)
    return REFERENCE.sub(_without_reference, text)


def _without_reference(reference: re.Match[str]) -> str:
    """Return nothing for the number of an order or an account; but "ma xac nhan don hang 3958" is the code's own name."""
    text, start = reference.string, reference.start()
    after = text[reference.end() : reference.end() + _NEAR]
    if LINK.match(after) and STRONG_WORD.search(after):
        return reference[0]  # "Microsoft account: 580264 is your security code"
    before = text[max(0, start - _NEAR) : start]
    named = list(STRONG_WORD.finditer(before))
    if not named or _OTHER_THING.search(before, named[-1].end()) or _FOLLOWED_BY_ANOTHER.match(after):
        return _CUT
    return reference[0]


def _digits_in(text: str) -> list[_Candidate]:
    found = []
    for match in _DIGITS.finditer(text):
        digits = re.sub("[^0-9]", "", match["digits"])
        if 4 <= len(digits) <= 8:
            plain = len(digits) == len(match["digits"])
            found.append(_Candidate(match.start(), match.end(), digits, match["prefix"] or "", plain))
    return found


def _letters_in(text: str) -> list[_Candidate]:
    """Return the words with letters that are codes: right behind the word that names a code, or right before it."""
    found = []
    named = {match.end(): match for match in STRONG_WORD.finditer(text)}
    starts = sorted(match.start() for match in named.values())
    for match in _LETTERS.finditer(text):
        word = match[0]
        if word.isdecimal() or _DIGITS.match(text, match.start()) or not _is_no_word(word):
            continue
        behind = any(_connects(text[end : match.start()]) for end in named if 0 < match.start() - end <= _NEAR)
        link = LINK.match(text[match.end() : match.end() + 8])
        before = link is not None and any(
            0 < start - match.end() <= _NEAR and not SENTENCE_END.search(text, match.end(), start) for start in starts
        )
        if behind or before:
            found.append(_Candidate(match.start(), match.end(), word, "", plain=True, score=5))
    return found[:_MAX_CANDIDATES]


def _connects(between: str) -> bool:
    if FAR_CONNECTOR.match(between):
        return True
    return CONNECTOR.match(between) is not None and bool(
        re.search(r"[:=]|\b(?:la|is)\b|[是为]", between, re.IGNORECASE)
    )


def _is_no_word(word: str) -> bool:
    """Whether a word reads like a code: digits among its letters, capitals behind small letters, or hardly a vowel."""
    if any(c.isdecimal() for c in word):
        return True
    if word.isupper():
        return len(word) >= 5 and sum(c in "AEIOUY" for c in word) * 4 < len(word) and not _SYLLABLE.fullmatch(word)
    return sum(c.isupper() for c in word[1:]) >= 2 and not word[1:].isupper() and len(word) >= 6


def _vote(text: str, candidates: list[_Candidate], *, offers: bool) -> None:
    """Let each word that names a code raise the number it speaks of, and lower what looks like something else."""
    strong = list(STRONG_WORD.finditer(text))
    for word in strong:
        _vote_for(word, text, candidates, strength=_STRONG)
    taken = [(word.start(), word.end()) for word in strong]
    for word in WEAK_WORD.finditer(text):
        if not any(start <= word.start() < end for start, end in taken):
            _vote_for(word, text, candidates, strength=_WEAK)
    for word in ENTER_WORD.finditer(text):
        following = next((one for one in candidates if one.start >= word.end()), None)
        if following and re.fullmatch(
            r"\s(?:(?:ma|so|code)\s)?[\"'(]?", text[word.end() : following.start], re.IGNORECASE
        ):
            _raise(following, 4)
    for one in candidates:
        if PURPOSE.match(text[one.end : one.end + 60]):
            _raise(one, 4)
        if (strong or POINTS_BACK.search(text, one.end)) and _is_alone(text, one):
            _raise(one, 5)
        if one.prefix:
            _raise(one, 4)
        if one.score < 5 and offers:
            one.score -= 3
        if one.score < 5 and one.plain and re.fullmatch("(?:19|20)[0-9]{2}", one.value):
            one.score -= 3
        if SPENT.match(text[one.end : one.end + 40]):
            one.score = _SPENT
    for one, other in pairwise(candidates):
        if ALTERNATIVE.fullmatch(text[one.end : other.start]):
            one.score = other.score = max(one.score, other.score)
    if len({one.value for one in candidates}) == 1 and candidates[0].plain:
        (one,) = candidates[:1]
        announced = WEAK_WORD.search(text) and _has_a_line(text, one)
        if announced or _nothing_else(text, one):
            _raise(one, 4)


def _raise(candidate: _Candidate, score: int) -> None:
    candidate.score = max(candidate.score, score)


def _vote_for(word: re.Match[str], text: str, candidates: list[_Candidate], *, strength: int) -> None:
    """Raise the number behind the word, or the one before it that a link ties to it."""
    following, between = _following(word.end(), text, candidates)
    sender = SENDER if strength == _STRONG else KNOWN_SENDER
    if following and (CONNECTOR.match(between) or sender.fullmatch(between)):
        return _raise(following, strength)
    previous = next((one for one in reversed(candidates) if one.end <= word.start()), None)
    before = text[previous.end : word.start()] if previous else ""
    ties = previous is not None and len(before) <= _REACH and not SENTENCE_END.search(before)
    if previous and ties and LINK.match(before + word[0]):
        return _raise(previous, strength)
    if strength < _STRONG:
        return None
    other = OTHER_SUBJECT.search(between)
    if following and not other and _ENDS_IN_CONNECTOR.search(between):
        return _raise(following, strength - 1)
    if previous and ties and LOOSE_LINK.match(before + word[0]):
        return _raise(previous, strength - 1)
    if following and not other and len(between) <= _NEAR and between.count(" ") <= 6 and _CUT not in between:
        _raise(following, strength - 2)
    return None


def _following(end: int, text: str, candidates: list[_Candidate]) -> tuple[_Candidate | None, str]:
    """Return the number that a word ending at `end` may speak of, in its sentence, and what stands between them."""
    behind = (one for one in candidates if one.start >= end)
    following = next(behind, None)
    then = next(behind, None)
    if following and then and re.fullmatch(r"\s?(?:la|is|[:=])\s?", text[following.end : then.start], re.IGNORECASE):
        following = then  # "code for order 1829 is 615204"
    between = text[end : following.start] if following else ""
    reaches = following is not None and len(between) <= _REACH and not SENTENCE_END.search(between)
    return (following, between) if reaches else (None, "")


def _is_alone(text: str, one: _Candidate) -> bool:
    """Whether the candidate is a sentence or a line of its own."""
    before, after = text[max(0, one.start - _NEAR) : one.start], text[one.end : one.end + 3]
    sentence = SENTENCE_END.split(before.rstrip())[-1]
    begins = re.search(r"(?:^|\n|[.!?:]\s|\]\s?)\s?$", before) and not OTHER_SUBJECT.search(sentence)
    return bool(begins and re.match(r"\s?(?:$|\n|[.!]\s|[.!]$)", after))


def _has_a_line(text: str, one: _Candidate) -> bool:
    return text[: one.start].rstrip(" ").endswith("\n") and text[one.end :].lstrip(" ")[:1] in {"", "\n"}


def _nothing_else(text: str, one: _Candidate) -> bool:
    """Whether the message is little more than this number."""
    words = re.findall(r"[^\W\d_]{2,}", text[: one.start] + " " + text[one.end :])
    return len(words) == 0 or (len(words) == 1 and len(one.value) >= 5)


def _vote_for_autofill(value: str, candidates: list[_Candidate]) -> None:
    for one in candidates:
        if one.value == value:
            _raise(one, 9)
    if not any(one.value == value for one in candidates):
        candidates.append(_Candidate(0, 0, value, "", plain=True, score=7))


def _clearly_best(candidates: list[_Candidate]) -> str:
    """Return the value that is ahead of all others by far enough, `""` where none is."""
    scores: dict[str, int] = {}
    for one in candidates:
        scores[one.value] = max(scores.get(one.value, one.score), one.score)
    ranking = sorted(scores, key=lambda value: scores[value], reverse=True)
    if not ranking or scores[ranking[0]] < _LEAST:
        return ""
    if len(ranking) > 1 and scores[ranking[0]] - scores[ranking[1]] < _AHEAD:
        return ""
    prefix = max(one.prefix for one in candidates if one.value == ranking[0])
    return prefix + ranking[0]


def copied(code: str) -> str:
    """Return what a code's field wants of a code in the sender's form: `"195829"` of `"G-195829"` or `"195-829"`.

    A code with letters of its own stays as it is.
    """
    plain = unicodedata.normalize("NFKC", code.strip())
    digits = re.sub(r"^[A-Za-z]{1,3}-(?=[0-9])|(?<=[0-9])[ .-](?=[0-9])", "", _western(plain))
    return digits if re.fullmatch("[0-9]{3,12}", digits) else code


def whole_code(code: str, message: str) -> str:
    """Return `code` with the leading zeros that a JSON number loses, where the message shows it with them."""
    if not code.isdecimal() or re.search(rf"(?<![0-9]){code}(?![0-9])", message):
        return code
    shown = set(re.findall(rf"(?<![0-9])0+{code}(?![0-9])", message))
    whole = str(shown.pop()) if len(shown) == 1 else code
    return whole if len(whole) <= MAX_CODE_LENGTH else code


def visible(code: str) -> str:
    """Return `code` without invisible characters (direction marks, zero-width and control characters), so that what is
    read, heard and copied is the same."""
    return "".join(character for character in code if character.isprintable())
