"""Notice where ThueSim's replies differ from its own page, without keeping anything personal."""

import json
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, ParamSpec

from .errors import Gibberish
from .redaction import redact

MAX_SAMPLE_LENGTH: Final = 2000
_MAX_FORMS_PER_REPLY: Final = 10
_STATUS_KEYS: Final = frozenset({"statuscode", "responsecode", "success", "status", "issound", "iscall"})
_PLAIN_WORDS: Final = frozenset({"", "OK", "successful", "true", "false", "null", "none"})

_P = ParamSpec("_P")
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Drift:
    """One way in which a reply was not as the reference says.

    `endpoint` is named after the client's method (`"balance"`, `"networks"`, `"services"`, `"rent"`, `"rent_again"`,
    `"code"`, `"history"`) or is `"callback"`. `form` names the deviation (`"unknown field: data.foo"`), the same words
    for the same deviation. `sample` is the reply with its keys whole and its values as shapes (letters as x, digits as
    0), at most 2,000 characters.
    """

    endpoint: str
    form: str
    sample: str


DriftSink = Callable[[Drift], None]


class Notes:
    """The deviations seen while one reply is read."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.document: object = None
        self._forms: dict[str, None] = {}

    def add(self, form: str) -> None:
        """Note a deviation, once; at most ten are kept of one reply."""
        if len(self._forms) < _MAX_FORMS_PER_REPLY:
            self._forms[redact(form)[:120]] = None

    def drifts(self) -> list[Drift]:
        """Return what was noted, each with the reply's shape."""
        if not self._forms:
            return []
        sample = shape(self.document)
        return [Drift(self.endpoint, form, sample) for form in self._forms]


@contextmanager
def observed(endpoint: str, on_drift: DriftSink | None) -> Iterator[Notes]:
    """Yield the notes for one reply and hand them over at the end, also when reading it fails."""
    notes = Notes(endpoint)
    try:
        yield notes
    except Gibberish as error:
        notes.add(f"not understood: {error.message}")
        raise
    finally:
        if on_drift is not None:
            for drift in notes.drifts():
                tell(on_drift, drift)


def tell(hook: Callable[_P, None], *args: _P.args, **kwargs: _P.kwargs) -> None:
    """Call a hook of the client's user. One that fails must not lose the number that the reply just brought."""
    try:
        hook(*args, **kwargs)
    except Exception as error:  # noqa: BLE001
        logger.warning("a hook of the client failed: %s", type(error).__name__)


def shape(document: object) -> str:
    """Return the document's JSON with keys whole and values masked, at most 2,000 characters."""
    return redact(json.dumps(_shape(document, "", 0), ensure_ascii=False))[:MAX_SAMPLE_LENGTH]


def _shape(value: object, key: str, depth: int) -> object:
    if isinstance(value, dict):
        if depth > 5:
            return {"…": len(value)}
        spelled = getattr(value, "spelled", {})
        return {
            key_shape(str(spelled.get(name, name))): _shape(item, str(name), depth + 1)
            for name, item in list(value.items())[:40]
        }
    if isinstance(value, list):
        return [_shape(item, key, depth + 1) for item in value[:2]] + ([f"… {len(value)}"] if len(value) > 2 else [])
    if isinstance(value, str):
        return str(value) if _is_status(value, key) else mask(value)
    return value


def _is_status(value: str, key: str) -> bool:
    return value in _PLAIN_WORDS or (key in _STATUS_KEYS and bool(re.fullmatch(r"-?[0-9]{1,3}|[A-Za-z]{1,10}", value)))


def key_shape(key: str) -> str:
    """Return a key fit to be kept: one with a longer run of digits may itself be a phone number or a code."""
    return mask(key) if re.search(r"\d{3}", key) or len(key) > 40 else "".join(c for c in key if c.isprintable())


def mask(text: str) -> str:
    """Return the first 80 characters with letters as x and digits as 0."""
    return "".join("0" if c.isnumeric() else "x" if c.isalpha() else c if c.isascii() else "?" for c in text[:80])
