"""From bytes to values: JSON as PHP services send it, and the many spellings of numbers, flags and times."""

import contextlib
import json
import re
import string
from datetime import UTC, datetime, timedelta, timezone
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Final, NoReturn

from .entities import without_entities
from .errors import Gibberish
from .folding import fold
from .limits import MAX_BALANCE, MAX_ID_LENGTH
from .values import rental_key

# Vietnam has been at UTC+7 without summer time since 1975; a fixed offset needs no time zone files.
VIETNAM: Final = timezone(timedelta(hours=7), "Asia/Ho_Chi_Minh")
_PADDING: Final = string.whitespace + "\ufeff\u200b\x00"
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
_CURRENCY: Final = re.compile(r"\s*(?:vn[dđ]|dong|đồng|[đd₫])\.?$", re.IGNORECASE)
_GROUPED: Final = re.compile(r"-?[1-9][0-9]{0,2}([.,])[0-9]{3}(?:\1[0-9]{3})*(?:(?!\1)[.,][0-9]{1,2})?")
_ISO: Final = re.compile(
    r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})(?:[T ]+([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]{1,20}))?)?"
    r"\s*(Z|[+-][0-9]{2}:?[0-9]{2})?)?",
    re.IGNORECASE,
)
_DAY_FIRST: Final = re.compile(
    r"([0-9]{1,2})[/-]([0-9]{1,2})[/-]([0-9]{4})(?:[T ]+([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]{1,20}))?)?)?"
)


class Number(str):
    """A JSON number as it was written: `88237016.10` stays so, and no digit of a long id is lost."""

    __slots__ = ()


class Fields(dict[str, object]):
    """A JSON object whose keys are compared without case and underscores; `spelled` has them as they came."""

    def __init__(self, pairs: list[tuple[str, object]]) -> None:
        super().__init__()
        self.spelled: dict[str, str] = {}
        for key, value in pairs:
            name = fold_key(key)
            if value is None and self.get(name) is not None:
                continue  # {"message": "…", "Message": null}: the one that says something
            self[name] = value
            self.spelled[name] = storable(key)


def fold_key(key: str) -> str:
    """Return a key as `Fields` knows it: `Status_code` and `statusCode` are one."""
    return re.sub(r"[\s_-]", "", key).lower()


def decode(body: bytes) -> object:
    """Return the JSON in `body`: objects as `Fields`, numbers as `Number`; raises Gibberish.

    The bytes are UTF-8 whatever the header says. BOMs and white space around the JSON do no harm, nor do HTML warnings
    before a reply of ThueSim's.
    """
    source = body.decode("utf-8", "replace").strip(_PADDING)
    if not source:
        raise Gibberish("the answer was empty")
    try:
        return _loads(source)
    except ValueError:
        if not source.startswith("<"):
            raise Gibberish("the answer was no JSON, or was cut short") from None
    except RecursionError:
        raise Gibberish("the answer was nested too deeply") from None
    # PHP prints its warnings as HTML before the JSON.
    with contextlib.suppress(ValueError, RecursionError):
        document = _loads(source[source.index("{") :])
        if isinstance(document, Fields) and document.keys() & {"statuscode", "responsecode"}:
            return document
    raise Gibberish("the answer was a web page")


def _loads(source: str) -> object:
    return json.loads(
        source,
        strict=False,
        parse_float=Number,
        parse_int=Number,
        parse_constant=_refuse_constant,
        object_pairs_hook=Fields,
    )


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def storable(value: str) -> str:
    """Return the text without what neither PostgreSQL nor UTF-8 can hold: NUL and lone surrogates."""
    return _UNSTORABLE.sub("\ufffd", str(value))


def text(value: object) -> str:
    """Return a JSON string or number as text without HTML entities, everything else as `""`."""
    return storable(without_entities(value)).strip() if isinstance(value, str) else ""


def spoken(value: object) -> str:
    """Return `text(value)`, but `""` for the words with which programs say that there is nothing."""
    string = text(value)
    return "" if string.lower() in {"null", "none", "undefined", "nil"} else string


def identifier(value: object) -> str:
    """Return an id exactly as it was given, `""` where there is none or it is no id at all (over `MAX_ID_LENGTH`)."""
    id_ = spoken(value)
    return id_ if len(id_) <= MAX_ID_LENGTH and id_.isprintable() and not re.search(r"\s", id_) else ""


def session_id(value: object) -> str:
    """Return a rental's id exactly as it was given; 0 and negative numbers are what programs give for none."""
    id_ = identifier(value)
    return "" if id_.startswith("-") or not rental_key(id_).strip("0") else id_


def integer(value: object) -> int | None:
    """Return a whole number from `300`, `"300"` or `"300.0"`."""
    match = re.fullmatch(r"([+-]?[0-9]{1,9})(?:\.0+)?", text(value))
    return int(match[1]) if match else None


def money(value: object) -> int | None:
    """Return whole đồng from `1450`, `"1450"`, `"1.450"`, `"1,450"`, `"1450.0"` or `"1450đ"`, else None."""
    amount = _CURRENCY.sub("", text(value)[:40]).strip()
    if not isinstance(value, Number) and (grouped := _GROUPED.fullmatch(amount)):
        separator = grouped[1]
        amount = amount.replace(separator, "").replace(",", ".")
    try:
        whole = Decimal(amount).to_integral_value(ROUND_HALF_UP) if re.fullmatch(r"[-+0-9.eE]+", amount) else None
    except InvalidOperation:
        return None
    return int(whole) if whole is not None and abs(whole) <= MAX_BALANCE else None


def flag(value: object) -> bool | None:
    """Return a boolean from JSON, `"true"`/`"false"` or 1/0, else None."""
    if isinstance(value, bool):
        return value
    spelled = text(value).lower()
    return True if spelled in {"true", "1", "yes"} else False if spelled in {"false", "0", "no"} else None


def moment(value: object) -> datetime | None:
    """Return a time, aware, in Vietnam's zone; one without a zone is Vietnam's own. None for what is no time.

    Fractions may have any number of digits. .NET's empty date (year 1) is None too.
    """
    source = text(value)[:60]
    if match := _ISO.fullmatch(source):
        year, month, day, *clock, zone = match.groups()
    elif match := _DAY_FIRST.fullmatch(source):
        day, month, year, *clock = match.groups()
        zone = None
    else:
        return None
    hour, minute, second, fraction = (part or "0" for part in clock)
    if not 2000 <= int(year) <= 2200:
        return None
    try:
        return datetime(
            int(year), int(month), int(day), int(hour), int(minute), int(second),
            int(fraction[:6].ljust(6, "0")), _zone(zone),
        ).astimezone(VIETNAM)  # fmt: skip
    except ValueError:
        return None


def _zone(offset: str | None) -> timezone:
    if not offset:
        return VIETNAM
    if offset in "Zz":
        return UTC
    span = timedelta(hours=int(offset[1:3]), minutes=int(offset[-2:]))
    return timezone(-span if offset[0] == "-" else span)


def word(value: object) -> str:
    """Return a status word folded for comparison: `"Đợi tin nhắn"` gives `"doi tin nhan"`."""
    return fold(text(value)[:60])
