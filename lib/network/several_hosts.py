"""An address that names several hosts: of Sentinels, or of a database with a standby."""

from urllib.parse import SplitResult, urlsplit


def split_hosts(url: str) -> tuple[SplitResult, list[SplitResult]]:
    """Return an address with the first of its hosts alone, and each of its hosts. Python itself takes one host, and refuses
    `[::1]` behind another. Raises ValueError for what is no address."""
    scheme, colon, rest = url.partition("://")
    netloc, slash, path = rest.partition("/")
    names, at, several = netloc.rpartition("@")
    first, *others = several.split(",")
    parts = urlsplit(f"{scheme}{colon}{names}{at}{first}{slash}{path}")
    return parts, [parts, *(urlsplit(f"//{host}") for host in others)]
