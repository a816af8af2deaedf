"""Open streams in one web process beside two peers: `python -m bench.live [streams ...]`, by default 1 200 2000.

Real uvicorn processes, a real Redis, loopback, SQLite; each stream has a session and a person of its own, all in one
team. Printed per number of streams: milliseconds from the commit that makes a code known to the bytes of its card at a
client, over all clients and events; the server's processor time per event, which other work on the machine touches
less; its memory per stream, its threads and its open database connections.
The clients share the machine's cores with the server, so the figures are ratios, not promises.
"""

import asyncio
import contextlib
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import redis
import uvloop

from bench.measures import cpu_seconds
from bench.peers import require
from thuesim_site.testing import RedisServer, free_port, wait_until

UVICORN = [sys.executable, "-m", "uvicorn", "--loop", "uvloop", "--lifespan", "off", "--no-access-log"]
OURS = ["--http", "thuesim_site.serving.connections:Connection", "--no-proxy-headers"]
EVENTS = 20
PAUSE_SECONDS = 0.4
CONNECT_SECONDS = 120.0  # a peer that cannot open its streams in this time is let off


@dataclass
class Peer:
    """A way to stream: how its server is started, where its stream is, and how it is told of a code."""

    name: str
    server: list[str]
    path: str
    tell: Callable[[Any, str], None]
    settings: str = "bench.peers.streams"


@dataclass
class Outcome:
    """What one peer did with one number of streams. `latencies` in seconds."""

    streams: int
    latencies: list[float] = field(default_factory=list)
    missed: int = 0
    kilobytes_each: float = 0
    threads: int = 0
    cpu_each: float = 0
    database_files: int = 0

    def part(self, share: float) -> float:
        """The latency in ms that this share of the deliveries stayed below."""
        if not self.latencies:
            return float("nan")
        return sorted(self.latencies)[min(len(self.latencies) - 1, int(len(self.latencies) * share))] * 1000


class Client(asyncio.Protocol):
    """One open stream: notes when each code arrives."""

    def __init__(self, request: bytes) -> None:
        self.request = request
        self.greeted = asyncio.get_running_loop().create_future()
        self.arrivals: dict[bytes, float] = {}
        self.tail = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        text = self.tail + data
        for code in re.findall(rb"code-is-(\d{6})", text):
            self.arrivals.setdefault(code, now)
        self.tail = text[-20:]
        if not self.greeted.done() and (b"event: hello" in text or b"event: stream-open" in text):
            self.greeted.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.greeted.done():
            self.greeted.set_exception(ConnectionError("the stream was not opened"))


def prepare(people: int) -> tuple[list[str], Any]:
    """Fill the database: one team, its people, each with a session; return the sessions' keys and a rental."""
    import django

    django.setup()
    from django.core.management import call_command
    from django.utils import timezone

    from accounts.models import Team
    from rentals.models import Rental, Service, Status, Token

    call_command("migrate", verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)
    team = Team.objects.create(name="bench", shares_codes=True)
    keys = sessions_for(team, people)
    rental = Rental.objects.create(
        team=team,
        person=team.memberships.order_by("pk")[0].user,
        service=Service.objects.create(name="Bench", upstream_id="1"),
        token=Token.objects.create(name="bench", value="1-" + "0" * 32),
        status=Status.RECEIVED,
        upstream_key="1",
        phone="+84852222127",
        queued_at=timezone.now(),
        received_at=timezone.now(),
    )
    return keys, rental


def sessions_for(team: Any, people: int) -> list[str]:
    """Make so many operators of a team, each signed in; return their sessions' keys. Needs Django set up."""
    from django.conf import settings
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.sessions.backends.db import SessionStore
    from django.contrib.sessions.models import Session

    from accounts.models import Membership, Role, User

    names = (f"bench{number}" for number in range(people))
    users = User.objects.bulk_create(User(username=name, password="!", language="vi") for name in names)
    Membership.objects.bulk_create(Membership(user=user, team=team, role=Role.OPERATOR) for user in users)
    store: Any = SessionStore()
    sessions: list[Session] = []
    for number, user in enumerate(users):
        store._session_cache = {
            SESSION_KEY: str(user.pk),
            BACKEND_SESSION_KEY: settings.AUTHENTICATION_BACKENDS[0],
            HASH_SESSION_KEY: user.get_session_auth_hash(),
        }
        store._session_key = f"{number:032}"
        sessions.append(store.create_model_instance(store._session_cache))
    Session.objects.bulk_create(sessions)
    return [session.session_key for session in sessions]


def commit(rental: Any, code: str, tell: Callable[[Any, str], None]) -> float:
    """Write a code as the watch does, with `tell` on commit; return when it was committed."""
    from django.db import transaction
    from django.utils import timezone

    from rentals.models import Message

    committed: list[float] = []
    with transaction.atomic():
        text = f"code-is-{code}"
        Message.objects.create(rental=rental, at=timezone.now(), code=code, text=text, source="poll", fingerprint=code)
        transaction.on_commit(lambda: committed.append(time.monotonic()))
        tell(rental, code)
    return committed[0]


def _tell_us(rental: Any, code: str) -> None:
    rental.announce()


def _tell_peer(client: redis.Redis, channel: str, wrap: Callable[[str], Any]) -> Callable[[Any, str], None]:
    from django.db import transaction

    html = "x" * 3000  # about the size of a card

    def tell(rental: Any, code: str) -> None:
        said = json.dumps(wrap(f"{html} code-is-{code}"))
        transaction.on_commit(lambda: client.publish(channel, said))

    return tell


def peers(redis_url: str) -> list[Peer]:
    """Ours first."""
    client = redis.Redis.from_url(redis_url)
    streaming = _tell_peer(client, "bench:streaming", lambda text: text)
    eventstream = _tell_peer(
        client, "events_channel", lambda text: {"channel": "team", "event_type": "m", "data": text, "pub_id": None}
    )
    other = ["--factory", "bench.peers.streams:asgi"]
    return [
        Peer("ours", [*OURS, "thuesim_site.asgi:application"], "/live/", _tell_us, "thuesim_site.settings"),
        Peer("django-eventstream", other, "/eventstream/", eventstream),
        Peer("Django's StreamingHttpResponse", other, "/streaming/", streaming),
    ]


def _status(pid: int, name: str) -> int:
    return int(re.search(rf"{name}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text()).group(1))  # type: ignore[union-attr]


def _database_files(pid: int) -> int:
    links = (os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink())
    return sum(link.endswith(".sqlite3") for link in links)


def run(peer: Peer, sessions: list[str], rental: Any, first_code: int, redis_socket: str) -> Outcome:
    """Open a stream for each session, announce `EVENTS` codes and see when they arrive."""
    port = free_port()
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": peer.settings, "BENCH_REDIS_SOCKET": redis_socket}
    command = [*UVICORN, "--port", str(port), "--timeout-graceful-shutdown", "5", "--log-level", "critical"]
    server = subprocess.Popen([*command, *peer.server], env=environment)
    try:
        wait_until(lambda: _listens(port), f"{peer.name} listens")
        return uvloop.run(_measure(peer, server.pid, port, sessions, rental, first_code))
    finally:
        server.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(10)
        server.kill()
        server.wait()


def _listens(port: int) -> bool:
    import socket

    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


async def _measure(peer: Peer, pid: int, port: int, sessions: list[str], rental: Any, first_code: int) -> Outcome:
    async def one(session: str, turns: asyncio.Semaphore) -> Client:
        lines = [f"GET {peer.path} HTTP/1.1", "Host: localhost", f"Cookie: sessionid={session}", "", ""]
        request = "\r\n".join(lines).encode()
        async with turns:
            loop = asyncio.get_running_loop()
            _, client = await loop.create_connection(lambda: Client(request), "127.0.0.1", port)
            await client.greeted
        return client

    turns = asyncio.Semaphore(20)
    warm = await one(sessions[0], turns)
    warm.transport.abort()
    await asyncio.sleep(3)  # what is done once is no stream's memory
    before = _status(pid, "VmRSS")
    clients = await asyncio.wait_for(asyncio.gather(*(one(key, turns) for key in sessions)), CONNECT_SECONDS)
    await asyncio.sleep(1)
    outcome = Outcome(len(clients))
    outcome.kilobytes_each = (_status(pid, "VmRSS") - before) / len(clients)
    outcome.threads, outcome.database_files = _status(pid, "Threads"), _database_files(pid)
    cpu = cpu_seconds(pid)
    for number in range(first_code, first_code + EVENTS):
        code = f"{number:06}"
        at = await asyncio.to_thread(commit, rental, code, peer.tell)
        for _ in range(50):  # until all have it, at most 5 s
            await asyncio.sleep(PAUSE_SECONDS / 4)
            arrived = [client.arrivals[code.encode()] - at for client in clients if code.encode() in client.arrivals]
            if len(arrived) == len(clients):
                break
        await asyncio.sleep(PAUSE_SECONDS / 4)
        outcome.latencies += arrived
        outcome.missed += len(clients) - len(arrived)
    outcome.cpu_each = (cpu_seconds(pid) - cpu) / EVENTS
    for client in clients:
        client.transport.abort()
    return outcome


def main(*sizes: int) -> None:
    """Measure all peers with each number of streams and print what came of it."""
    require("django_eventstream")
    sizes = sizes or (1, 200, 2000)
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    with tempfile.TemporaryDirectory() as folder:
        store = RedisServer(Path(folder))
        os.environ.update(
            DESK_DATA_DIR=folder,
            REDIS_URL=store.url,
            DATABASE_URL="",
            THUESIM_BASE_URL="http://127.0.0.1:9",
            DESK_LOG_LEVEL="ERROR",
            DESK_MAX_CONNECTIONS=str(max(sizes) + 100),  # they all come from one address
            DJANGO_SETTINGS_MODULE="thuesim_site.settings",
        )
        store.start()
        try:
            sessions, rental = prepare(max(sizes))
            code = 100_000
            for size in sizes:
                for peer in peers(store.url):
                    code += EVENTS
                    try:
                        outcome = run(peer, sessions[:size], rental, code, str(store.socket))
                    except (TimeoutError, ConnectionError) as error:
                        print(f"{peer.name:32} {size:5} streams: not opened in {CONNECT_SECONDS:.0f} s ({error})")
                        continue
                    print(
                        f"{peer.name:32} {size:5} streams: p50 {outcome.part(0.5):6.0f} ms  p95 {outcome.part(0.95):6.0f} ms"
                        f"  {outcome.cpu_each * 1000:6.1f} ms cpu"
                        f"  missed {outcome.missed:5}  {outcome.kilobytes_each:7.1f} KB each"
                        f"  {outcome.threads:5} threads  {outcome.database_files:3} database files",
                        flush=True,
                    )
        finally:
            store.stop()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
