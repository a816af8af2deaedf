"""Names that look like another person's: a new member called "mа", with a Cyrillic а, could pass for "ma".

Two names look alike if their skeletons are equal. A skeleton has a Latin letter for each Cyrillic or Greek letter that
looks like it, and neither case, spaces, punctuation nor invisible characters. Vietnamese accents stay: Hà and Hạ are two
names. The pairs follow Unicode's confusables (UTS #39), as far as they look like Latin letters.
"""

import unicodedata
from collections.abc import Iterable
from functools import lru_cache

from django.db.models import Q
from django.utils.translation import gettext_lazy

from accounts.models import Team, User

REFUSED = gettext_lazy(
    "This name looks like that of a person in this team or of an admin. Choose one that cannot be mistaken for it."
)
_PAIRS = {
    "a": "аɑα", "b": "ЬьƄв", "c": "сϲ", "d": "ԁɗ", "e": "еєε", "f": "ƒ", "g": "ɡց", "h": "һн", "i": "1lіıɩι|ӏ!",
    "j": "јϳ", "k": "кκ", "m": "м", "n": "пոη", "o": "0оοσօ", "p": "рρ", "q": "ԛ", "r": "гɾ", "s": "ѕ5", "t": "тτ",
    "u": "υսц", "v": "ѵν", "w": "ԝшω", "x": "хχ", "y": "уүγ", "z": "ʐ2ᴢ",
}  # fmt: skip
# Small capitals, in the order of the alphabet, without q and x.
_SMALL_CAPITALS = dict(zip("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ", "abcdefghijklmnoprstuvwyz", strict=True))
# Letters to Unicode, and blank to the eye: the fillers of Hangul.
_BLANK = dict.fromkeys("\u115f\u1160\u3164\uffa0", "")
INVISIBLE = gettext_lazy("A name may not hold invisible characters. Type it anew, without them.")
_LATIN = str.maketrans(
    {**{other: latin for latin, others in _PAIRS.items() for other in others}, **_SMALL_CAPITALS, **_BLANK}
)


@lru_cache(maxsize=10_000)
def skeleton(name: str) -> str:
    """Return the skeleton of a name: two names that look alike have the same one."""
    letters = unicodedata.normalize("NFKD", name).casefold().translate(_LATIN)
    seen = "".join(letter for letter in letters if letter.isalnum() or unicodedata.combining(letter))
    return unicodedata.normalize("NFC", seen.replace("rn", "m").replace("vv", "w"))


def has_invisible(name: str) -> bool:
    """Whether a name holds what no eye sees, or what turns the letters around it: "\\u202eiaM" reads "Mai"."""
    return not name.isprintable() or any(letter in _BLANK for letter in name)


def skeletons(username: str, full_name: str = "") -> set[str]:
    """Return the skeletons of the names that a person is seen under."""
    return {skeleton(name) for name in (username, full_name)} - {""}


def resembled_in(
    teams: Iterable[Team | int], username: str, full_name: str = "", *, other_than: int | None = None
) -> User | None:
    """Return a person whose names look like these: a member of the teams or an admin, who acts in every team. Else None."""
    mine = skeletons(username, full_name)
    people = User.objects.filter(Q(memberships__team__in=list(teams)) | Q(is_staff=True), is_active=True)
    others = (person for person in people.distinct() if person.pk != other_than)
    return next((other for other in others if mine & skeletons(other.username, other.get_full_name())), None)


def resembling(people: Iterable[tuple[int, str, str]]) -> set[int]:
    """Return the ids of the `people`, with user name and full name, whose names resemble that of another one among them."""
    seen: dict[str, set[int]] = {}
    for pk, username, full_name in people:
        for form in skeletons(username, full_name):
            seen.setdefault(form, set()).add(pk)
    return {pk for pks in seen.values() if len(pks) > 1 for pk in pks}
