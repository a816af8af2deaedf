"""Which network a number probably belongs to, by its first digits."""

import threading
import time

from rentals.models import Prefix
from thuesim import phones

_CACHE_SECONDS = 60.0
_lock = threading.Lock()
_table: dict[str, str] = {}
_read_at = float("-inf")


def likely_network(phone: str) -> str:
    """Return the name of the network that `phone` (E.164) likely belongs to, `""` where no prefix fits.

    The longest prefix wins. The table is cached for a minute, so a change in the admin counts everywhere within one. One
    query where the cache is empty or old, else none.
    """
    if not phone.startswith("+84"):
        return ""
    digits = phones.subscriber(phone)
    table = _prefixes()
    return next((table[digits[:n]] for n in range(4, 0, -1) if digits[:n] in table), "")


def forget() -> None:
    """Drop the cached table."""
    global _read_at
    _read_at = float("-inf")


def _prefixes() -> dict[str, str]:
    global _table, _read_at
    with _lock:
        if not _table or time.monotonic() - _read_at > _CACHE_SECONDS:
            _table = dict(Prefix.objects.values_list("digits", "network__name"))
            _read_at = time.monotonic()
        return _table
