"""Recognise the code in the text of an SMS, where the upstream gave the text alone.

No code is better than a wrong one: what is shown is copied, heard and pasted without a second look. So the text is made
plain, the numbers that are surely no code are cut out, the words that name a code each vote for the number they speak
of, and a number that is not clearly ahead of all others is none.
"""

import re
import unicodedata
from dataclasses import dataclass

from ..limits import MAX_CODE_LENGTH
from .choice import clearly_best, equally_good
from .numbers import normalised, western
from .ranking import HINT, for_autofill, scored


def extract_code(message: str) -> str:
    """Return the code in a message, `""` where there is none or where it is not clear which it is.

    A code has 4 to 8 digits, or letters and digits right beside the word that names it. Digits that the sender writes in
    groups are joined (`"072-464"` is `"072464"`); a prefix such as `G-` stays. At most the first 4,000 characters count.
    """
    plain = normalised(message)
    return for_autofill(plain) or clearly_best(scored(plain))


def equal_codes(message: str) -> tuple[str, ...]:
    """Return the codes of a message that names several with equal right, in its order: `()` where one stands out, or none.

    `"Ma OTP dang ky the: 119020. Ma OTP kich hoat: 884512"` has two.
    """
    if len(set(_NUMBERS.findall(message))) < 2:
        return ()
    plain = normalised(message)
    return () if for_autofill(plain) else equally_good(scored(plain))


def equal_codes_beside(code: str, text: str) -> tuple[str, ...]:
    """Return the equal codes of a text of which `code`, `""` where it is not known, is one; else `()`."""
    several = equal_codes(text)
    return several if not code or copied(code) in map(copied, several) else ()


# What may be a code, roughly: most messages have one at most, and need no second reading. From the first letter of a word
# alone: else a word of 40,000 letters would take seconds.
_NUMBERS = re.compile(r"(?<![A-Za-z\d])(?:\d[\d .-]{2,}|[A-Za-z]*\d[A-Za-z\d.-]{2,})")


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
    candidates = scored(normalised(text))
    return any(number.value == copied(given) and number.score >= HINT for number in candidates)


def _is_another_number(given: str, text: str) -> bool:
    """Whether the text has this number only as something else: a phone number, an amount, an order, an offer, a year …

    A number that no word speaks of, as in a language that we do not know, may be the code.
    """
    digits, plain = copied(given), normalised(text)
    if not re.fullmatch("[0-9]{4,8}", digits) or digits not in re.sub(r"[ .,-]", "", plain):
        return False
    return not any(number.value == digits and number.score >= 0 for number in scored(plain))


def copied(code: str) -> str:
    """Return what a code's field wants of a code in the sender's form: `"195829"` of `"G-195829"` or `"195-829"`.

    A code with letters of its own stays as it is.
    """
    if code.isascii() and code.isdigit():
        return code
    plain = unicodedata.normalize("NFKC", code.strip())
    digits = re.sub(r"^[A-Za-z]{1,3}-(?=[0-9])|(?<=[0-9])[ .-](?=[0-9])", "", western(plain))
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
