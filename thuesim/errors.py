"""What can go wrong with ThueSim, in two families that say what the caller must do.

`NotRented`: surely no number was taken, so the same order may be placed again.
`OutcomeUnknown`: one may have been taken and paid for, so never repeat the call blindly; look for the number in the history.
For calls that take no number the family means nothing, the class still does.
"""

import re
from typing import ClassVar, Final

from .folding import fold
from .limits import MAX_REASON_LENGTH
from .redaction import redact


class ThueSimError(Exception):
    """Any failure of a call.

    `message` is the upstream's own words where it had some (without tokens, at most 300 characters), else ours; `code`
    is its status code, or the HTTP status, or `""`. `blames_upstream`: the upstream or the token is not well; false
    where only this one request failed.
    """

    blames_upstream: ClassVar[bool] = False

    def __init__(self, message: str = "", *, code: str = "") -> None:
        self.message = tidy(message)
        self.code = tidy(code)[:20]
        super().__init__(self.message)


class NotRented(ThueSimError):
    """Surely no number was taken."""


class OutcomeUnknown(ThueSimError):
    """A number may have been taken: look for it in the history, never rent again blindly."""

    blames_upstream = True


class InvalidToken(NotRented):
    """401: the token is not, or no longer, valid."""

    blames_upstream = True


class PendingLimitReached(NotRented):
    """429: as many numbers wait for a message as this token may hold; `limit` is how many, where the reply told."""

    def __init__(self, message: str = "", *, code: str = "", limit: int | None = None) -> None:
        super().__init__(message, code=code)
        self.limit = limit


class InsufficientBalance(NotRented):
    """-2: the balance does not cover the price."""


class OutOfStock(NotRented):
    """-3: no number of the wanted kind is there just now."""


class ServiceUnavailable(NotRented):
    """-4: the service does not exist or is suspended."""


class TooSoon(NotRented):
    """Less than five seconds since the last call that took a number, or HTTP 429: take the turn again."""


class UnknownSession(NotRented):
    """-2 or 3 on `code`: the upstream does not know this rental's id."""


class UpstreamError(NotRented):
    """-1 and every other refusal in a well-formed reply; `message` has the upstream's words."""


class CannotConnect(NotRented):
    """Refused, no such host, TLS failure, or no connection in time: not one byte of the request was sent."""

    blames_upstream = True


class KeptBack(NotRented):
    """The caller's own `before_send` kept the request back: not one byte of it was sent."""


class Rejected(NotRented):
    """HTTP 4xx without a reply of ThueSim's own: a server or proxy refused the request itself."""

    blames_upstream = True


class Redirected(NotRented):
    """A redirect that asks for the very same request at another host or scheme: no program has acted upon it yet."""


class AudioRefused(NotRented):
    """The recording's address is not on the upstream's own host; nothing was fetched."""


class TimedOut(OutcomeUnknown):
    """The request was sent and no whole answer came within the time."""


class ConnectionLost(OutcomeUnknown):
    """The connection broke after the request, or a part of it, was sent."""


class ServerError(OutcomeUnknown):
    """HTTP 5xx, or a status code of 500 and above in the reply."""


class Gibberish(OutcomeUnknown):
    """The body is no reply of ThueSim's: HTML, cut JSON, empty, an unknown shape, too large."""


class NumberUnclear(Gibberish):
    """A reply to a rent that is neither a yes nor a no: success without a number, a refusal that holds one."""


class RedirectedElsewhere(OutcomeUnknown):
    """A redirect to another page: a program may have acted before it sent us there."""


def tidy(message: str) -> str:
    """Return `message` on one line, without tokens and control characters, at most 300 characters long."""
    printable = "".join(c if c.isprintable() else " " for c in message[: MAX_REASON_LENGTH * 4])
    # Redact before cutting: half a token would no longer look like one.
    return redact(" ".join(printable.split()))[:MAX_REASON_LENGTH]


def _words(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{pattern})\b")


# The order matters where a text fits several: "het so, thu lai sau 5 giay" is first of all out of stock.
_BY_TEXT: Final[tuple[tuple[type[NotRented], re.Pattern[str]], ...]] = (
    (
        InvalidToken,
        _words(
            r"(?:loi|chua|khong|sai|that bai) (?:duoc )?xac thuc|xac thuc (?:that bai|khong|sai|loi)|unauthori[sz]ed"
            r"|(?:chua|phai|hay|can|phien|vui long) dang nhap"
            r"|(?:invalid|wrong|missing|expired|sai|thieu) (?:api )?(?:token|key)|(?:token|api key)\b.{0,30}?"
            r"(?:invalid|expired|not found|khong|sai|het han|bi khoa)"
        ),
    ),
    (
        PendingLimitReached,
        _words(
            r"(?<!rate )limit exceeded"
            r"|(?:toi da|vuot qua|gioi han)\b.{0,30}?\b(?:so cho|so dang cho|cho tin|tin nhan|waiting|pending)"
        ),
    ),
    (
        InsufficientBalance,
        _words(
            r"so du\b.{0,30}?\b(?:khong|het|thieu|am)|(?:khong du|het|thieu) (?:so du|tien)|nap (?:them )?tien"
            r"|(?:insufficient|not enough|low) (?:balance|funds|money)"
        ),
    ),
    (
        OutOfStock,
        _words(
            r"kho so|het so|tam het|(?:khong|chua) (?:con|co) so|out of stock|no (?:numbers?|sims?)"
            r"(?: available| left)?"
        ),
    ),
    (
        UnknownSession,
        _words(
            r"(?:ma )?phien\b.{0,20}?\b(?:khong|sai|chua)|(?:sai|khong (?:tim thay|ton tai)) (?:ma )?phien"
            r"|(?:unknown|invalid|wrong) session|session\b.{0,20}?\b(?:not found|invalid|expired)"
        ),
    ),
    (
        ServiceUnavailable,
        _words(
            r"(?:ung dung|dich vu)\b.{0,30}?\b(?:khong|tam|ngung|dung|bao tri)|tam ngung|khong ton tai"
            r"|(?:unknown|invalid) service|service (?:not found|unavailable|suspended)"
        ),
    ),
    (
        TooSoon,
        _words(
            r"qua nhanh|qua nhieu yeu cau|rate limit|lien tuc|too (?:fast|many requests|soon)"
            r"|[0-9]+ ?(?:s|giay|seconds?)|thu lai sau|cach nhau"
        ),
    ),
)
_BY_CODE: Final[dict[str, type[NotRented]]] = {
    "401": InvalidToken,
    "429": PendingLimitReached,
    "-1": UpstreamError,
    "-2": InsufficientBalance,
    "-3": OutOfStock,
    "-4": ServiceUnavailable,
}
KNOWN_CODES: Final = frozenset({"200", *_BY_CODE})


def by_text(message: str) -> list[type[NotRented]]:
    """Return the kinds of error that the text speaks of, the likeliest first; accents and case do not matter."""
    folded = fold(message[:1000])
    return [kind for kind, pattern in _BY_TEXT if pattern.search(folded)]


def by_code(code: str, *, asked_for_code: bool) -> type[NotRented] | None:
    """Return what an envelope A's `status_code` means; on the `code` endpoint -2 is an unknown session."""
    if asked_for_code and code == "-2":
        return UnknownSession
    return _BY_CODE.get(code)


def refusal(message: str, code: str, coded: type[NotRented] | None = None) -> ThueSimError:
    """Return the error of a well-formed error reply; `coded` is what its code means.

    The words stand on the API page, the codes are known from other clients: so recognised words outweigh a code that
    disagrees.
    """
    worded = by_text(message)
    kind = coded if coded in worded or not worded else worded[0]
    if kind is PendingLimitReached:
        return PendingLimitReached(message, code=code, limit=_limit(message))
    return (kind or UpstreamError)(message, code=code)


def _limit(message: str) -> int | None:
    match = re.search(r"(?:toi da|exceeded|gioi han|maximum|max)\D{0,20}([0-9]{1,4})(?![0-9])", fold(message[:1000]))
    # A limit of none would stop the token for good.
    return int(match[1]) or None if match else None
