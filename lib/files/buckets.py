"""A bucket that speaks S3, as its address names it, and why it cannot be used.

Imports nothing of Django, so that the start can read it before Django is set up.
"""

from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

_SCHEMES = {"s3": "https", "s3+http": "http"}


class Unreachable(OSError):
    """The shared files do not answer, or refuse the desk. It may work later; the text has no secret in it."""


class Refused(Unreachable):
    """They answer, and do not take what the desk asks: a wrong key, a bucket that is not there or that all may read."""


@dataclass(frozen=True)
class Bucket:
    """A bucket, or the part of it whose names begin with `prefix`. Without a `key`, botocore looks for one where AWS's own
    programs do."""

    endpoint: str
    name: str
    prefix: str
    region: str
    key: str
    secret: str = field(repr=False)

    @property
    def shown(self) -> str:
        """The bucket without its keys, for people."""
        return f"{self.endpoint}/{self.name}"


def parse_bucket(url: str) -> Bucket:
    """Return the bucket of `s3://KEY:SECRET@HOST/BUCKET/PREFIX?region=…`. Raises `ValueError` where a part is missing or is
    not known, without repeating any of it."""
    parts = urlsplit(url)
    query = parse_qs(parts.query, keep_blank_values=True)
    name, _, prefix = parts.path.strip("/").partition("/")
    whole_key = (parts.username is None) == (parts.password is None)
    if parts.scheme not in _SCHEMES or not parts.hostname or not name or parts.fragment or not whole_key:
        raise ValueError
    if set(query) - {"region"}:
        raise ValueError
    return Bucket(
        endpoint=f"{_SCHEMES[parts.scheme]}://{parts.netloc.rpartition('@')[2]}",
        name=name,
        prefix=f"{prefix}/" if prefix else "",
        region=query.get("region", ["us-east-1"])[0],
        key=unquote(parts.username or ""),
        secret=unquote(parts.password or ""),
    )
