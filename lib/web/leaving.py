"""Whether this process is about to leave: it finishes what it has begun, and sends new clients to another one."""

import threading

RETRY = b"retry: 300\n\n"  # to the reader of an event stream that ends: come back after so many ms
_leaving = threading.Event()


def begin() -> None:
    """From now on /readyz says 503, and each answer closes its connection."""
    _leaving.set()


def has_begun() -> bool:
    """Whether the process is about to leave."""
    return _leaving.is_set()
