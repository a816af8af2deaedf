"""What one person may read of a rental's message: the code and the text, or a mask in their place.

`accounts.policy` has the rule. Cards, the history, exports and the live stream apply it through this module.
"""

from dataclasses import dataclass
from datetime import datetime

from accounts.policy import Access
from rentals.models import Message, Rental

MASK = "••••"


@dataclass(frozen=True, slots=True)
class Readable:
    """The newest message as one person may read it. Where `masked`, `code` and `text` hold the mask.

    `fades_at` is when it is masked by itself; None where it stays, and where it was revealed.
    """

    message: Message | None
    code: str
    text: str
    masked: bool
    fades_at: datetime | None = None


def readable(rental: Rental, access: Access, *, revealed: bool = False) -> Readable:
    """Return what `access` may read of the newest message of `rental`.

    `revealed` shows a masked code to a person whose reveal has been recorded. No query where the messages were
    prefetched.
    """
    message = rental.latest_message
    if message is None:
        return Readable(None, "", "", masked=False)
    sees = access.sees_code(rental)
    shows = sees or (revealed and access.may_reveal(rental))
    fades_at = access.code_fades_at(rental) if sees else None
    return Readable(message, mask(message.code, shows), mask(message.text, shows), masked=not shows, fades_at=fades_at)


def mask(text: str, shows: bool) -> str:
    """Return `text` where it may be read, else the mask; an empty text stays empty."""
    return text if shows or not text else MASK
