"""What `./run` looks at before it starts anything: a wrong setting is one sentence that names it, not a traceback."""

import errno
import os
import socket
import sqlite3
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib.files.buckets import Refused, Unreachable
from lib.fingerprints import fingerprint
from lib.network.several_hosts import split_hosts
from thuesim_site.start import demo, embedded_redis, modes, variables
from thuesim_site.start.environment import BASE_DIR, read_dot_env
from thuesim_site.start.variables import NoAnswer, Variable, WrongSetting, first_line

if TYPE_CHECKING:
    import redis

MIN_POSTGRESQL = 14
CONNECT_SECONDS = 5
LOOPBACK = "127.0.0.1"


class Role(StrEnum):
    """What a machine does. One machine does all of it, or several share it."""

    WEB = "web"
    WORKER = "worker"
    SLOW = "slow"
    BEAT = "beat"


@dataclass(frozen=True)
class Setup:
    """What the supervisor needs to know.

    `roles` are what this run does. `redis_server` is the binary to start, None where REDIS_URL names a server. `rent_gap`,
    `thuesim_timeout` and `drain` are in seconds; `demo` says that the sandbox stands in for the upstream, on
    `sandbox_port`, and that `data_dir` is the demo's own. `storage_problem` is a sentence where the bucket of shared files
    does not answer: the desk starts without it.
    """

    roles: frozenset[Role]
    host: str
    port: int
    data_dir: Path
    public_url: str
    log_level: str
    redis_server: Path | None
    web_processes: int
    workers: int
    demo: bool
    sandbox_port: int
    rent_gap: float
    storage_problem: str
    thuesim_timeout: float = variables.THUESIM_TIMEOUT.default
    drain: float = variables.DRAIN_SECONDS.default


def check(roles: Iterable[Role] = Role, *, ports_are_ours: bool = False, newer_database_is_fine: bool = False) -> Setup:
    """Check every setting in the environment and `.env`, then what they name: folders, databases, ports.

    Raises `WrongSetting` for the first one that is wrong. Where this run has some of the `roles` alone, it must find what
    the other machines use, too. In an upgrade the ports are ours already, and the sandbox keeps the one in the environment.
    """
    read_dot_env()
    for variable in variables.VARIABLES:
        variable.read()
    if not variables.PASSWORDS.read() and not variables.OIDC.read():
        raise WrongSetting("DESK_PASSWORDS is off, and DESK_OIDC names no provider: nobody could sign in.")
    roles = frozenset(roles)
    if roles != set(Role):
        _check_shared()
    folder, data_dir = variables.DATA_DIR.read(), demo.data_dir()
    _check_folder(variables.DATA_DIR.name, folder)
    modes.tighten(folder)
    _check_folder(variables.DATA_DIR.name, data_dir)
    if files_dir := variables.FILES_DIR.read():
        _check_folder(variables.FILES_DIR.name, files_dir)
    storage_problem = _check_bucket()
    _check_kept_key(data_dir)
    if variables.SENTRY_DSN.read() and find_spec("sentry_sdk") is None:
        raise _lacks(variables.SENTRY_DSN.name, "another package", "requirements-sentry.lock")
    applied = _check_database(data_dir)
    if not newer_database_is_fine:
        _refuse_newer(applied)
    redis_server = _redis()
    host, port = variables.HOST.read(), variables.PORT.read()
    if Role.WEB in roles and not ports_are_ours:
        _check_free(variables.PORT, host, port)
    return Setup(
        roles=roles,
        host=host,
        port=port,
        data_dir=data_dir,
        public_url=variables.PUBLIC_URL.read(),
        log_level=variables.LOG_LEVEL.read(),
        redis_server=redis_server,
        web_processes=variables.WEB_PROCESSES.read(),
        workers=variables.WORKERS.read(),
        demo=demo.is_on(),
        sandbox_port=_sandbox_port(port, is_ours=ports_are_ours) if demo.is_on() else 0,
        rent_gap=variables.THUESIM_RENT_GAP.read(),
        storage_problem=storage_problem,
        thuesim_timeout=variables.THUESIM_TIMEOUT.read(),
        drain=variables.DRAIN_SECONDS.read(),
    )


def _check_shared() -> None:
    """Raise `WrongSetting` unless everything that machines share is named: database, Redis, keys, and the true service."""
    shared: list[tuple[Variable[Any], str]] = [
        (variables.DATABASE_URL, "the PostgreSQL"),
        (variables.REDIS_URL, "the Redis"),
        (variables.THUESIM_BASE_URL, "the true service (the demo runs on one machine alone)"),
        (variables.SECRET_KEY, "the key of sessions and links"),
        (variables.SECRET_KEYS, "the keys of tokens"),
    ]
    for variable, what in shared:
        if not variable.text():
            raise WrongSetting(
                f"{variable.name} must be set where roles are given: it names {what} that all machines use."
            )
    if not variables.FILES_DIR.text() and not variables.FILES_URL.text():
        raise WrongSetting(
            "DESK_FILES_DIR must be set where roles are given (or DESK_FILES_URL): it names the folder of recordings and "
            "exports that all machines use."
        )
    if variables.is_sqlite(variables.DATABASE_URL.read()):
        raise WrongSetting(
            "DATABASE_URL must name a PostgreSQL where roles are given: SQLite is a file of one machine."
        )


def fingerprints() -> dict[str, str]:
    """Return the fingerprints of the secrets that machines share, by the setting; none where a data directory keeps them."""
    found = {
        variables.SECRET_KEY.name: [variables.SECRET_KEY.read()] if variables.SECRET_KEY.text() else [],
        variables.SECRET_KEYS.name: variables.SECRET_KEYS.read(),
    }
    return {name: " ".join(map(fingerprint, secrets)) for name, secrets in found.items() if secrets}


def check_providers() -> None:
    """Ask each single sign-on provider for its configuration. Raises `WrongSetting` for the first without a good answer.

    For `--check` alone: the desk starts, and keeps those who are signed in, while a provider is down.
    """
    from lib.network import oidc_documents  # it loads the HTTP client

    for provider in variables.OIDC.read().values():
        try:
            oidc_documents.discover(provider)
        except oidc_documents.ProviderDown as error:
            raise WrongSetting(
                f"{variables.OIDC.name} names {provider.issuer} as the issuer in [{provider.id}], but {error}."
            ) from None


def _check_folder(name: str, folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise WrongSetting(f"{name} names {folder}, which cannot be written to ({first_line(error)}).") from None


def _lacks(name: str, what: str, lock: str) -> WrongSetting:
    return WrongSetting(f"{name} needs {what}: run `.venv/bin/python -m pip install --require-hashes -r {lock}`.")


def _check_bucket() -> str:
    """Return a sentence where the bucket does not answer, `""` where all is well or there is none. Raises `WrongSetting`
    where it answers and refuses the desk, or hands what is in it to everybody."""
    name, bucket = variables.FILES_URL.name, variables.FILES_URL.read()
    if bucket is None:
        return ""
    if variables.FILES_DIR.text():
        raise WrongSetting(f"{name} and DESK_FILES_DIR are both set: name the bucket or the folder.")
    try:
        from lib.files import s3_files
    except ModuleNotFoundError:
        raise _lacks(name, "more packages", "requirements-s3.lock") from None
    try:
        s3_files.examine(bucket)
    except Refused as error:
        raise WrongSetting(f"{name} names {bucket.shown}, which cannot be used ({error}).") from None
    except Unreachable as error:
        return f"{name} names {bucket.shown}, which does not answer ({error})."
    return ""


def _check_kept_key(data_dir: Path) -> None:
    """Raise `WrongSetting` where the key that an earlier start kept is none."""
    kept = data_dir / "token_key"
    if not variables.SECRET_KEYS.text() and kept.exists():
        variables.fernet_keys(f"DESK_SECRET_KEYS is not set, and {kept}", kept.read_text())


Applied = list[tuple[str, str]]  # migrations: the application's label and the name
_APPLIED = "SELECT app, name FROM django_migrations ORDER BY id"


def _check_database(data_dir: Path) -> Applied:
    """Return the migrations that the database has; none where there are no tables yet."""
    url = variables.DATABASE_URL.read()
    if not url:
        if (data_dir / demo.DATABASE).exists():  # else it is made: the folder can be written to
            return _check_sqlite(str(data_dir / demo.DATABASE), f"DESK_DATA_DIR names {data_dir}, whose database")
        return []
    config = variables.database(url)
    if not variables.is_sqlite(url):
        return _check_postgresql(config)
    if config["NAME"] in {"", ":memory:"}:
        raise WrongSetting("DATABASE_URL must name a file that processes can share (sqlite:////path/desk.sqlite3).")
    return _check_sqlite(str(config["NAME"]), f"DATABASE_URL names {config['NAME']}, which")


def _refuse_newer(applied: Applied) -> None:
    """Raise `WrongSetting` where a newer version has migrated the database. One that runs already works on."""
    ours = {"accounts", "rentals"}
    known = {(app, file.stem) for app in ours for file in (BASE_DIR / app / "migrations").glob("*.py")}
    newer = [f"{app}.{name}" for app, name in applied if app in ours and (app, name) not in known]
    if newer:
        raise WrongSetting(
            f"DATABASE_URL or DESK_DATA_DIR names a database that a newer version of the desk has migrated ({newer[-1]}): "
            "start that version, or restore the backup from before it; the version right before it may also work on it, "
            "with --newer-database."
        )


def _check_sqlite(path: str, named: str) -> Applied:
    try:
        connection = sqlite3.connect(path, timeout=CONNECT_SECONDS)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA schema_version")
            connection.execute("BEGIN IMMEDIATE")
            connection.rollback()
            has_table = "SELECT 1 FROM sqlite_master WHERE name = 'django_migrations'"
            return connection.execute(_APPLIED).fetchall() if connection.execute(has_table).fetchone() else []
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise WrongSetting(f"{named} cannot be opened ({first_line(error)}).") from None


def _check_postgresql(config: dict[str, Any]) -> Applied:
    import psycopg  # each of the two costs a start some tenths of a second

    if not config["NAME"]:
        raise WrongSetting("DATABASE_URL must name a database after the host (postgres://user:password@host/desk).")
    wanted = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT"}
    parameters = {key: config[name] for key, name in wanted.items() if config.get(name)}
    parameters |= {"connect_timeout": CONNECT_SECONDS} | config.get("OPTIONS", {})
    try:
        with psycopg.connect(**parameters) as connection:
            version, encoding = connection.info.server_version // 10000, connection.info.encoding
            has_table = connection.execute("SELECT to_regclass('django_migrations')").fetchone() != (None,)
            applied = connection.execute(_APPLIED).fetchall() if has_table else []
    except psycopg.Error as error:
        reason = first_line(error)
        if config["PASSWORD"]:
            reason = reason.replace(config["PASSWORD"], "…")
        raise NoAnswer(f"DATABASE_URL names a PostgreSQL that cannot be reached ({reason}).") from None
    if version < MIN_POSTGRESQL:
        raise WrongSetting(f"DATABASE_URL names PostgreSQL {version}; it must be {MIN_POSTGRESQL} or later.")
    if encoding != "utf-8":
        raise WrongSetting(f"DATABASE_URL names a database in {encoding}; make one with the encoding UTF8.")
    return applied


def _redis() -> Path | None:
    text = variables.REDIS_URL.read()
    if not text:
        server = embedded_redis.find_server()
        if server is None:
            raise WrongSetting(
                "REDIS_URL is not set and there is no redis-server 6.2 or later: install one, or set it."
            )
        return server
    import redis

    from lib.redis_access import redis_clients

    try:
        with redis_clients.client(
            text, socket_connect_timeout=CONNECT_SECONDS, socket_timeout=CONNECT_SECONDS, retry=None
        ) as client:
            client.ping()
            version = _redis_version(client)
    except (redis.RedisError, OSError, ValueError) as error:
        reason = first_line(error).replace(split_hosts(text)[0].password or text, "…")
        raise NoAnswer(f"REDIS_URL names a Redis that cannot be reached ({reason}).") from None
    if version < embedded_redis.OLDEST:
        raise WrongSetting(f"REDIS_URL names Redis {'.'.join(map(str, version))}; it must be 6.2 or later.")
    return None


def _redis_version(client: "redis.Redis") -> tuple[int, ...]:
    import redis

    try:
        text = str(client.info("server")["redis_version"])
    except redis.exceptions.NoPermissionError:  # not every account may ask; then it is taken to be new enough
        return embedded_redis.OLDEST
    return tuple(int(part) for part in text.split(".")[:2])


def _check_free(variable: Variable[int], host: str, port: int) -> None:
    """Raise WrongSetting unless `port` can be listened on at `host`."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise WrongSetting(f"HOST names {host!r}, which is no address of this machine ({first_line(error)}).") from None
    try:
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen()
    except PermissionError:
        raise WrongSetting(f"{variable.name} is {port}, which only root may listen on; take one above 1023.") from None
    except OSError as error:
        if error.errno == errno.EADDRNOTAVAIL:
            raise WrongSetting(f"HOST names {host!r}, which is no address of this machine.") from None
        raise WrongSetting(f"{variable.name} is {port}, which cannot be used ({first_line(error)}).") from None


def _sandbox_port(port: int, *, is_ours: bool) -> int:
    if given := variables.SANDBOX_PORT.read():
        if not is_ours:
            _check_free(variables.SANDBOX_PORT, LOOPBACK, given)
        return given
    for candidate in range(port + 1, min(port + 100, 65536)):
        try:
            _check_free(variables.SANDBOX_PORT, LOOPBACK, candidate)
        except WrongSetting:
            continue
        return candidate
    with socket.create_server((LOOPBACK, 0)) as probe:
        return int(probe.getsockname()[1])


def environment_for(setup: Setup) -> dict[str, str]:
    """Return the environment of every process: what was found out here, without what only the first start reads."""
    hidden = {name for variable in variables.FIRST_START_ONLY for name in (variable.name, f"{variable.name}_FILE")}
    kept = {name: value for name, value in os.environ.items() if name not in hidden}
    return kept | {
        "DJANGO_SETTINGS_MODULE": "thuesim_site.settings",
        "DESK_DATA_DIR": str(variables.DATA_DIR.read()),
        "HOST": setup.host,
        "PORT": str(setup.port),
        "PYTHONUNBUFFERED": "1",
        **({"SANDBOX_PORT": str(setup.sandbox_port)} if setup.demo else {}),
    }
