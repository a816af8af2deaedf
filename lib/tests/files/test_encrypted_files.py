"""A file that only its passphrase opens, and whose damage is noticed."""

import io
from pathlib import Path

import pytest

from lib.files import encrypted_files
from lib.files.encrypted_files import MAGIC, PIECE_BYTES, EncryptedWriter, WrongPassphrase, decrypt, is_encrypted

PASSPHRASE = "correct horse battery"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encrypted_files, "_SCRYPT_COST", 1 << 4)


def encrypted(path: Path, content: bytes) -> Path:
    with path.open("wb") as file:
        writer = EncryptedWriter(file, PASSPHRASE)
        for start in range(0, len(content), 300_000):
            writer.write(content[start : start + 300_000])
        writer.close()
    return path


def opened(path: Path, passphrase: str = PASSPHRASE) -> bytes:
    copy = io.BytesIO()
    decrypt(path, passphrase, copy)
    return copy.getvalue()


@pytest.mark.parametrize("size", [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES])
def test_it_is_read_as_it_was_written(tmp_path: Path, size: int) -> None:
    content = bytes(number % 251 for number in range(size))
    path = encrypted(tmp_path / "file", content)
    assert is_encrypted(path)
    assert opened(path) == content
    assert content[:40] not in path.read_bytes() or size < 40


def test_another_passphrase_does_not_open_it(tmp_path: Path) -> None:
    with pytest.raises(WrongPassphrase):
        opened(encrypted(tmp_path / "file", b"secret"), "another passphrase")


def test_equal_files_are_not_encrypted_alike(tmp_path: Path) -> None:
    one, other = (encrypted(tmp_path / name, b"secret").read_bytes() for name in ("one", "other"))
    assert one != other


def test_what_was_changed_exchanged_or_cut_off_is_noticed(tmp_path: Path) -> None:
    path = encrypted(tmp_path / "file", bytes(3 * PIECE_BYTES))
    whole = path.read_bytes()
    start, piece = len(MAGIC) + 16, PIECE_BYTES + 16
    first, second = whole[start : start + piece], whole[start + piece : start + 2 * piece]
    damaged = {
        "a bit": whole[:-1] + bytes([whole[-1] ^ 1]),
        "exchanged": whole[:start] + second + first + whole[start + 2 * piece :],
        "the last piece left out": whole[: start + 2 * piece],
        "cut off within a piece": whole[:-5],
        "nothing but the head": whole[:start],
        "something behind": whole + b"more",
    }
    for content in damaged.values():
        path.write_bytes(content)
        with pytest.raises(WrongPassphrase):
            opened(path)


def test_a_file_that_was_not_closed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with path.open("wb") as file:
        EncryptedWriter(file, PASSPHRASE).write(bytes(2 * PIECE_BYTES))
    with pytest.raises(WrongPassphrase):
        opened(path)


def test_a_plain_file_is_not_taken_for_one(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"plain")
    assert not is_encrypted(tmp_path / "plain")
