"""Whether a cookie is for this host alone: the flags of RFC 6265bis, and what a script may read."""

import re
from collections.abc import Iterator, Mapping
from http.cookies import Morsel


def wrong_cookies(cookies: Mapping[str, "Morsel[str]"], prefix: str = "") -> list[str]:
    """Return what is wrong with each cookie that is set: `__Host-` as a prefix, and https, ask for more."""
    return [
        f"cookie {name}: {fault}"
        for name, cookie in cookies.items()
        if cookie.value
        for fault in _of(name, cookie, prefix)
    ]


def _of(name: str, cookie: "Morsel[str]", prefix: str) -> Iterator[str]:
    if not name.startswith(prefix):
        yield f"not {prefix}…"
    if (cookie["samesite"], cookie["domain"], bool(cookie["secure"])) != ("Lax", "", bool(prefix)):
        yield f"SameSite={cookie['samesite']}, Domain={cookie['domain']}, Secure={cookie['secure']}"
    # A device is known to the sign-in alone; a cookie with `__Host-` has no path.
    if cookie["path"] != ("/accounts/" if re.fullmatch(r"device-\d+", name) else "/"):
        yield f"Path={cookie['path']}"
    if bool(cookie["httponly"]) != (name != f"{prefix}csrftoken"):
        yield f"HttpOnly={cookie['httponly']}"
