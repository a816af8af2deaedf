"""Digits that tell two secrets apart. Imports nothing of Django, so that the start can show them."""

import hashlib
from functools import cache


@cache
def fingerprint(secret: str) -> str:
    """Return eight hex digits that say whether two secrets are the same, and nothing else of them.

    They stand in the database and on the screen. So they are slow to make (scrypt, 20 ms of the processor): by them, nobody
    tries many words that a person may have chosen as the secret.
    """
    return hashlib.scrypt(secret.encode(), salt=b"ThueSim Desk: fingerprint", n=2**13, r=8, p=1, dklen=4).hex()
