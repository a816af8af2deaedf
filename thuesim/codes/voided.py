"""Whether a message takes a code back that an earlier one gave: expired, cancelled, used or wrong."""

import re

from ..folding import without_marks
from ..limits import MAX_CODE_LENGTH
from . import copied

_CLAUSES = re.compile(r"[.,;!?](?=\s|$)|\n")
# Each says what has become of a code.
_STATES = re.compile(
    r"\b(?:da het (?:han|hieu luc)|het (?:han|hieu luc)(?! (?:sau|trong|luc|vao|ngay|la|:))|qua han|vo hieu|mat hieu luc"
    r"|khong con (?:su dung|dung|hieu luc|gia tri)"
    r"|(?:da )?bi (?:huy|vo hieu hoa|thu hoi|thay the)|da (?:huy|vo hieu hoa|thu hoi)"
    r"|(?:da |vua )(?:duoc )?(?:su dung|dung|xac nhan)"
    r"|bi sai|khong (?:dung|chinh xac|hop le|hieu luc|khop)|het luot|sai"
    r"|(?:has |is |have )(?:already |now )?expired|expired|no longer (?:valid|active|works)|(?:was|is"
    r"|has been) (?:now )?"
    r"(?:cancell?ed|revoked|replaced|deactivated|voided)|(?:was|has been|is) (?:already )?used|already used"
    r"|incorrect|wrong|invalid|(?:is )?not (?:valid|correct)|does not match)\b"
)
# After the code alone: before it, the words are often those of a request, as in "De dang ky thanh cong, nhap ma 551208".
_DONE = re.compile(r"\b(?:thanh cong|hoan tat|successful(?:ly)?|completed|succeeded)\b")
# What may come, or must not, says nothing of now: "se het han sau 5 phut", "neu ma sai", "will have expired".
_OPEN = re.compile(
    r"\b(?:van con|(?<!khong )con hieu luc|dung nhap|still|old code|ma cu|truoc do|se|neu|khi|truoc khi|truong hop"
    r"|tranh|de|dung chung|if|when|once|unless|before|until|after|will|to|in case"
    r"|would|may)\b"
)


def takes_back(text: str, code: str) -> bool:
    """Return whether `text` names `code` as one that no longer holds.

    `"Ma OTP 551208 da het han"` does of `"551208"`; `"Ma OTP 551208 se het han sau 5 phut"` does not. Only a clause with
    the code in it counts, and none that speaks of what may come.
    """
    digits = copied(code)
    if len(digits) < 3 or len(digits) > MAX_CODE_LENGTH:
        return False
    separated = "[ .-]?".join(map(re.escape, digits.lower()))
    named = re.compile(rf"(?<![a-z0-9]){separated}(?![a-z0-9])|(?<=[a-z]-){separated}(?![a-z0-9])")
    for sentence in _CLAUSES.split(without_marks(text).lower()):
        place = named.search(sentence)
        if place is None or _OPEN.search(sentence):
            continue
        if _STATES.search(sentence) or _DONE.search(sentence, place.end()):
            return True
    return False
