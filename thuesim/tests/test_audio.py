"""A call's recording comes from the upstream's own host, and is one."""

import struct

import pytest

from thuesim import AudioRefused, Client, ConnectionLost, Gibberish, RedirectedElsewhere, Rejected
from thuesim.audio import MAX_AUDIO_BYTES, audio_address, recognised

from . import upstream
from .payloads import PLAY, WAV
from .upstream import Upstream, answer

TOKEN = "12345-0123456789abcdef0123456789abea57"
SOUND = b"RIFF" + struct.pack("<I", 36) + b"WAVEfmt " + bytes(24)
BASE = "https://thuesim.xyz"


@pytest.mark.parametrize(
    ("url", "base", "address"),
    [
        (WAV, BASE, WAV),
        (PLAY, BASE, PLAY),
        (PLAY, BASE.replace("https", "http"), PLAY),
        ("/audio/1.wav", BASE, "https://thuesim.xyz/audio/1.wav"),
        ("audio/1.wav", BASE, "https://thuesim.xyz/audio/1.wav"),
        ("//thuesim.xyz/1.wav", BASE, "https://thuesim.xyz/1.wav"),
        ("https://THUESIM.xyz:443/1.wav", BASE, "https://THUESIM.xyz:443/1.wav"),
        ("http://127.0.0.1:9000/1.wav", "http://127.0.0.1:9000", "http://127.0.0.1:9000/1.wav"),
        ("http://sandbox:9000/1.wav", "http://sandbox:9000/desk", "http://sandbox:9000/1.wav"),
    ],
)
def test_addresses_on_the_own_host_are_taken(url: str, base: str, address: str) -> None:
    assert audio_address(url, base) == address


@pytest.mark.parametrize(
    ("url", "base"),
    [
        (PLAY.replace("https", "http"), BASE),
        ("http://thuesim.xyz:443/1.wav", BASE),
        ("https://evil.example/1.wav", BASE),
        ("https://thuesim.xyz.evil.example/1.wav", BASE),
        ("https://evil.example\\@thuesim.xyz/1.wav", BASE),
        ("https://thuesim.xyz@evil.example/1.wav", BASE),
        ("https://me:secret@thuesim.xyz/1.wav", BASE),
        ("http://169.254.169.254/latest/meta-data", BASE),
        ("http://127.0.0.1/1.wav", BASE),
        ("http://127.0.0.1:6379/", "http://127.0.0.1:9000"),
        ("http://127.0.0.1/", "http://127.0.0.1:9000"),
        ("https://thuesim.xyz:22/", BASE),
        ("file:///etc/passwd", BASE),
        ("gopher://thuesim.xyz/", BASE),
        ("javascript:alert(1)", BASE),
        ("//evil.example/1.wav", BASE),
        ("http://[::1", BASE),
        ("https://thuesim.xyz:99999/1.wav", BASE),
        ("https://thuesim.xyz/\x00", BASE),
    ],
)
def test_any_other_address_is_refused_without_telling_it(url: str, base: str) -> None:
    with pytest.raises(AudioRefused) as caught:
        audio_address(url, base)
    assert str(caught.value) == "the recording is not on the upstream's own host"


@pytest.mark.parametrize(
    ("start", "content_type"),
    [
        (SOUND, "audio/wav"),
        (b"ID3\x04" + bytes(20), "audio/mpeg"),
        (b"\xff\xfb\x90\x00" + bytes(20), "audio/mpeg"),
        (b"\xff\xf1\x50\x80" + bytes(20), "audio/aac"),
        (b"OggS" + bytes(20), "audio/ogg"),
        (b"\x00\x00\x00\x20ftypM4A " + bytes(20), "audio/mp4"),
        (b"#!AMR\n" + bytes(20), "audio/amr"),
        (b"fLaC" + bytes(20), "audio/flac"),
    ],
)
def test_the_kind_is_told_from_the_bytes(start: bytes, content_type: str) -> None:
    assert recognised(start).content_type == content_type


@pytest.mark.parametrize(
    "content", [b"", b"<html>RIFF", b'{"error":1}', b"RIFF....AVI ", b"\xff\xd8\xff\xe0", b"GIF89a"]
)
def test_what_is_no_recording_is_gibberish(content: bytes) -> None:
    with pytest.raises(Gibberish):
        recognised(content)


def test_it_is_fetched_whatever_type_the_server_claims_and_without_the_token() -> None:
    behave = answer(SOUND, "200 OK", "Content-Type: text/html")
    with Upstream(behave) as server:
        audio = Client(TOKEN, server.url).audio(f"{server.url}/audio/play.php?01=x.wav&phone=769652844")
    assert (audio.content, audio.content_type) == (SOUND, "audio/wav")
    assert "token" not in server.requests[0]
    assert server.requests[0].startswith("GET /audio/play.php?01=x.wav&phone=769652844 ")


def test_nothing_is_sent_to_another_host() -> None:
    with Upstream(answer(SOUND)) as server, pytest.raises(AudioRefused):
        Client(TOKEN, "http://127.0.0.1:9").audio(f"{server.url}/1.wav")
    assert server.connections == 0


def test_no_redirect_is_followed() -> None:
    with Upstream(answer(SOUND)) as target, Upstream(upstream.redirect(f"{target.url}/2.wav")) as server:
        with pytest.raises(RedirectedElsewhere):
            Client(TOKEN, server.url).audio("/1.wav")
        assert target.connections == 0


@pytest.mark.parametrize(
    ("behave", "error"),
    [
        (answer(b"", "404 Not Found"), Rejected),
        (answer(upstream.HTML), Gibberish),
        (answer(b""), Gibberish),
        (upstream.cut_body, ConnectionLost),
        (upstream.flood, Gibberish),
    ],
)
def test_what_goes_wrong_is_an_error(behave: upstream.Behaviour, error: type[Exception]) -> None:
    with Upstream(behave) as server, pytest.raises(error):
        Client(TOKEN, server.url).audio("/1.wav")
    assert server.sent < MAX_AUDIO_BYTES + 20 * 1024 * 1024


def test_a_compressed_or_slow_recording_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    upstream.hurry(monkeypatch, "sent", True)
    with Upstream(upstream.slow_body) as server, pytest.raises(Exception, match="no whole answer in time"):
        Client(TOKEN, server.url).audio("/1.wav")
