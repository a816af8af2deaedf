"""Where a number stands in a message: at the beginning of something, in a line of its own, or alone."""

import re
from typing import Final

from .no_codes import NO_CODES
from .numbers import Candidate
from .words import SECRECY, SENDERS

START: Final = re.compile(r"(?:(?:^|\n)[^\w:]*|[.!?\])}>】]\s?)[\"'(\[<#*]{0,3}$")
SENDER_AND_COLON: Final = re.compile(r"^\W?(?P<sender>[\w.+' &]{1,30}?)(?:\s?:|\s[-–—])\s?[\"'(\[<#*]{0,3}$")


def begins(before: str) -> bool:
    """Whether a number behind this text begins the message, a line or a sentence, or stands behind the sender's name."""
    if START.search(before[-60:]):
        return True
    prefix = SENDER_AND_COLON.search(before[before.rfind("\n") + 1 :][-60:])
    if prefix is None:
        return False
    words = prefix["sender"].split()
    return all(word[:1].isupper() or word.lower() in SENDERS for word in words) or bool(SECRECY.match(prefix["sender"]))


def has_a_line(text: str, number: Candidate) -> bool:
    return text[: number.start].rstrip(" ").endswith("\n") and text[number.end :].lstrip(" ")[:1] in {"", "\n"}


def nothing_else(plain: str, number: Candidate) -> bool:
    """Whether the message is this number alone, or with a web address, or with the name of a sender that is known."""
    plain = re.sub(r"^\[call\]", "", plain, flags=re.IGNORECASE)
    for address in NO_CODES[:2]:
        plain = address.sub(" ", plain)
    words = re.findall(r"[^\W\d_]+|\d+", re.sub(r"(?<=\d)[ .,-]{1,2}(?=\d)", "", plain))
    if not words or "?" in plain or "@" in plain or any(word.isdecimal() and word != number.value for word in words):
        return False
    senders = [word.lower() for word in words if not word.isdecimal()]
    if not senders:
        return number.plain
    return len(senders) == 1 and senders[0] in SENDERS and len(number.value) >= 5
