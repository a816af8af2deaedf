"""Every environment variable of the desk: its name, its default and what it may be, in the order of `.env.example`.

`settings.py` and the checks of `./run` both read them here, so that a default or a bound stands in one place.
"""

import ipaddress
import logging
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parseaddr
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

import environ
from cryptography.fernet import Fernet

from lib.files.buckets import Bucket, parse_bucket
from lib.network import oidc_providers
from lib.network.networks import parse_allowed
from lib.network.several_hosts import split_hosts
from lib.redis_access import redis_address
from thuesim_site.start.environment import BASE_DIR, ENVIRON

T = TypeVar("T")

MIN_PASSPHRASE_LENGTH = 12
MIN_PROXY_SECRET_LENGTH = 16
MIN_SECRET_KEY_LENGTH, MIN_SECRET_KEY_SIGNS = 32, 5
_TRUE = {"true", "on", "ok", "y", "yes", "1"}
_FALSE = {"false", "off", "no", "n", "0"}


class WrongSetting(Exception):
    """A setting that cannot be used. Its text is one sentence that begins with the variable's name."""


class NoAnswer(WrongSetting):
    """What the setting names does not answer. It may do so later, as after a power failure."""


@dataclass(frozen=True)
class Variable(Generic[T]):
    """One variable. `parse` takes its name and its text, which is not empty, and raises `WrongSetting`."""

    name: str
    default: T
    parse: Callable[[str, str], T]

    def text(self) -> str:
        """Return the value as it was given, or `""`. Raises `WrongSetting` where `NAME_FILE` cannot be read."""
        try:
            return str(ENVIRON.get(self.name, ""))
        except (OSError, UnicodeDecodeError) as error:
            raise WrongSetting(f"{self.name}_FILE names a file that cannot be read ({first_line(error)}).") from None

    def read(self) -> T:
        """Return the typed value, or the default where it is unset. Raises `WrongSetting`."""
        text = self.text()
        given_as = f"{self.name}_FILE" if ENVIRON.env.get(f"{self.name}_FILE") else self.name
        return self.parse(given_as, text) if text else self.default


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, without a full stop."""
    message = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return message.strip().splitlines()[0].rstrip(".")


def _any_text(name: str, text: str) -> str:
    return text


def _secret_key(name: str, text: str) -> str:
    if len(text) < MIN_SECRET_KEY_LENGTH or len(set(text)) < MIN_SECRET_KEY_SIGNS:
        raise WrongSetting(
            f"{name} must have at least {MIN_SECRET_KEY_LENGTH} characters, {MIN_SECRET_KEY_SIGNS} of them different; "
            "leave it unset to have one made and kept in the data directory."
        )
    return text


def _texts(name: str, text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _whole(minimum: int, maximum: int) -> Callable[[str, str], int]:
    def parse(name: str, text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise WrongSetting(f"{name} must be a whole number, not {text!r}.") from None
        if not minimum <= number <= maximum:
            raise WrongSetting(f"{name} must be from {minimum} to {maximum}, not {number}.")
        return number

    return parse


def _seconds(minimum: float, maximum: float) -> Callable[[str, str], float]:
    def parse(name: str, text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            raise WrongSetting(f"{name} must be a number of seconds, not {text!r}.") from None
        if math.isnan(number) or not minimum <= number <= maximum:
            raise WrongSetting(f"{name} must be from {minimum:g} to {maximum:g} seconds, not {text}.")
        return number

    return parse


def _flag(name: str, text: str) -> bool:
    if text.lower() not in _TRUE | _FALSE:
        raise WrongSetting(f"{name} must be one of {', '.join(sorted(_TRUE | _FALSE))}, not {text!r}.")
    return text.lower() in _TRUE


def _address(*, path_allowed: bool) -> Callable[[str, str], str]:
    def parse(name: str, text: str) -> str:
        try:
            parts = urlsplit(text)
            valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        except ValueError:
            valid = False
        # The text itself is not repeated: people paste addresses with a token in them.
        if not valid or any(character.isspace() for character in text):
            raise WrongSetting(f"{name} must be an address such as https://desk.example.com.")
        if parts.username is not None or parts.query or parts.fragment or (parts.path.strip("/") and not path_allowed):
            what = "a name, a query or a fragment" if path_allowed else "anything after the host and the port"
            raise WrongSetting(f"{name} must be an address without {what}.")
        return text.rstrip("/")

    return parse


# What the desk's own addresses begin with: below a path of such a name, no one could tell whether a proxy took it away.
OWN_ADDRESSES = frozenset({
    "account", "accounts", "admin", "api", "background", "board", "callback", "healthz", "help", "join", "language", "live",
    "manifest.webmanifest", "metrics", "offline", "preferences", "probe", "readyz", "rent", "rentals", "service-worker.js",
    "services", "setup", "spend", "static", "system", "team", "tokens", "tour",
})  # fmt: skip


def _public_url(name: str, text: str) -> str:
    address = _address(path_allowed=True)(name, text)
    path = urlsplit(address).path
    if path and not re.fullmatch(r"(/[A-Za-z0-9][A-Za-z0-9_.-]*)+", path):
        raise WrongSetting(
            f"{name} must have a path of letters, digits, - and _ alone, such as https://example.com/desk."
        )
    if (first := path.partition("/")[2].partition("/")[0]) in OWN_ADDRESSES:
        raise WrongSetting(f"{name} must have another path: the desk has an address /{first} of its own.")
    return address


def _address_with_name(name: str, text: str) -> str:
    if _scheme(name, text) not in {"http", "https"} or not urlsplit(text).username:
        raise WrongSetting(f"{name} must be an address such as https://key@sentry.example.com/1.")
    return text


def _folder(name: str, text: str) -> Path:
    folder = Path(text).expanduser().resolve()
    if not set(";#\n\r").isdisjoint(str(folder)):
        raise WrongSetting(f"{name} must have no ; # or line break in its path.")
    return folder


def fernet_keys(source: str, text: str) -> list[str]:
    """Return the keys in `text`. Raises `WrongSetting` about `source` where one is none."""
    keys = _texts(source, text)
    for number, key in enumerate(keys, 1):
        try:
            Fernet(key)
        except ValueError:
            raise WrongSetting(
                f"{source} must hold Fernet keys (44 characters of URL-safe base64, separated by commas); "
                f"number {number} is none."
            ) from None
    return keys


def _scheme(name: str, text: str) -> str:
    """Return the scheme of an address that may hold a password. Raises `WrongSetting`, without a part of the address:
    Python's own message would repeat what stands before a `/` or `#` of the password."""
    try:
        parts, hosts = split_hosts(text)  # a database with a standby, or Sentinels, have several
        for host in hosts:
            host.port  # noqa: B018 - it raises
    except ValueError:
        raise WrongSetting(
            f"{name} is no address: its port must be a number, and / # ? @ : [ in a password are written as "
            "%2F %23 %3F %40 %3A %5B."
        ) from None
    return parts.scheme


def is_sqlite(database_url: str) -> bool:
    """Whether an address that was read names a file of this machine."""
    return split_hosts(database_url)[0].scheme == "sqlite"


def database(url: str) -> dict[str, Any]:
    """Return Django's settings of the database that an address names. Among several hosts django-environ leaves the brackets
    around an IPv6 address, which libpq takes for a part of a name."""
    config: dict[str, Any] = environ.Env.db_url_config(url)
    if not is_sqlite(url):
        config["HOST"] = config["HOST"].replace("[", "").replace("]", "")
    return config


def _database_url(name: str, text: str) -> str:
    known = _scheme(name, text) in {"sqlite", "postgres", "postgresql"} and bool(environ.Env.db_url_config(text))
    if not known:
        raise WrongSetting(f"{name} must begin with sqlite:/// or postgres://.")
    return text


def _files_url(name: str, text: str) -> Bucket:
    _scheme(name, text)
    try:
        return parse_bucket(text)
    except ValueError:
        raise WrongSetting(
            f"{name} must have the form s3://KEY:SECRET@HOST/BUCKET?region=REGION (s3+http:// without TLS)."
        ) from None


def _redis_url(name: str, text: str) -> str:
    scheme = _scheme(name, text)
    if scheme not in {"redis", "rediss", "unix", redis_address.SENTINEL_SCHEME}:
        raise WrongSetting(f"{name} must begin with redis://, rediss://, redis+sentinel:// or unix://.")
    try:
        redis_address.sentinels(text)
    except ValueError:
        raise WrongSetting(
            f"{name} must name Sentinels as redis+sentinel://host:26379,host:26379/MASTER/0, with the master's name."
        ) from None
    return text


def _email_url(name: str, text: str) -> str:
    if _scheme(name, text) not in environ.Env.EMAIL_SCHEMES:
        raise WrongSetting(f"{name} must begin with smtp://, smtp+tls://, smtp+ssl:// or consolemail://.")
    return text


def _email_address(name: str, text: str) -> str:
    if "@" not in parseaddr(text)[1]:
        raise WrongSetting(f"{name} must be an e-mail address, not {text!r}.")
    return text


def _log_level(name: str, text: str) -> str:
    if text not in logging.getLevelNamesMapping():
        raise WrongSetting(f"{name} must be DEBUG, INFO, WARNING or ERROR, not {text!r}.")
    return text


def _one_of(*choices: str) -> Callable[[str, str], str]:
    def parse(name: str, text: str) -> str:
        if text not in choices:
            raise WrongSetting(f"{name} must be {' or '.join(choices)}, not {text!r}.")
        return text

    return parse


def _networks(name: str, text: str) -> list[str]:
    networks = _texts(name, text)
    for network in networks:
        try:
            ipaddress.ip_network(network, strict=False)
        except ValueError:
            raise WrongSetting(
                f"{name} must hold IP addresses or networks separated by commas; {network!r} is none."
            ) from None
    return networks


def _proxy_secret(name: str, text: str) -> str:
    if len(text) < MIN_PROXY_SECRET_LENGTH or not text.isascii() or not text.isprintable() or " " in text:
        raise WrongSetting(f"{name} must have {MIN_PROXY_SECRET_LENGTH} characters or more that a header may hold.")
    return text


def _outgoing(name: str, text: str) -> list[str]:
    networks = _texts(name, text)
    for network in networks:
        try:
            parse_allowed(network)
        except ValueError:
            raise WrongSetting(
                f"{name} must hold IP addresses or networks, each with a port or without, separated by commas; "
                f"{network!r} is none."
            ) from None
    return networks


def _providers(name: str, text: str) -> dict[str, oidc_providers.Provider]:
    try:
        return oidc_providers.parse(text)
    except ValueError as error:
        raise WrongSetting(f"{name} {error}.") from None


def _api_token(name: str, text: str) -> str:
    if any(character.isspace() or not character.isprintable() for character in text):
        raise WrongSetting(f"{name} must be one API token without white space in it.")
    return text


def _passphrase(name: str, text: str) -> str:
    if len(text) < MIN_PASSPHRASE_LENGTH:
        raise WrongSetting(f"{name} must have at least {MIN_PASSPHRASE_LENGTH} characters.")
    return text


HOST = Variable("HOST", "127.0.0.1", _any_text)
PORT = Variable("PORT", 8000, _whole(1, 65535))
DATA_DIR = Variable("DESK_DATA_DIR", BASE_DIR / "var", _folder)
FILES_DIR = Variable[Path | None]("DESK_FILES_DIR", None, _folder)
FILES_URL = Variable[Bucket | None]("DESK_FILES_URL", None, _files_url)
PUBLIC_URL = Variable("DESK_PUBLIC_URL", "", _public_url)
DEBUG = Variable("DEBUG", False, _flag)

SECRET_KEY = Variable("SECRET_KEY", "", _secret_key)
SECRET_KEYS = Variable[list[str]]("DESK_SECRET_KEYS", [], fernet_keys)
ALLOWED_HOSTS = Variable[list[str]]("DESK_ALLOWED_HOSTS", [], _texts)
PROXIES = Variable[list[str]]("DESK_PROXIES", [], _networks)
PROXY_SECRET = Variable("DESK_PROXY_SECRET", "", _proxy_secret)
MAX_CONNECTIONS = Variable("DESK_MAX_CONNECTIONS", 3000, _whole(10, 1_000_000))
MAX_UNREAD_MB = Variable("DESK_MAX_UNREAD_MB", 500, _whole(1, 1_000_000))

DATABASE_URL = Variable("DATABASE_URL", "", _database_url)
PGBOUNCER = Variable("DESK_PGBOUNCER", False, _flag)
REDIS_URL = Variable("REDIS_URL", "", _redis_url)
WEB_PROCESSES = Variable("DESK_WEB_PROCESSES", 1, _whole(1, 64))
WORKERS = Variable("DESK_WORKERS", 2, _whole(1, 64))
DRAIN_SECONDS = Variable("DESK_DRAIN_SECONDS", 0.0, _seconds(0, 3600))

SESSION_HOURS = Variable("DESK_SESSION_HOURS", 12, _whole(1, 24 * 365))
OIDC = Variable[dict[str, oidc_providers.Provider]]("DESK_OIDC", {}, _providers)
OIDC_DAYS = Variable("DESK_OIDC_DAYS", 30, _whole(1, 3650))
PASSWORDS = Variable("DESK_PASSWORDS", True, _flag)
EMAIL_URL = Variable("EMAIL_URL", "dummymail://", _email_url)
EMAIL_FROM = Variable("EMAIL_FROM", "", _email_address)
LOG_LEVEL = Variable("DESK_LOG_LEVEL", "INFO", _log_level)
LOG_FORMAT = Variable("DESK_LOG_FORMAT", "text", _one_of("text", "json"))

THUESIM_BASE_URL = Variable("THUESIM_BASE_URL", "", _address(path_allowed=True))
SANDBOX_PORT = Variable("SANDBOX_PORT", 0, _whole(1, 65535))  # 0: the port after PORT, or the next free one
THUESIM_TIMEOUT = Variable("THUESIM_TIMEOUT", 20.0, _seconds(0.1, 300))
THUESIM_RENT_GAP = Variable("THUESIM_RENT_GAP", 5.0, _seconds(0, 3600))
THUESIM_POLL_INTERVAL = Variable("THUESIM_POLL_INTERVAL", 3.0, _seconds(0.1, 3600))
CALLBACK_ALLOW = Variable[list[str]]("DESK_CALLBACK_ALLOW", [], _networks)
OUTGOING_ALLOW = Variable[list[str]]("DESK_OUTGOING_ALLOW", [], _outgoing)
SENTRY_DSN = Variable("SENTRY_DSN", "", _address_with_name)
METRICS_TOKEN = Variable("DESK_METRICS_TOKEN", "", _any_text)
KEEP_MESSAGES_DAYS = Variable("DESK_KEEP_MESSAGES_DAYS", 90, _whole(1, 36500))
BACKUP_PASSPHRASE = Variable("DESK_BACKUP_PASSPHRASE", "", _passphrase)
KEEP_AUDIT_DAYS = Variable("DESK_KEEP_AUDIT_DAYS", 730, _whole(30, 36500))

SUPERUSER_USERNAME = Variable("DJANGO_SUPERUSER_USERNAME", "", _any_text)
SUPERUSER_EMAIL = Variable("DJANGO_SUPERUSER_EMAIL", "", _email_address)
SUPERUSER_PASSWORD = Variable("DJANGO_SUPERUSER_PASSWORD", "", _any_text)
THUESIM_TOKEN = Variable("THUESIM_TOKEN", "", _api_token)

VARIABLES = tuple(value for value in list(globals().values()) if isinstance(value, Variable))
# Read by the first start alone, so that no later process needs to carry them.
FIRST_START_ONLY = (SUPERUSER_PASSWORD, THUESIM_TOKEN)
