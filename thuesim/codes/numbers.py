"""The numbers of a message that may be its code: the text made plain, without the numbers that are surely none."""

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

from ..entities import without_entities
from ..folding import without_marks
from .no_codes import NO_CODES, REFERENCE
from .words import CERTAIN_NAME, LIKELY_NAME, LINK, OFFER, OTHER_TOPIC, SENDERS

# The bounds here and those in the patterns keep hostile text from taking long.
_MAX_LENGTH: Final = 4000
MAX_CANDIDATES: Final = 40
# How far the words beside an order's number are read, in characters.
_NEAR: Final = 30
# What stands in the place of a number that is surely no code.
CUT: Final = " ¦ "

_DIGITS: Final = re.compile(
    r"(?P<prefix>(?<![A-Za-z0-9-])(?!OTP|PIN)[A-Z]{1,3}-)?"
    # Letters may touch a code only where they are words of the message: "la 059809ma otp".
    r"(?:(?<![A-Za-z0-9])|(?<=(?i:otp|ode|pin))|(?<=(?i:ma|la|is))(?=[0-9]{6})|(?<=-))(?<![0-9][-./:,])"
    r"(?P<digits>"
    r"[0-9]{4,8}"
    r"|[0-9]{3}([ -])[0-9]{3}|[0-9]{4}[ -][0-9]{4}|[0-9]{4} [0-9]{2}|[0-9]{2}-[0-9]{3}"
    r"|[0-9]{2}([ -])[0-9]{2}(?:\4[0-9]{2}){0,2}"
    r"|[0-9](?:[ .,-]{1,2}[0-9]){3,7}"
    r")(?![0-9]|[-./:][0-9]|[ -][0-9]{1,4}(?![0-9]))(?=[^A-Za-z]|$|(?i:ma|la|is|otp|code|xin|de|hieu|co|vui|nhap|khong))"
)
_LETTERS: Final = re.compile(r"(?<![A-Za-z0-9@#/&._-])(?=[A-Za-z0-9]{0,7}[A-Z0-9])[A-Za-z0-9]{4,8}(?![A-Za-z0-9@/_-])")
_LETTER_GROUPS: Final = re.compile(
    r"(?<![A-Za-z0-9@#/&._-])(?=[A-Z0-9-]{0,7}[0-9])(?=[A-Z0-9-]{0,7}[A-Z])[A-Z0-9]{3,4}-[A-Z0-9]{3,4}(?![\w@/-])"
)
# Without accents a new code ("mã mới") is not told from an invitation ("mã mời").
_NEW: Final = re.compile("mới", re.IGNORECASE)
# "OTP1: 4412, OTP2: 9038": the first and the second code.
_COUNTED: Final = re.compile(
    r"(?<![a-z])(otp|totp|pin)[ -]?#?[1-9](?=\s?[:=]|\s(?:la|is)\s|\s[0-9]{4,8}(?![0-9]))", re.IGNORECASE
)
_NAME_AND_DIGITS: Final = re.compile(r"(?:otp|totp|pin|code|sms|ma|so)[0-9]{1,2}", re.IGNORECASE)
# "Ma cu: 551208, ma moi: 902211": here "ma moi" is no invitation.
_OLD_CODE: Final = re.compile(
    r"(?<![a-z])(?:ma(?: otp)? cu|thay (?:the )?(?:cho )?ma|ma(?: otp)? [0-9]{4,8} (?:da|khong con|het))(?![a-z])",
    re.IGNORECASE,
)
_OF_A_THING: Final = re.compile(
    rf"{OTHER_TOPIC.pattern}|{OFFER.pattern}"
    r"|(?<![a-z])(?:hang|san pham|sp|thue|kho|don|khach|kh|vung|buu|vach|cua(?! (?:ban|quy))|toa|lop|phong|may|xe|hoc"
    r"|chung khoan|bao hiem|nganh|truong|tuyen|(?<!thay )the)(?![a-z])",
    re.IGNORECASE,
)
_NEW_CODE: Final = re.compile(r"(?<![a-z])ma moi(?=(?: cua ban)?(?: la)?\s?[:=]?\s?[0-9]{4,8}(?![0-9]))", re.IGNORECASE)
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
SYLLABLE: Final = re.compile("[BCDGHKLMNPQRSTVX]{0,3}[AEIOUY]{1,3}(?:NG|NH|CH|[CMNPT])?")  # of Vietnamese, as "THONG"
# A day such as 26112026 or 20261126
_DAY_RUN: Final = (
    "(?:0[1-9]|[12][0-9]|3[01])(?:0[1-9]|1[0-2])(?:19|20)[0-9]{2}"
    "|(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])"
)
_NAME: Final = re.compile(f"{CERTAIN_NAME.pattern}|{LIKELY_NAME.pattern}", re.IGNORECASE | re.VERBOSE)
# "OTP cho giao dich so 20483: 771024"
_OTHER_THING: Final = re.compile(r"\b(?:cho|for|cua|tai|vao|of|on)\b|[.;¦,]", re.IGNORECASE)
_FOLLOWED_BY_ANOTHER: Final = re.compile(
    r"(?:[^.;\n]{0,20}?(?:[:=]|\bla\b|\bis\b)|\s?[-–—]|\s?[-–—,]\s(?:ma|otp|code)(?: [a-z]{1,8}){0,2}\s)"
    r"\s?[0-9]{4,8}(?![0-9])",
    re.IGNORECASE,
)


@dataclass(slots=True)
class Candidate:
    """A number or word that may be the code: where it is, how the sender writes it, and its best score so far."""

    start: int
    end: int
    value: str
    prefix: str
    plain: bool  # one run of digits or letters
    letters: bool = False
    score: int = 0

    def raise_to(self, score: int) -> None:
        self.score = max(self.score, score)


def normalised(message: str) -> str:
    """Return the message without entities, invisible characters, accents and digits of other scripts."""
    text = unicodedata.normalize("NFC", _TAG.sub(" ", without_entities(message[:_MAX_LENGTH])))
    text = without_marks(_NEW.sub("hien tai", text))[:_MAX_LENGTH]
    plain = western(text).replace("\t", " ")
    plain = re.sub(r"[^\S\n]{1,100}", " ", plain)
    if _OLD_CODE.search(plain) and not _OF_A_THING.search(plain):
        plain = _NEW_CODE.sub("ma dang nhap", plain)
    return _SPOKEN.sub(_as_digits, _COUNTED.sub(r"\1", plain))


def western(text: str) -> str:
    """Return the text with the digits 0 to 9 in the place of those of other scripts."""
    return "".join(str(unicodedata.decimal(c)) if c.isdecimal() else c for c in text)


def _as_digits(spoken: re.Match[str]) -> str:
    words = re.findall(r"[a-z]+|[^\W\d_]", spoken[0].lower())
    digits = "".join(_SPOKEN_DIGITS[word] for word in words)
    half = len(digits) // 2
    # A voice says its code twice.
    digits = digits[:half] if half >= 4 and digits[:half] == digits[half:] else digits
    return f" {digits} "


def without_other_numbers(text: str) -> str:
    for kind in NO_CODES:
        text = kind.sub(CUT, text)
    return REFERENCE.sub(_without_reference, text)


def _without_reference(reference: re.Match[str]) -> str:
    """Return nothing for the number of an order or an account; but "ma xac nhan don hang 3958" is the code's own name."""
    text, start = reference.string, reference.start()
    after = text[reference.end() : reference.end() + _NEAR]
    if LINK.match(after) and _NAME.search(after):
        return reference[0]  # "Microsoft account: 580264 is your security code"
    before = text[max(0, start - _NEAR) : start]
    named = list(_NAME.finditer(before))
    if not named or _OTHER_THING.search(before, named[-1].end()) or _FOLLOWED_BY_ANOTHER.match(after):
        return CUT
    return reference[0]


def digits_in(text: str) -> list[Candidate]:
    found = []
    for match in _DIGITS.finditer(text):
        digits = re.sub("[^0-9]", "", match["digits"])
        if 4 <= len(digits) <= 8:
            plain = len(digits) == len(match["digits"])
            found.append(Candidate(match.start(), match.end(), digits, match["prefix"] or "", plain))
    return found


def letters_in(text: str) -> list[Candidate]:
    """Return the words with letters that may be codes: digits among letters, or hardly a vowel.

    Without digits they must end something: "Ma OTP VietABank se gui …" has none.
    """
    words = [
        match for match in _LETTERS.finditer(text) if not _DIGITS.match(text, match.start()) and _is_no_word(match[0])
    ]
    words = [match for match in words if _HAS_DIGIT.search(match[0]) or _ENDS.match(text, match.end())]
    words += _LETTER_GROUPS.finditer(text)
    found = [Candidate(match.start(), match.end(), match[0], "", plain=True, letters=True) for match in words]
    found = [word for word in found if word.value.lower() not in SENDERS and not _NAME_AND_DIGITS.fullmatch(word.value)]
    return found[:MAX_CANDIDATES]


_HAS_DIGIT: Final = re.compile("[0-9]")
_ENDS: Final = re.compile(r"\s?(?:$|[.,;\n])")


def _is_no_word(word: str) -> bool:
    """Whether a word reads like a code: digits among its letters, capitals behind small letters, or hardly a vowel."""
    if any(c.isdecimal() for c in word):
        return not word.isdecimal()
    if word.isupper():
        return len(word) >= 5 and sum(c in "AEIOUY" for c in word) * 4 < len(word) and not SYLLABLE.fullmatch(word)
    return sum(c.isupper() for c in word[1:]) >= 2 and not word[1:].isupper() and len(word) >= 6


def is_date_or_year(value: str) -> bool:
    """Whether the digits read like a year, or a day such as 26112026."""
    return bool(re.fullmatch(rf"(?:19|20)[0-9]{{2}}|{_DAY_RUN}", value))
