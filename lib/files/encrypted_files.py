"""Files that are encrypted with a passphrase, of any size, piece by piece.

Scrypt makes the key, AES-256-GCM seals each piece, both from `cryptography`. A piece's nonce is its number, with a sign of
the last one (the STREAM construction, Hoang et al. 2015): pieces that are exchanged, left out or cut off are noticed.
"""

import os
from pathlib import Path
from typing import IO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

MAGIC = b"thuesim-desk encrypted 1\n"
PIECE_BYTES = 1 << 20
_SALT_BYTES, _TAG_BYTES = 16, 16
_SCRYPT_COST = 1 << 16  # with r = 8, 64 MB and a fifth of a second for each guess


class WrongPassphrase(Exception):
    """The passphrase is another one, or the file is damaged: the two cannot be told apart."""


def _sealer(passphrase: str, salt: bytes) -> AESGCM:
    return AESGCM(Scrypt(salt=salt, length=32, n=_SCRYPT_COST, r=8, p=1).derive(passphrase.encode()))


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])


class EncryptedWriter:
    """A file to write to, piece by piece; what is written reaches `file` encrypted. `close` writes the last piece, and
    leaves `file` open."""

    def __init__(self, file: IO[bytes], passphrase: str) -> None:
        salt = os.urandom(_SALT_BYTES)
        self._file, self._sealer = file, _sealer(passphrase, salt)
        self._buffer, self._number = bytearray(), 0
        file.write(MAGIC + salt)

    def write(self, data: bytes) -> int:
        """Take bytes of any length."""
        self._buffer += data
        while len(self._buffer) > PIECE_BYTES:  # the last piece is never empty, but for an empty file
            self._seal(last=False)
        return len(data)

    def close(self) -> None:
        """Write what is left. A file that was not closed is refused as damaged."""
        self._seal(last=True)

    def _seal(self, *, last: bool) -> None:
        piece = bytes(self._buffer[:PIECE_BYTES])
        del self._buffer[:PIECE_BYTES]
        self._file.write(self._sealer.encrypt(_nonce(self._number, last=last), piece, MAGIC))
        self._number += 1


def is_encrypted(path: Path) -> bool:
    """Whether `EncryptedWriter` has begun this file. Raises OSError."""
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def decrypt(path: Path, passphrase: str, copy: IO[bytes]) -> None:
    """Write what is in an encrypted file to `copy`. Raises `WrongPassphrase`, with a part of it written."""
    with path.open("rb") as file:
        file.seek(len(MAGIC))
        sealer = _sealer(passphrase, file.read(_SALT_BYTES))
        number, piece = 0, file.read(PIECE_BYTES + _TAG_BYTES)
        while True:
            following = file.read(PIECE_BYTES + _TAG_BYTES)
            try:
                copy.write(sealer.decrypt(_nonce(number, last=not following), piece, MAGIC))
            except InvalidTag:
                raise WrongPassphrase from None
            if not following:
                return
            number, piece = number + 1, following
