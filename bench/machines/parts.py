"""What the desk's machines share: PostgreSQL with a standby, Redis with Sentinel, PgBouncer, HAProxy and the sandbox."""

import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psycopg
import redis
import redis.sentinel
import requests

from bench.machines.network import SUBNET, Machine, Network
from bench.stage import Postgres
from thuesim_site.start.environment import BASE_DIR
from thuesim_site.testing import wait_until

POSTGRES_PORT, PGBOUNCER_PORT, REDIS_PORT, SENTINEL_PORT, SANDBOX_PORT = 5432, 6432, 6379, 26379, 8900
REDIS_MASTER = "desk"  # by this name Sentinel knows it
# How an operator may set Sentinel: a master that is silent for 3 s is replaced.
SENTINEL_SECONDS = 3
START_SECONDS = 60

# The account of docs/several-machines.md, word for word but for its password.
ACL = (
    "user desk on >secret resetchannels &desk:live &/0.celery.pidbox ~_kombu.* ~desk:* ~outgoing* ~renting* ~slow* ~ticks* "
    "~unacked* ~watching* ~*.celery.pidbox* -@all +@connection +@list +@set +@sortedset +@pubsub +@transaction +@scripting "
    "+set +get +del +exists +expire +time -@dangerous +info"
)

# As that page has it.
PGBOUNCER = """\
pool_mode = transaction
max_client_conn = 500
tcp_keepalive = 1
tcp_keepidle = 3
tcp_keepintvl = 1
tcp_keepcnt = 4
tcp_user_timeout = 7000
"""

_HAPROXY = """\
global
    maxconn 4000
defaults
    mode http
    option forwardfor
    retries 2
    option redispatch 1
    retry-on conn-failure
    timeout connect 2s
    timeout client 60s
    timeout server 60s
    timeout http-request 10s
    default-server inter 1s fall 2 rise 2 on-marked-down shutdown-sessions
frontend people
    bind :80
    # Where no machine is ready, the desk's own page says why.
    use_backend ready if { nbsrv(ready) gt 0 }
    default_backend alive
backend ready
    option httpchk
    http-check send meth GET uri /readyz/web hdr Host 127.0.0.1
    timeout check 2s
"""
_ALIVE = """\
backend alive
    option httpchk
    http-check send meth GET uri /healthz hdr Host 127.0.0.1
    timeout check 2s
"""


def load_balancer(machine: Machine, web: list[Machine], port: int) -> None:
    """Start HAProxy before the web machines."""
    ready = "".join(f"    server {each.name} {each.address}:{port} check\n" for each in web)
    # `ready` has ended its sessions by then: this one only checks.
    alive = "".join(f"    server {each.name} {each.address}:{port} check\n" for each in web)
    config = machine.folder / "haproxy.cfg"
    config.write_text(_HAPROXY + ready + _ALIVE + alive)
    machine.spawn(["haproxy", "-db", "-f", str(config)])


class PostgresPair:
    """A PostgreSQL and its streaming standby. A commit waits until the standby has it: a fail-over loses nothing."""

    def __init__(self, primary: Machine, standby: Machine) -> None:
        self.primary, self.standby = primary, standby

    def start(self) -> None:
        """Make the cluster and the standby, and the database."""
        data = self._empty_folder(self.primary)
        self._tool(self.primary, "initdb", "-D", str(data), "-U", "desk", "-E", "UTF8", "--auth=trust", "--no-sync")
        with (data / "pg_hba.conf").open("a") as file:
            file.write(f"host all all {SUBNET}.0/24 trust\nhost replication all {SUBNET}.0/24 trust\n")
        self._serve(self.primary)
        with self._connect("postgres") as connection:
            connection.execute("CREATE DATABASE desk")
        self.add_standby()

    def add_standby(self) -> None:
        """Copy the primary to the standby's machine, start it there, and let commits wait for it."""
        data = self._empty_folder(self.standby)
        source = f"host={self.primary.address} port={POSTGRES_PORT} user=desk application_name=standby"
        self._tool(self.standby, "pg_basebackup", "-d", source, "-D", str(data), "-R", "--checkpoint=fast", "--no-sync")
        (data / "postgresql.auto.conf").write_text(f"primary_conninfo = '{source}'\n")
        self._serve(self.standby)
        with self._connect("postgres") as connection:
            wait_until(
                lambda: connection.execute("SELECT 1 FROM pg_stat_replication").fetchone(), "the standby follows"
            )
            connection.execute("ALTER SYSTEM SET synchronous_standby_names = 'standby'")
            connection.execute("SELECT pg_reload_conf()")

    def promote(self) -> None:
        """Let the standby take over: what an operator, or Patroni, does once the primary's machine is surely off."""
        self._tool(self.standby, "pg_ctl", "promote", "-D", str(self._data(self.standby)))
        self.primary, self.standby = self.standby, self.primary

    def _serve(self, machine: Machine) -> None:
        options = {"listen_addresses": "*", "unix_socket_directories": "", "max_connections": "200"}
        options |= {"fsync": "off", "log_min_messages": "fatal"}  # a namespace's death loses no page of the kernel
        settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        machine.spawn(
            [Postgres._binary("postgres"), "-D", str(self._data(machine)), "-p", str(POSTGRES_PORT), *settings],
            user="postgres",
        )
        wait_until(lambda: self._answers(machine), f"PostgreSQL answers on {machine.name}", START_SECONDS)

    def _answers(self, machine: Machine) -> bool:
        address = f"host={machine.address} port={POSTGRES_PORT} user=desk dbname=postgres connect_timeout=2"
        try:
            psycopg.connect(address).close()
        except psycopg.OperationalError:
            return False
        return True

    def _connect(self, database: str) -> "psycopg.Connection[tuple[object, ...]]":
        address = f"host={self.primary.address} port={POSTGRES_PORT} user=desk dbname={database} connect_timeout=5"
        return psycopg.connect(address, autocommit=True)

    @staticmethod
    def _data(machine: Machine) -> Path:
        return machine.folder / "postgresql"

    def _empty_folder(self, machine: Machine) -> Path:
        data = self._data(machine)
        shutil.rmtree(data, ignore_errors=True)
        data.mkdir(mode=0o700)
        shutil.chown(data, "postgres", "postgres")
        return data

    @staticmethod
    def _tool(machine: Machine, name: str, *arguments: str) -> None:
        process = machine.spawn([Postgres._binary(name), *arguments], user="postgres")
        if process.wait(120):
            raise subprocess.CalledProcessError(process.returncode, name, (machine.folder / f"{name}.log").read_text())


class RedisPair:
    """A Redis and its replica, and three Sentinels: one on each of the two machines and one on `third`.

    `server` is the binary of redis-server or valkey-server, `options` are lines for its configuration.
    """

    def __init__(self, machines: list[Machine], third: Machine, server: Path, options: str = "") -> None:
        self.machines, self._third, self._server, self._options = machines, third, server, options

    def start(self) -> None:
        """Start all; the first machine has the master."""
        for machine in self.machines:
            replica = f"replicaof {self.machines[0].address} {REDIS_PORT}\n" if machine != self.machines[0] else ""
            (machine.folder / "redis.conf").write_text(
                f"port {REDIS_PORT}\nprotected-mode no\nsave ''\nappendonly no\ndir {machine.folder}\n"
                f"maxmemory-policy noeviction\nrepl-timeout 10\n{self._options}{replica}"
            )
        for machine in [*self.machines, self._third]:
            (machine.folder / "sentinel.conf").write_text(
                f"port {SENTINEL_PORT}\nprotected-mode no\ndir {machine.folder}\n"
                f"sentinel monitor {REDIS_MASTER} {self.machines[0].address} {REDIS_PORT} 2\n"
                f"sentinel down-after-milliseconds {REDIS_MASTER} {SENTINEL_SECONDS * 1000}\n"
                f"sentinel failover-timeout {REDIS_MASTER} 10000\n"
            )
        for machine in self.machines:
            self.serve(machine)
        self._third.spawn([str(self._server), str(self._third.folder / "sentinel.conf"), "--sentinel"])
        wait_until(lambda: self.master() is not None, "Sentinel knows the master", START_SECONDS)

    def serve(self, machine: Machine) -> None:
        """Start Redis and Sentinel on a machine, as they were configured last: Sentinel writes that down."""
        machine.spawn([str(self._server), str(machine.folder / "redis.conf")])
        machine.spawn([str(self._server), str(machine.folder / "sentinel.conf"), "--sentinel"])

    def master(self) -> Machine | None:
        """The machine of the master, by the Sentinel that always runs. None while it knows none."""
        there = [(self._third.address, SENTINEL_PORT)]
        make: Any = redis.sentinel.Sentinel  # it has no types
        sentinel = make(there, sentinel_kwargs={"socket_timeout": 2})
        try:
            address = sentinel.discover_master(REDIS_MASTER)[0]
        except redis.RedisError:
            return None
        return next((machine for machine in self.machines if machine.address == address), None)

    @property
    def url(self) -> str:
        """As REDIS_URL names it."""
        hosts = ",".join(f"{machine.address}:{SENTINEL_PORT}" for machine in [*self.machines, self._third])
        return f"redis+sentinel://{hosts}/{REDIS_MASTER}/0"


class TlsRedis:
    """One Redis that takes TLS alone, and an account that may do only what the desk needs. `server` must speak TLS."""

    def __init__(self, machine: Machine, server: Path) -> None:
        self.machines, self._server = [machine], server
        self._authority = machine.folder / "ca.pem"

    def start(self) -> None:
        """Make an authority and a certificate, and start."""
        (machine,) = self.machines
        key, certificate = machine.folder / "key.pem", self._authority
        request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=redis"]
        request += ["-addext", f"subjectAltName=IP:{machine.address}", "-keyout", str(key), "-out", str(certificate)]
        subprocess.run(request, check=True, capture_output=True)
        (machine.folder / "redis.conf").write_text(
            f"port 0\ntls-port {REDIS_PORT}\ntls-cert-file {certificate}\ntls-key-file {key}\n"
            f"tls-ca-cert-file {certificate}\ntls-auth-clients no\nprotected-mode no\nsave ''\ndir {machine.folder}\n"
            f"maxmemory-policy noeviction\nuser default off\n{ACL}\n"
        )
        self.serve(machine)
        time.sleep(1)

    def serve(self, machine: Machine) -> None:
        """Start Redis."""
        machine.spawn([str(self._server), str(machine.folder / "redis.conf")])

    def master(self) -> Machine | None:
        """The only one."""
        return self.machines[0]

    @property
    def url(self) -> str:
        """As REDIS_URL names it."""
        return f"rediss://desk:secret@{self.machines[0].address}:{REDIS_PORT}/0?ssl_ca_certs={self._authority}"


def pgbouncer(machine: Machine, database: Machine) -> str:
    """Start PgBouncer in transaction mode before a database; return the DATABASE_URL that leads through it."""
    users = machine.folder / "users.txt"
    users.write_text('"desk" ""\n')
    config = machine.folder / "pgbouncer.ini"
    config.write_text(
        f"[databases]\ndesk = host={database.address} port={POSTGRES_PORT} dbname=desk user=desk\n"
        f"[pgbouncer]\nlisten_addr = *\nlisten_port = {PGBOUNCER_PORT}\nauth_type = trust\nauth_file = {users}\n"
        f"default_pool_size = 30\nunix_socket_dir =\n{PGBOUNCER}"
    )
    machine.spawn(["pgbouncer", str(config)], user="postgres")
    return f"postgres://desk@{machine.address}:{PGBOUNCER_PORT}/desk"


class Upstream:
    """The sandbox on a machine of its own; this program reads its books past all that is cut."""

    def __init__(self, machine: Machine, tokens: list[str], *options: str) -> None:
        self.url = f"http://{machine.address}:{SANDBOX_PORT}"
        taken = [part for token in tokens for part in ("--token", token)]
        command = [sys.executable, "-m", "sandbox", "--host", machine.address, "--port", str(SANDBOX_PORT)]
        machine.spawn([*command, *taken, *options], {"PYTHONPATH": str(BASE_DIR), "PATH": "/usr/bin:/bin"})
        wait_until(self._listens, "the sandbox listens")

    def _listens(self) -> bool:
        try:
            return requests.get(f"{self.url}/_sandbox/", timeout=2).ok
        except requests.RequestException:
            return False

    def ask(self, name: str, /, **body: object) -> object:
        """Read (without a body) or turn a knob of the sandbox; see `sandbox.control_api`."""
        address = f"{self.url}/_sandbox/{name}"
        for _ in range(3):
            try:
                answer = requests.post(address, json=body, timeout=60) if body else requests.get(address, timeout=60)
            except requests.ConnectionError:
                time.sleep(0.5)
                continue
            answer.raise_for_status()
            return answer.json()
        raise ConnectionError("the sandbox does not answer")


def network_machines(network: Network) -> dict[str, Machine]:
    """Add every machine of the run."""
    names = ["lb", "db1", "db2", "redis1", "redis2", "upstream", "web1", "web2", "worker1", "worker2"]
    network.add(*names)
    return network.machines
