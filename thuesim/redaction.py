"""Keep the API token out of everything that is written down.

The token is a query parameter of every call, so it turns up wherever an address does. `Secret` holds it without
showing it; `redact` takes it out of text; `RedactingFilter` does so for logging handlers.
"""

import logging
import re
from html import escape
from typing import Final, NoReturn
from urllib.parse import quote, quote_plus

ELLIPSIS: Final = "…"
# The bounds keep the search linear in hostile text.
_TOKEN: Final = re.compile(r"[0-9]{1,20}(?:-|%2[dD])[0-9a-fA-F]{28}([0-9a-fA-F]{4})")
_BEFORE_EXTRAS: Final = frozenset(vars(logging.makeLogRecord({})))


class Secret:
    """A secret text. `repr`, `str` and a traceback's local variables show its last four characters at most, and pickling
    is refused."""

    __slots__ = ("_tail", "_value")

    def __init__(self, value: str, *, tail: bool = True) -> None:
        self._value = value
        self._tail = value[-4:] if tail and len(value) >= 12 else ""

    def reveal(self) -> str:
        """Return the text itself: call it only where the request is built."""
        return self._value

    def __repr__(self) -> str:
        return ELLIPSIS + self._tail

    __str__ = __repr__

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is never pickled")


def redact(text: str, *secrets: str) -> str:
    """Return `text` without the `secrets`, however they are quoted, and without anything that looks like a token.

    A token is `<number>-<32 hex digits>`; `…` and its last four characters are left.
    """
    for secret in secrets:
        if not secret:
            continue
        shown = repr(Secret(secret))
        for form in {secret, quote(secret, safe=""), quote_plus(secret), escape(secret)}:
            text = re.sub(re.escape(form), shown.replace("\\", r"\\"), text, flags=re.IGNORECASE)
    return _TOKEN.sub(ELLIPSIS + r"\1", text)


class RedactingFilter(logging.Filter):
    """A filter for an application's log handlers: no token passes, in message, arguments, traceback or extras."""

    def __init__(self, *secrets: str) -> None:
        super().__init__()
        self._secrets = tuple(Secret(secret) for secret in secrets)

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the record in place where it holds a secret; always let it pass."""
        try:
            message = record.getMessage()
        except (TypeError, ValueError, KeyError):  # a wrong format string must not leak its arguments either
            message = f"{record.msg!r} {record.args!r}"
        if (clean := self.clean(message)) != message:
            record.msg, record.args = clean, ()
        if record.exc_info and not record.exc_text:
            shown = logging.Formatter().formatException(record.exc_info)
            if (clean := self.clean(shown)) != shown:
                record.exc_text, record.exc_info = clean, None
        elif record.exc_text:
            record.exc_text = self.clean(record.exc_text)
        if record.stack_info:
            record.stack_info = self.clean(record.stack_info)
        for name in vars(record).keys() - _BEFORE_EXTRAS:
            value = getattr(record, name)
            shown = value if isinstance(value, str) else repr(value)
            if (clean := self.clean(shown)) != shown:
                setattr(record, name, clean)
        return True

    def clean(self, text: str) -> str:
        """Return `text` without secrets. A subclass may know more of them."""
        return redact(text, *(secret.reveal() for secret in self._secrets))
