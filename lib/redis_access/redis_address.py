"""The address of a Redis that Sentinels watch over: what REDIS_URL may be beside the address of one server.

`redis+sentinel://user:password@host:26379,host:26379/MASTER/DB` names Sentinels, and the master's name and database. Name
and password are those of Redis; `?sentinel_username=…&sentinel_password=…` are those of the Sentinels, where they want any.
"""

from dataclasses import dataclass
from urllib.parse import parse_qs, unquote

from lib.network.several_hosts import split_hosts

SENTINEL_SCHEME = "redis+sentinel"
SENTINEL_PORT = 26379


@dataclass(frozen=True)
class Sentinels:
    """Where Sentinels listen, and which master they are asked for. `login` is for Redis, `own_login` for themselves."""

    hosts: list[tuple[str, int]]
    master: str
    database: int
    login: dict[str, str]
    own_login: dict[str, str]


def sentinels(url: str) -> Sentinels | None:
    """Return what an address of Sentinels says, None for one of a single server. Raises ValueError for a wrong one."""
    parts, hosts = split_hosts(url)
    if parts.scheme != SENTINEL_SCHEME:
        return None
    master, _slash, database = parts.path.strip("/").partition("/")
    if not master or not all(host.hostname for host in hosts):
        raise ValueError("an address of Sentinels has hosts and the name of a master")
    login = {"username": parts.username, "password": parts.password}
    query = parse_qs(parts.query)
    return Sentinels(
        [(str(host.hostname), host.port or SENTINEL_PORT) for host in hosts],
        master,
        int(database or 0),
        {name: unquote(value) for name, value in login.items() if value},
        {name: query[f"sentinel_{name}"][0] for name in login if f"sentinel_{name}" in query},
    )
