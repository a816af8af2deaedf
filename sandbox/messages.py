"""The messages that arrive: their texts, their times, and the audio of voice calls."""

import io
import math
import re
import wave
from dataclasses import dataclass
from functools import lru_cache
from random import Random

_CODE = re.compile(r"\b[A-Z]{1,3}-\d{4,8}\b|(?<!\d)\d{4,8}(?!\d)")
_DTMF = {
    digit: (low, high)
    for row, low in zip(("123", "456", "789", "*0#"), (697, 770, 852, 941), strict=True)
    for digit, high in zip(row, (1209, 1336, 1477), strict=True)
}
_SAMPLE_RATE = 8000


@dataclass(frozen=True)
class Planned:
    """A message to come, without its time yet.

    `share` (0 to 1) is its place between the shortest and the longest wait; `later` adds that many longest waits.
    """

    share: float
    text: str
    code: str | None
    call: bool = False
    code_shown: bool = True
    later: float = 0.0


def plan(story: str, service: str, rng: Random) -> list[Planned]:
    """The messages that a rental of a service with this story will get, in the order of their arrival."""
    share = rng.random()
    digits = f"{rng.randrange(10**6):06d}"
    if story == "never":
        return []
    if story == "call":
        return [Planned(share, f"[Call]mã otp của bạn là {digits}mã otp của bạn là {digits}", digits, call=True)]
    if story == "google":
        return [Planned(share, f"G-{digits} là mã xác minh {service} của bạn.", f"G-{digits}")]
    if story == "letters":
        return [Planned(share, f"[{service}] Ma xac thuc: LN-{digits}. Khong chia se.", f"LN-{digits}")]
    if story == "zero":
        digits = f"0{rng.randrange(10**5):05d}"
        return [Planned(share, f"{service}: {digits} la ma xac minh cua ban, hieu luc trong 5 phut.", digits)]
    text = f"{digits} la ma xac thuc {service}. De tranh bi mat tien, tuyet doi KHONG chia se ma nay voi bat ky ai."
    if story == "null":
        return [Planned(share, f"[{service}] Ma OTP cua ban la {digits}. Hotline 19001234.", digits, code_shown=False)]
    if story == "second":
        again = f"{rng.randrange(10**5):05d}"
        second = Planned(share, f"{service} code: {again}. Do not give it to anyone.", again, later=0.3)
        return [Planned(share, text, digits), second]
    return [Planned(share, text, digits)]


def code_in(text: str) -> str | None:
    """The first run of the text that looks like a code: 4 to 8 digits, with or without a prefix such as `G-`."""
    match = _CODE.search(text)
    return match.group() if match else None


@lru_cache(maxsize=64)
def spoken(code: str) -> bytes:
    """A small WAV file that "says" the code: one telephone key tone (DTMF) per digit."""
    samples = bytearray()
    for digit in re.sub(r"\D", "", code) or "0":
        low, high = _DTMF[digit]
        for step in range(_SAMPLE_RATE * 12 // 100):
            angle = 2 * math.pi * step / _SAMPLE_RATE
            samples.append(int(128 + 50 * math.sin(low * angle) + 50 * math.sin(high * angle)))
        samples.extend(b"\x80" * (_SAMPLE_RATE * 8 // 100))
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(1)
        out.setframerate(_SAMPLE_RATE)
        out.writeframes(bytes(samples))
    return file.getvalue()
