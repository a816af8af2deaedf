"""The spellings of one Redis address that the libraries want."""

from urllib.parse import parse_qs, urlsplit


def celery_url(redis_url: str) -> str:
    """Return `redis_url` as Celery's transport spells it: a Unix socket is `redis+socket:///path?virtual_host=N` there."""
    parts = urlsplit(redis_url)
    if parts.scheme != "unix":
        return redis_url
    database = parse_qs(parts.query).get("db", ["0"])[0]
    return f"redis+socket://{parts.path}?virtual_host={database}"
