"""Addresses in the form that Celery and programs on this machine need."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

from lib.network.several_hosts import split_hosts
from lib.redis_access import redis_address


def celery_url(redis_url: str) -> str:
    """Return `redis_url` as Celery spells it: a Unix socket is `redis+socket:///path?virtual_host=N` there, and each
    Sentinel has an address of its own."""
    if found := redis_address.sentinels(redis_url):
        login = split_hosts(redis_url)[0].netloc.rpartition("@")
        hosts = [f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in found.hosts]
        return ";".join(f"sentinel://{login[0]}{login[1]}{host}/{found.database}" for host in hosts)
    parts = urlsplit(redis_url)
    if parts.scheme == "rediss" and "ssl_cert_reqs" not in parse_qs(parts.query):  # else Celery takes any certificate
        return parts._replace(query=f"{parts.query}&ssl_cert_reqs=required".lstrip("&")).geturl()
    if parts.scheme != "unix":
        return redis_url
    database = parse_qs(parts.query).get("db", ["0"])[0]
    return f"redis+socket://{parts.path}?virtual_host={database}"


def celery_options(redis_url: str) -> dict[str, Any]:
    """Return the options of Celery's transport that say which master the Sentinels of `redis_url` are asked for."""
    found = redis_address.sentinels(redis_url)
    if found is None:
        return {}
    from lib.redis_access.redis_clients import sentinel_options  # Redis' client takes a while to load

    return {"master_name": found.master, "sentinel_kwargs": sentinel_options(found)}


def local_host(host: str) -> str:
    """Return how a program on this machine spells the HOST that a server listens on: any address is 127.0.0.1."""
    here = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"[{here}]" if ":" in here and not here.startswith("[") else here
