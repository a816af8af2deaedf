"""Find the code in a message, where the upstream gave the text alone."""

import re
import unicodedata
from typing import Final

from .limits import MAX_CODE_LENGTH

# The bound here and those in the patterns keep hostile text from taking long.
_MAX_LENGTH: Final = 4000
_ADDRESS: Final = re.compile(
    r"(?:https?://|www\.)\S+"
    r"|(?<![\w.+-])[\w.+-]{1,64}@[\w.-]+"
    r"|\b[\w-]{1,63}(?:\.[\w-]{1,63}){0,5}\.[a-z]{2,9}/\S*"
    r"|\b[\w-]{1,63}\.(?:com|vn|net|org|info|xyz|me|io)\b\S*",
    re.IGNORECASE,
)
_AMOUNT: Final = re.compile(
    r"(?<![0-9])[0-9][0-9.,]{0,24}(?:\s?(?:đồng|dong(?!\s+y\b)|vnđ|vnd|usd|[đ₫$€])(?!\w)|(?:k|tr|d)(?!\w))"
    r"|[$€]\s?[0-9][0-9.,]*"
    r"|(?<![0-9])[0-9]{1,3}(?:[.,][0-9]{3})+(?![0-9])"
    r"|(?:số tiền|so tien|số dư|so du)(?:\s+(?:là|la|còn|con))?[\s:]+[+-]?[0-9][0-9.,]*",
    re.IGNORECASE,
)
_PHONE: Final = re.compile(
    r"(?<![0-9])(?:"
    r"(?:\+?84|0)[0-9]{9}"
    r"|(?:\+?84[ .-]?|0)[0-9]{2,3}([ .-])[0-9]{3}\1[0-9]{3,4}"
    r"|1[89]00(?:[ .-]?[0-9]){4,6}"
    r")(?![0-9])"
    r"|(?:hotline|tổng đài|tong dai|\blh|liên hệ|lien he)[\s:]+[0-9][0-9 .-]{2,14}",
    re.IGNORECASE,
)
_CANDIDATE: Final = re.compile(r"((?<![A-Za-z0-9])[A-Z]{1,2}-)?(?<![0-9])([0-9]{4,8})(?![0-9])")


def extract_code(message: str) -> str:
    """Return the code in a message, `""` where there is none or more than one.

    A code is a run of 4 to 8 digits, perhaps with a prefix such as `G-`, once addresses, amounts and phone numbers are
    taken out. Letters may touch it, and it may be there twice.
    """
    rest = unicodedata.normalize("NFC", message[:_MAX_LENGTH])
    if not re.search("[0-9]{4}", rest):
        return ""
    for kind in (_ADDRESS, _AMOUNT, _PHONE):
        rest = kind.sub(" ¦ ", rest)
    candidates = {digits: prefix for prefix, digits in sorted(_CANDIDATE.findall(rest))}
    if len(candidates) != 1:
        return ""
    ((digits, prefix),) = candidates.items()
    return f"{prefix}{digits}"


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
