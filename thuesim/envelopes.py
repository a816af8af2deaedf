"""Tell the three envelopes of ThueSim's replies apart, and read the errors in them.

| | success | payload |
|---|---|---|
| A | `status_code` 200 | `data` |
| B | `ResponseCode` 1 | `Data` or `RequestLog` |
| C | `ResponseCode` 0 | `Result` |
"""

import re
from dataclasses import dataclass
from typing import Final

from . import errors
from .decoding import Fields, decode, flag, spoken
from .drift import Notes, key_shape
from .errors import Gibberish, ThueSimError
from .folding import fold

_PAYLOAD_KEYS: Final = ("result", "requestlog", "data")
_ENVELOPE_KEYS: Final = frozenset(
    {"statuscode", "responsecode", "success", "message", "msg", "balance", *_PAYLOAD_KEYS}
)
_YES: Final = re.compile(r"\b(?:ok|success\w*|thanh cong)\b")
_NO: Final = re.compile(r"\b(?:khong|chua|loi|bi|sai|het|that bai|tu choi|no|not|error|fail\w*|invalid|denied)\b")
_SUCCESS: Final = {"A": "200", "B": "1", "C": "0"}
# Which envelopes the page prints for an endpoint, A where it is not here. The others are read as well, but noted.
_PRINTED: Final = {"services": "AB", "rent": "AB", "rent_again": "AB", "code": "AC"}


@dataclass(frozen=True, slots=True)
class Envelope:
    """One reply: `family` is A, B or C, or `""` where it has no status key; `payload` is None where there is none."""

    endpoint: str
    family: str
    code: str
    success: bool | None
    message: str
    payload: object
    top: Fields
    notes: Notes

    @property
    def ok(self) -> bool:
        """Whether the reply says that the call succeeded."""
        if self.family:
            return self.code == _SUCCESS[self.family] and self.success is not False
        return self.success is not False and self.payload is not None

    @property
    def half_says_yes(self) -> bool:
        """Whether an error reply also has a sign of success, and no word that denies it."""
        words = fold(self.message)
        signs = self.success is True or (self.family != "A" and self.code in {"0", "1", "200"})
        return (signs or bool(_YES.search(words))) and not _NO.search(words)

    def error(self) -> ThueSimError:
        """Return what this error reply says, ready to be raised."""
        if not self.family and self.success is not False:
            return Gibberish("the answer has a shape that nobody knows")
        if self.family == "A" and re.fullmatch(r"5[0-9]{2}", self.code):
            return errors.ServerError(self.message, code=self.code)
        coded = errors.by_code(self.code, asked_for_code=self.endpoint == "code") if self.family == "A" else None
        error = errors.refusal(self.message, self.code, coded)
        if self.family == "A" and self.code not in errors.KNOWN_CODES:
            self.notes.add(f"unknown status_code: {key_shape(self.code)}")
        elif coded and coded is not errors.UpstreamError and not isinstance(error, coded):
            self.notes.add(f"status_code {self.code} with the words of {type(error).__name__}")
        elif type(error) is errors.UpstreamError and self.code != "-1":
            self.notes.add(f"unknown refusal, code {key_shape(self.code)}")
        return error


def open_envelope(body: bytes, notes: Notes) -> Envelope:
    """Return the reply in `body` opened; raises Gibberish where it is none of ThueSim's."""
    top = notes.document = decode(body)
    if not isinstance(top, Fields):
        raise Gibberish("the answer is no JSON object")
    if body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        notes.add("HTML before the JSON")
    key = next((key for key in _PAYLOAD_KEYS if key in top), "")
    payload = top.get(key)
    if not payload and notes.endpoint not in {"networks", "services", "history"}:
        payload = None  # an empty PHP array stands for an empty object, too
    if "statuscode" in top:
        family, code = "A", top["statuscode"]
    elif "responsecode" in top:
        family, code = _b_or_c(key, payload, notes.endpoint), top["responsecode"]
    else:
        family, code = "", ""
        notes.add("no status key")
    for name in top.keys() - _ENVELOPE_KEYS:
        notes.add(f"unknown field: {key_shape(top.spelled[name])}")
    if family and family not in _PRINTED.get(notes.endpoint, "A"):
        notes.add(f"envelope {family}")
    return Envelope(
        endpoint=notes.endpoint,
        family=family,
        code=re.sub(r"\.0+$", "", spoken(code)),
        success=flag(top.get("success")),
        message=next((text for name in ("message", "msg", "error") if (text := spoken(top.get(name)))), ""),
        payload=payload,
        top=top,
        notes=notes,
    )


def _b_or_c(key: str, payload: object, endpoint: str) -> str:
    if payload is not None:
        return "C" if key == "result" else "B"
    return "C" if endpoint == "code" else "B"
