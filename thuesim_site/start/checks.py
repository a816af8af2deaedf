"""What `./run` looks at before it starts anything: a wrong setting is one sentence that names it, not a traceback."""

import errno
import ipaddress
import logging
import math
import os
import socket
import sqlite3
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parseaddr
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import environ
from cryptography.fernet import Fernet

from thuesim_site.start import embedded_redis
from thuesim_site.start.environment import BASE_DIR, Environment, read_dot_env

if TYPE_CHECKING:
    import redis

OLDEST_POSTGRESQL = 14
CONNECT_SECONDS = 5
# Celery says it at each start as root; with JSON messages alone it does not apply.
CELERY_AS_ROOT = "ignore:You're running the worker with superuser privileges"
TRUTHS = {"true", "on", "ok", "y", "yes", "1", "false", "off", "no", "n", "0"}


class WrongSetting(Exception):
    """A setting that cannot be used. Its text is one sentence that begins with the variable's name."""


@dataclass(frozen=True)
class Setup:
    """What the supervisor needs to know. `redis_server` is the binary to start, None where REDIS_URL names a server.

    `rent_gap` is in seconds; `demo` says that the sandbox stands in for the upstream, on `sandbox_port`.
    """

    host: str
    port: int
    data_dir: Path
    public_url: str
    log_level: str
    redis_server: Path | None
    workers: int
    demo: bool
    sandbox_port: int
    rent_gap: float


def check() -> Setup:
    """Check every setting in the environment and `.env`. Raises WrongSetting for the first one that is wrong."""
    read_dot_env()
    data_dir = _data_dir()
    host, port = _text("HOST", "127.0.0.1"), _port("PORT", 8000)
    public_url = _address("DESK_PUBLIC_URL", path_allowed=False)
    _one_of("DEBUG", "False", TRUTHS)
    for name in ("SECRET_KEY", "DESK_ALLOWED_HOSTS", "DJANGO_SUPERUSER_USERNAME", "DJANGO_SUPERUSER_PASSWORD"):
        _text(name)  # any text will do, if it can be read
    _keys(data_dir)
    _database(data_dir)
    redis_server = _redis()
    workers = _whole("DESK_WORKERS", 2, least=1, most=64)
    _email_address("DJANGO_SUPERUSER_EMAIL")
    _whole("DESK_SESSION_HOURS", 12, least=1, most=24 * 365)
    _email_url()
    _email_address("EMAIL_FROM")
    log_level = _log_level()
    demo = not _address("THUESIM_BASE_URL", path_allowed=True)
    _number("THUESIM_TIMEOUT", 20.0, least=0.1, most=300)
    rent_gap = _number("THUESIM_RENT_GAP", 5.0, least=0, most=3600)
    _number("THUESIM_POLL_INTERVAL", 3.0, least=0.1, most=3600)
    _networks()
    _whole("DESK_KEEP_MESSAGES_DAYS", 90, least=1, most=36500)
    _whole("DESK_KEEP_AUDIT_DAYS", 730, least=30, most=36500)
    _token()
    _free("PORT", host, port)
    sandbox_port = _sandbox_port(port) if demo else 0
    return Setup(host, port, data_dir, public_url, log_level, redis_server, workers, demo, sandbox_port, rent_gap)


def _text(name: str, default: str = "") -> str:
    try:
        return str(Environment.ENVIRON.get(name, default))
    except (OSError, UnicodeDecodeError) as error:
        raise WrongSetting(f"{name}_FILE names a file that cannot be read ({_reason(error)}).") from None


def _reason(error: BaseException) -> str:
    """The first line of what an error says, without a full stop."""
    said = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return said.strip().splitlines()[0].rstrip(".")


def _whole(name: str, default: int, *, least: int, most: int) -> int:
    text = _text(name, str(default))
    try:
        number = int(text)
    except ValueError:
        raise WrongSetting(f"{name} must be a whole number, not {text!r}.") from None
    if not least <= number <= most:
        raise WrongSetting(f"{name} must be from {least} to {most}, not {number}.")
    return number


def _number(name: str, default: float, *, least: float, most: float) -> float:
    text = _text(name, str(default))
    try:
        number = float(text)
    except ValueError:
        raise WrongSetting(f"{name} must be a number of seconds, not {text!r}.") from None
    if math.isnan(number) or not least <= number <= most:
        raise WrongSetting(f"{name} must be from {least:g} to {most:g} seconds, not {text}.")
    return number


def _one_of(name: str, default: str, choices: set[str]) -> str:
    text = _text(name, default)
    if text.lower() not in choices:
        raise WrongSetting(f"{name} must be one of {', '.join(sorted(choices))}, not {text!r}.")
    return text


def _address(name: str, *, path_allowed: bool) -> str:
    text = _text(name)
    if not text:
        return ""
    try:
        parts = urlsplit(text)
        right = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        right = False
    if not right or any(character.isspace() for character in text):
        raise WrongSetting(f"{name} must be an address such as https://desk.example.com, not {text!r}.")
    if parts.username is not None or parts.query or parts.fragment or (parts.path.strip("/") and not path_allowed):
        what = "a name, a query or a fragment" if path_allowed else "anything after the host and the port"
        raise WrongSetting(f"{name} must be an address without {what}, not {text!r}.")
    return text.rstrip("/")


def _data_dir() -> Path:
    folder = Path(_text("DESK_DATA_DIR", str(BASE_DIR / "var"))).expanduser().resolve()
    if not set(";#\n\r").isdisjoint(str(folder)):
        raise WrongSetting("DESK_DATA_DIR must have no ; # or line break in its path.")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise WrongSetting(f"DESK_DATA_DIR names {folder}, which cannot be written to ({_reason(error)}).") from None
    return folder


def _keys(data_dir: Path) -> None:
    keys = [key.strip() for key in _text("DESK_SECRET_KEYS").split(",") if key.strip()]
    kept = data_dir / "token_key"
    source = "DESK_SECRET_KEYS"
    if not keys and kept.exists():
        keys, source = [kept.read_text().strip()], f"DESK_SECRET_KEYS is not set, and {kept}"
    for number, key in enumerate(keys, 1):
        try:
            Fernet(key)
        except ValueError:
            raise WrongSetting(
                f"{source} must hold Fernet keys (44 characters of URL-safe base64, separated by commas); "
                f"number {number} is none."
            ) from None


def _database(data_dir: Path) -> None:
    text = _text("DATABASE_URL")
    if not text:
        _sqlite(str(data_dir / "desk.sqlite3"), f"DESK_DATA_DIR names {data_dir}, whose database")
        return
    try:
        kind = urlsplit(text).scheme
        config: dict[str, Any] = environ.Env.db_url_config(text) if kind in _DATABASES else {}
    except ValueError as error:
        raise WrongSetting(f"DATABASE_URL is no address of a database ({_reason(error)}).") from None
    if kind not in _DATABASES:
        raise WrongSetting("DATABASE_URL must begin with sqlite:/// or postgres://.")
    _DATABASES[kind](config)


def _sqlite_url(config: dict[str, Any]) -> None:
    if config["NAME"] in {"", ":memory:"}:
        raise WrongSetting("DATABASE_URL must name a file that processes can share (sqlite:////path/desk.sqlite3).")
    _sqlite(str(config["NAME"]), f"DATABASE_URL names {config['NAME']}, which")


def _sqlite(path: str, named: str) -> None:
    try:
        connection = sqlite3.connect(path, timeout=CONNECT_SECONDS)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA schema_version")
            connection.execute("BEGIN IMMEDIATE")
            connection.rollback()
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise WrongSetting(f"{named} cannot be opened ({_reason(error)}).") from None


def _postgresql(config: dict[str, Any]) -> None:
    import psycopg  # each of the two costs a start some tenths of a second

    if not config["NAME"]:
        raise WrongSetting("DATABASE_URL must name a database after the host (postgres://user:password@host/desk).")
    wanted = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT"}
    parameters = {key: config[name] for key, name in wanted.items() if config.get(name)}
    parameters |= {"connect_timeout": CONNECT_SECONDS} | config.get("OPTIONS", {})
    try:
        with psycopg.connect(**parameters) as connection:
            version, encoding = connection.info.server_version // 10000, connection.info.encoding
    except psycopg.Error as error:
        said = _reason(error)
        if config["PASSWORD"]:
            said = said.replace(config["PASSWORD"], "…")
        raise WrongSetting(f"DATABASE_URL names a PostgreSQL that cannot be reached ({said}).") from None
    if version < OLDEST_POSTGRESQL:
        raise WrongSetting(f"DATABASE_URL names PostgreSQL {version}; it must be {OLDEST_POSTGRESQL} or later.")
    if encoding != "utf-8":
        raise WrongSetting(f"DATABASE_URL names a database in {encoding}; make one with the encoding UTF8.")


_DATABASES: dict[str, Callable[[dict[str, Any]], None]] = {
    "sqlite": _sqlite_url,
    "postgres": _postgresql,
    "postgresql": _postgresql,
}


def _redis() -> Path | None:
    text = _text("REDIS_URL")
    if not text:
        server = embedded_redis.find_server()
        if server is None:
            raise WrongSetting(
                "REDIS_URL is not set and there is no redis-server 6.2 or later: install one, or set it."
            )
        return server
    import redis

    if urlsplit(text).scheme not in {"redis", "rediss", "unix"}:
        raise WrongSetting("REDIS_URL must begin with redis://, rediss:// or unix://.")
    try:
        with redis.Redis.from_url(
            text, socket_connect_timeout=CONNECT_SECONDS, socket_timeout=CONNECT_SECONDS, retry=None
        ) as client:
            client.ping()
            version = _redis_version(client)
    except (redis.RedisError, OSError, ValueError) as error:
        said = _reason(error).replace(urlsplit(text).password or text, "…")
        raise WrongSetting(f"REDIS_URL names a Redis that cannot be reached ({said}).") from None
    if version < embedded_redis.OLDEST:
        raise WrongSetting(f"REDIS_URL names Redis {'.'.join(map(str, version))}; it must be 6.2 or later.")
    return None


def _redis_version(client: "redis.Redis") -> tuple[int, ...]:
    import redis

    try:
        text = str(client.info("server")["redis_version"])
    except redis.exceptions.NoPermissionError:  # not everybody may ask; then it is taken to be new enough
        return embedded_redis.OLDEST
    return tuple(int(part) for part in text.split(".")[:2])


def _email_address(name: str) -> None:
    text = _text(name)
    if text and "@" not in parseaddr(text)[1]:
        raise WrongSetting(f"{name} must be an e-mail address, not {text!r}.")


def _email_url() -> None:
    text = _text("EMAIL_URL", "dummymail://")
    if urlsplit(text).scheme not in environ.Env.EMAIL_SCHEMES:
        raise WrongSetting("EMAIL_URL must begin with smtp://, smtp+tls://, smtp+ssl:// or consolemail://.")


def _log_level() -> str:
    text = _text("DESK_LOG_LEVEL", "INFO")
    if text not in logging.getLevelNamesMapping():
        raise WrongSetting(f"DESK_LOG_LEVEL must be DEBUG, INFO, WARNING or ERROR, not {text!r}.")
    return text


def _networks() -> None:
    for part in _text("DESK_CALLBACK_ALLOW").split(","):
        try:
            if part.strip():
                ipaddress.ip_network(part.strip(), strict=False)
        except ValueError:
            raise WrongSetting(
                f"DESK_CALLBACK_ALLOW must hold IP addresses or networks separated by commas; {part.strip()!r} is none."
            ) from None


def _token() -> None:
    text = _text("THUESIM_TOKEN")
    if any(character.isspace() or not character.isprintable() for character in text):
        raise WrongSetting("THUESIM_TOKEN must be one API token without white space in it.")


def _port(name: str, default: int) -> int:
    return _whole(name, default, least=1, most=65535)


def _free(name: str, host: str, port: int) -> None:
    """Raise WrongSetting unless `port` can be listened on at `host`."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise WrongSetting(f"HOST names {host!r}, which is no address of this machine ({_reason(error)}).") from None
    try:
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen()
    except PermissionError:
        raise WrongSetting(f"{name} is {port}, which only root may listen on; take one above 1023.") from None
    except OSError as error:
        if error.errno == errno.EADDRNOTAVAIL:
            raise WrongSetting(f"HOST names {host!r}, which is no address of this machine.") from None
        raise WrongSetting(f"{name} is {port}, which cannot be used ({_reason(error)}).") from None


def _sandbox_port(port: int) -> int:
    if _text("SANDBOX_PORT"):
        wanted = _port("SANDBOX_PORT", 0)
        _free("SANDBOX_PORT", "127.0.0.1", wanted)
        return wanted
    for candidate in range(port + 1, min(port + 100, 65536)):
        try:
            _free("SANDBOX_PORT", "127.0.0.1", candidate)
        except WrongSetting:
            continue
        return candidate
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def environment_for(setup: Setup) -> dict[str, str]:
    """Return the environment of every process: what was found out here, without what only the first start reads."""
    first_start_only = {"THUESIM_TOKEN", "DJANGO_SUPERUSER_PASSWORD"}
    hidden = first_start_only | {f"{name}_FILE" for name in first_start_only}
    kept = {name: value for name, value in os.environ.items() if name not in hidden}
    return kept | {
        "DJANGO_SETTINGS_MODULE": "thuesim_site.settings",
        "DESK_DATA_DIR": str(setup.data_dir),
        "HOST": setup.host,
        "PORT": str(setup.port),
        "PYTHONUNBUFFERED": "1",
        "PYTHONWARNINGS": ",".join(filter(None, [os.environ.get("PYTHONWARNINGS"), CELERY_AS_ROOT])),
        **({"SANDBOX_PORT": str(setup.sandbox_port)} if setup.demo else {}),
    }
