"""Which of a message's scored numbers is the code: one that is clearly ahead, several with equal right, or none."""

import re
from collections.abc import Sequence
from typing import Final

from .numbers import Candidate

# The least score of a code, and how far it must be ahead of every other number.
LEAST: Final = 3
_AHEAD: Final = 2
# More codes than a person can choose from: such a text is to be read.
_MAX_EQUAL: Final = 4
# How far before and behind a number the words are read, in characters.
REACH: Final = 80

# "Ma dang ky: 3344. Ma rut tien: 9911": a name of a kind that is not known, tied to its number.
_ANY_NAME: Final = re.compile(
    r"(?<![a-z])(?:ma|code)(?: [a-z]{1,12}){0,3}\s?(?:[:=]|(?:la|is)(?= ))\s?[\"'(]?$", re.IGNORECASE
)

# "4821 is your login code, 9931 is your withdrawal code"
_ANY_NAME_AFTER: Final = re.compile(
    r"\s(?:la|is) (?:(?:your|the) )?(?:[a-z]{1,12} ){0,2}(?:ma|code)(?![a-z])", re.IGNORECASE
)


def clearly_best(candidates: Sequence[Candidate]) -> str:
    """Return the value that is ahead of all others by far enough, `""` where none is."""
    scores: dict[str, int] = {}
    for number in candidates:
        scores[number.value] = max(scores.get(number.value, number.score), number.score)
    ranking = sorted(scores, key=lambda value: scores[value], reverse=True)
    if not ranking or scores[ranking[0]] < LEAST:
        return ""
    if len(ranking) > 1 and scores[ranking[0]] - scores[ranking[1]] < _AHEAD:
        return ""
    prefix = max(number.prefix for number in candidates if number.value == ranking[0])
    return prefix + ranking[0]


def equally_good(candidates: Sequence[Candidate]) -> tuple[str, ...]:
    """Return the values of which each could be the code, none clearly ahead of the others, in their order; else `()`."""
    best = max((number.score for number in candidates), default=0)
    values = [number.prefix + number.value for number in candidates if number.score >= max(LEAST, best - _AHEAD + 1)]
    several = tuple(dict.fromkeys(values))
    return several if 2 <= len(several) <= _MAX_EQUAL else ()


def let_rivals_in(text: str, candidates: Sequence[Candidate]) -> None:
    """Put a number with a name of its own beside the best one: of two named codes, neither stands out."""
    best = max((number.score for number in candidates), default=0)
    if best < LEAST:
        return
    for number in candidates:
        if not 0 <= number.score < best:
            continue
        before, after = text[max(0, number.start - REACH) : number.start], text[number.end : number.end + REACH]
        if _ANY_NAME.search(before) or _ANY_NAME_AFTER.match(after):
            number.raise_to(best)
