"""Addresses in the form that Celery and programs on this machine need."""

from urllib.parse import parse_qs, urlsplit


def celery_url(redis_url: str) -> str:
    """Return `redis_url` as Celery spells it: a Unix socket is `redis+socket:///path?virtual_host=N` there."""
    parts = urlsplit(redis_url)
    if parts.scheme != "unix":
        return redis_url
    database = parse_qs(parts.query).get("db", ["0"])[0]
    return f"redis+socket://{parts.path}?virtual_host={database}"


def local_host(host: str) -> str:
    """Return how a program on this machine spells the HOST that a server listens on: any address is 127.0.0.1."""
    here = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"[{here}]" if ":" in here and not here.startswith("[") else here
