"""The recording of a voice call: where it may come from, and whether it is one."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, urljoin, urlsplit

from .errors import AudioRefused, Gibberish

MAX_AUDIO_BYTES: Final = 10 * 1024 * 1024
_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Audio:
    """A recording; `content_type` is read from the bytes, never from what the server claims."""

    content: bytes
    content_type: str


def audio_address(url: str, base_url: str) -> str:
    """Return the recording's whole address if it lies on the upstream's own host; raises AudioRefused.

    The same host at the same port, or, from http to https alone, each at its usual port. The address is in no error's
    text: it may carry the phone number.
    """
    try:
        address = urljoin(base_url + "/", url.strip())
        target, own = urlsplit(address), urlsplit(base_url)
        same = (
            target.hostname == own.hostname
            and target.hostname
            and (_where(target) == _where(own) or (_where(own), _where(target)) == (("http", 80), ("https", 443)))
        )
        plain = target.scheme in _PORTS and target.username is None and target.password is None
    except ValueError:
        same = plain = False
    if not (same and plain and address.isprintable()):
        raise AudioRefused("the recording is not on the upstream's own host")
    return address


def _where(parts: SplitResult) -> tuple[str, int]:
    return parts.scheme, parts.port or _PORTS.get(parts.scheme, 0)


def recognised(content: bytes) -> Audio:
    """Return the bytes as Audio if they begin like a sound file; raises Gibberish."""
    for magic, offset, content_type in (
        (b"WAVE", 8, "audio/wav"),
        (b"ID3", 0, "audio/mpeg"),
        (b"OggS", 0, "audio/ogg"),
        (b"ftyp", 4, "audio/mp4"),
        (b"fLaC", 0, "audio/flac"),
        (b"#!AMR", 0, "audio/amr"),
        (b"\x1aE\xdf\xa3", 0, "audio/webm"),
    ):
        if content.startswith(magic, offset):
            return Audio(content, content_type)
    if len(content) > 4 and content[0] == 0xFF and content[1] & 0xE0 == 0xE0:
        # An MPEG frame: layer 0 is AAC's ADTS, the others MP3's.
        return Audio(content, "audio/aac" if content[1] & 0x06 == 0 else "audio/mpeg")
    raise Gibberish("what came is no recording" if content else "the recording is empty")
