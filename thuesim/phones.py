"""Forms of a Vietnamese phone number. Which carrier owns a prefix is data, kept elsewhere."""

import re
from dataclasses import dataclass
from typing import Final

from .limits import MAX_PHONE_DIGITS

_NOT_DIGITS: Final = re.compile(r"[^0-9]")


def to_e164(raw: str) -> str:
    """Return `+84…` for a number in any form that ThueSim uses; raises ValueError where there is none.

    The length decides first, since 084 is a prefix too: `843044146` is +84 843044146, `84843044146` as well.
    A number of an undocumented length counts as a national one: a number that was paid for is never refused. What is
    returned stays as it is when it is read again.
    """
    text = raw.strip()
    digits = _NOT_DIGITS.sub("", text)
    if re.search(r"[^0-9+().\s/-]", text) or not 7 <= len(digits) <= MAX_PHONE_DIGITS:
        raise ValueError("not a phone number")
    if text.startswith("+") and not digits.startswith("84"):
        return "+" + digits
    if digits.startswith("0084"):
        digits = digits[2:]
    if text.startswith("+") or (len(digits) >= 11 and digits.startswith("84")):
        digits = digits[2:]
    else:
        digits = digits.removeprefix("0")
    while len(digits) >= 10 and digits.startswith("0"):  # +84 0852 222 127
        digits = digits[1:]
    if len(digits) > MAX_PHONE_DIGITS - len("84"):
        raise ValueError("not a phone number")
    return "+84" + digits


def subscriber(e164: str) -> str:
    """Return the digits after +84, as prefixes are compared with: `"852222127"`."""
    return e164.removeprefix("+84")


def national(e164: str) -> str:
    """Return the number with its leading 0, as `rephone` wants it: `"0852222127"`."""
    return "0" + subscriber(e164)


def digits(e164: str) -> str:
    """Return the number as it is dialled, in digits alone: `"0852222127"`; `""` where there is none yet."""
    return f"0{e164[3:]}" if e164.startswith("+84") else e164.lstrip("+")


def pretty(e164: str) -> str:
    """Return the number as people read it: `"0852 222 127"`."""
    number = national(e164)
    return f"{number[:4]} {number[4:7]} {number[7:]}".rstrip() if len(number) == 10 else number


def prefix(raw: str) -> str:
    """Return a prefix as ThueSim wants it, without the leading 0: `"096"` gives `"96"`; raises ValueError."""
    digits = raw.strip().removeprefix("+84").removeprefix("0")
    if not re.fullmatch(r"[0-9]{1,9}", digits):
        raise ValueError(f"not a phone prefix: {raw[:20]!r}")
    return digits


@dataclass(frozen=True, slots=True)
class PhoneForms:
    """One number in the forms that people paste: `0852 222 127`, `0852222127`, `+84852222127`."""

    national: str
    digits: str
    international: str


def forms(e164: str) -> PhoneForms | None:
    """Return the forms of a number kept as E.164; None where there is no number yet."""
    if not e164:
        return None
    if not e164.startswith("+84"):
        return PhoneForms(e164, digits(e164), e164)
    return PhoneForms(pretty(e164), digits(e164), e164)
