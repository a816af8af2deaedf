"""What stands between a name and a number: whether it ties the number to the name, or is about something else."""

import re
from collections.abc import Sequence
from typing import Final

from .numbers import Candidate
from .words import AFTER_NAME, FILLER, FOR_WHAT, LINK, LINK_BEFORE, SENDER_WORDS, SENDERS, SENTENCE_END, WHOSE

# How far a name speaks, in characters.
REACH: Final = 80
CHINESE: Final = re.compile("[\u4e00-\u9fff]")
_WORD: Final = re.compile(r"[^\W_][\w.']*|¦")
# "OTP mo 5512 tai khoan con: 882312", "OTP dang nhap 551208 - 882312": the first may be what the code is for.
_AMOUNT_AND_LINK: Final = re.compile(
    r"\s?[\])]?\s?(?:[-–—=]?>|[-–—|→]|(?<=[\])]):)\s?|\s?(?:[a-z]{1,10}\s){0,3}[a-z]{1,10}\s?[:=]\s?"
)
_NAMED: Final = re.compile(r"^[^.;\n]{0,40}(?:\bla|\bis|[:=])\s?$", re.IGNORECASE)


def following_number(end: int, text: str, candidates: Sequence[Candidate]) -> tuple[Candidate | None, str]:
    """Return the number that a name ending at `end` may speak of, in its sentence, and what stands between them."""
    behind = (number for number in candidates if number.start >= end)
    following = next(behind, None)
    then = next(behind, None)
    if following and then and re.fullmatch(r"\s?(?:la|is|[:=])\s?", text[following.end : then.start], re.IGNORECASE):
        following = then  # "code for order 1829 is 615204"
    if (
        following
        and then
        and following.letters
        and not then.letters
        and _NAMED.search(text[following.end : then.start])
    ):
        following = then  # "ma OTP dang ky dich vu MIMAX90 cua Quy khach la 738512"
    between = text[end : following.start] if following else ""
    untied = not LINK_BEFORE.search(between)
    if untied and following and then and _AMOUNT_AND_LINK.fullmatch(text[following.end : then.start]):
        return None, ""
    reaches = following is not None and len(between) <= REACH and not SENTENCE_END.search(between.strip())
    return (following, between) if reaches else (None, "")


def is_linked_before(between: str) -> bool:
    """Whether what stands between a number and the name after it says that it is that: "529310 is your (code)"."""
    link = LINK.match(between)
    return link is not None and are_fillers(between[link.end() :], 4)


def ends_as_a_code(after: str) -> bool:
    """Whether what follows "4882 is the code" may follow a code: an end, whose it is, what for, or a known sender."""
    if AFTER_NAME.match(after):
        return True
    word = re.match(r"\s(?:cua\s)?([\w.]+)", after)
    return word is not None and word[1].lower() in SENDERS | SENDER_WORDS


def are_fillers(words: str, strangers: int, *, weak: bool = False) -> bool:
    """Whether the words say no more than whose code it is, with the names of known senders and so many others.

    Behind a weak name "quy khach" and the like must belong to it: "ma cua quy khach" is a code, "ma quy khach" is none.
    """
    if weak:
        words = WHOSE.sub(" ", words)
    for word in _WORD.findall(words):
        plain = word.lower().strip(".'")
        if plain in SENDERS or plain in SENDER_WORDS or CHINESE.match(word) or (plain in FILLER and not weak):
            continue
        if word.islower() or not word[0].isalnum() or word.isdecimal() or not strangers:
            return False
        strangers -= 1
    return True


def says_what_for(words: str) -> bool:
    """Whether the words are fillers and then say what the code is for: "OTP for Binh Minh Ltd (is)"."""
    found = FOR_WHAT.search(words)
    return found is not None and are_fillers(words[: found.start()], 2)
