"""What one person may read of a rental's messages: codes and texts, or a mask in their place.

`accounts.policy` has the rule. Cards, the history, exports and the live stream apply it through this module.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

from accounts.policy import Access
from rentals.models import Message, Rental
from thuesim import codes
from thuesim.codes.voided import takes_back

MASK = "••••"


class CodedMessage(Protocol):
    """What the choice among messages asks of one."""

    @property
    def code(self) -> str: ...
    @property
    def equal_codes(self) -> tuple[str, ...]: ...
    @property
    def is_earlier(self) -> bool: ...
    @property
    def text(self) -> str: ...


M = TypeVar("M", bound=CodedMessage)


@dataclass(frozen=True, slots=True)
class ReadableMessage:
    """A message as one person may read it: `code`, `second_code` and `text` may be the mask.

    `equal_codes` are the codes of a text that names several, none more than the others; `()` where masked.
    """

    message: Message
    code: str
    second_code: str
    text: str
    equal_codes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Readable:
    """A rental's messages as one person may read them. Where `masked`, codes and texts are the mask.

    `message` is the one that counts: the newest with a new code, or with several of which none is clear, else the
    newest with a code, else the newest. `others` are the rest, newest first. `fades_at` is when all are masked by
    themselves; None where they stay, and where they were revealed. `newer` is the newest message, if it came after the
    code's and has no clear code of its own. `void_by` is the message that takes the code back; None while masked.
    """

    message: Message | None
    code: str
    text: str
    masked: bool
    fades_at: datetime | None = None
    second_code: str = ""
    equal_codes: tuple[str, ...] = ()
    others: tuple[ReadableMessage, ...] = ()
    newer: ReadableMessage | None = None
    void_by: Message | None = None


def readable(rental: Rental, access: Access, *, revealed: bool = False) -> Readable:
    """Return what `access` may read of the messages of `rental`.

    `revealed` shows a masked code to a person whose reveal has been recorded. No query where the messages were
    prefetched.
    """
    messages = rental.newest_messages
    if not messages:
        return Readable(None, "", "", masked=False)
    sees = access.sees_code(rental)
    shows = sees or (revealed and access.may_reveal(rental))
    fades_at = access.code_fades_at(rental) if sees else None
    message = chosen(messages)
    shown, *others = (_readable_message(each, shows) for each in [message, *(m for m in messages if m is not message)])
    newer = newer_without_code(messages, message)
    return Readable(
        message,
        shown.code,
        shown.text,
        not shows,
        fades_at,
        shown.second_code,
        shown.equal_codes,
        tuple(others),
        newer=next((other for other in others if other.message is newer), None),
        void_by=voiding(messages, message.code) if shows else None,
    )


def chosen(messages: Sequence[M]) -> M:
    """Return the message that counts of several, the newest first: the newest with a new code, else the newest with a code,
    else the newest. Several codes of which none is clear count as one: an older code is not the current one."""

    def rank(message: M) -> tuple[bool, bool]:
        has_code = bool(message.code or message.equal_codes)
        return has_code and not message.is_earlier, has_code

    return max(messages, key=rank)


def newer_without_code(messages: Sequence[M], shown: M) -> M | None:
    """Return the newest of the messages, which are the newest first, where it came after the `chosen` one, which has a code
    then, and no clear code is in it: the code may be an old one."""
    newest = messages[0]
    return None if newest is shown or newest.code or newest.equal_codes else newest


def voiding(messages: Sequence[M], code: str) -> M | None:
    """Return the message that says of `code` that it no longer holds; None where a newer one gives it again.

    The messages are the newest first. The oldest with the code, which gave it, is not asked.
    """
    pasted = codes.copied(code)
    if not pasted:
        return None
    given = [place for place, message in enumerate(messages) if codes.copied(message.code) == pasted]
    for message in messages[: max(given, default=0)]:
        if takes_back(message.text, code):
            return message
        if codes.copied(message.code) == pasted:
            return None
    return None


def _readable_message(message: Message, shows: bool) -> ReadableMessage:
    codes = mask(message.code, shows), mask(message.second_code, shows)
    return ReadableMessage(message, *codes, mask(message.text, shows), message.equal_codes if shows else ())


def mask(text: str, shows: bool) -> str:
    """Return `text` where it may be read, else the mask; an empty text stays empty."""
    return text if shows or not text else MASK
