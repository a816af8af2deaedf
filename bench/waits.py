"""Waits of the API in one web process: `python -m bench.waits [many|quick|killed] [--database postgresql]`.

The web process as `./run` starts it, with a real Redis and a database of its own, on loopback. Codes are written as workers
write them.

- `many`: memory (PSS) of each held wait, and the threads and database connections that all of them take.
- `quick`: milliseconds from the commit that makes a code known to its answer on the client's socket; in the same run,
  clients that ask for the rental each second.
- `killed`: clients of `thuesim_desk` wait while the web process is killed with SIGKILL and started again. Codes come before,
  meanwhile and after.

The clients share the machine's cores with the server. The exit status is 1 where a bar is missed.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import requests
import uvloop

from bench.stage import DATABASES, MIGRATED, Postgres
from thuesim_site.start import demo
from thuesim_site.start.environment import BASE_DIR
from thuesim_site.start.programs import WEB
from thuesim_site.testing import RedisServer, free_port, wait_until

MAX_KILOBYTES_EACH = 25.0
MAX_P95_MILLISECONDS = 100.0
WAIT_SECONDS = 60
OPENED_AT_ONCE = 20
POLLED_PER_WAITS = 20  # of so many rentals, one is polled as well
CODES_A_SECOND = 10
DEAD_SECONDS = 2.0


@dataclass
class World:
    """The rows that the clients ask for, and a key that may read them."""

    secret: str
    rentals: list[Any]


class Server:
    """The web process. `port` stays the same when it is started again."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until its pages come."""
        command = [*WEB, "127.0.0.1", str(self.port)]
        self._process = subprocess.Popen(command)
        wait_until(self._answers, "the web process answers", 60)

    def _answers(self) -> bool:
        with contextlib.suppress(requests.RequestException):
            return requests.get(f"{self.url}/healthz", timeout=2).ok
        return False

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def kilobytes(self) -> int:
        """Its memory, where shared pages count in part (PSS)."""
        return _number(f"/proc/{self.pid}/smaps_rollup", "Pss")

    @property
    def threads(self) -> int:
        return _number(f"/proc/{self.pid}/status", "Threads")


def _number(file: str, name: str) -> int:
    return int(re.search(rf"^{name}:\s+(\d+)", Path(file).read_text(), re.MULTILINE)[1])  # type: ignore[index]


def database_connections(pid: int) -> int:
    """Return how many database connections a process of this machine has. Needs Django set up."""
    from django.db import connection

    if connection.vendor == "sqlite":
        links = [os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()]
        return sum(link.endswith(".sqlite3") for link in links)
    with connection.cursor() as cursor:  # our own one is not counted
        cursor.execute("SELECT count(*) - 1 FROM pg_stat_activity WHERE datname = current_database()")
        return int(cursor.fetchone()[0])


@contextlib.contextmanager
def desk(database: str, connections: int) -> Iterator[Server]:
    """The web process with all that it needs; Django is set up here for the same database."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="desk-bench-")))
        redis = RedisServer(folder)
        redis.start()
        stack.callback(redis.stop)
        url = ""
        if database == "postgresql":
            postgres = Postgres(folder)
            stack.callback(postgres.stop)
            postgres.start()
            url = postgres.url
        elif migrated := os.environ.get(MIGRATED):
            shutil.copy(migrated, folder / demo.DATABASE)
        os.environ.update(
            DESK_DATA_DIR=str(folder),
            REDIS_URL=redis.url,
            DATABASE_URL=url,
            THUESIM_BASE_URL="http://127.0.0.1:9",
            DESK_LOG_LEVEL="ERROR",
            DESK_MAX_CONNECTIONS=str(connections + 200),  # they all come from one address
            DJANGO_SETTINGS_MODULE="thuesim_site.settings",
        )
        server = Server()
        import django

        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        call_command("collectstatic", interactive=False, verbosity=0)
        server.start()
        stack.callback(server.kill)
        yield server


def prepare(count: int) -> World:
    """Make a team with a key, and so many numbers that wait for their code."""
    from datetime import timedelta

    from django.utils import timezone

    from accounts import api_keys
    from accounts.models import Membership, Role, Scope, Team, User
    from accounts.policy import access_for
    from rentals.models import Rental, Service, Status, Token

    number = Team.objects.count()
    team = Team.objects.create(name=f"bench {number}")
    person = User.objects.create_user(f"bench{number}")
    Membership.objects.create(user=person, team=team, role=Role.OPERATOR)
    _key, secret = api_keys.make(person, access_for(person), name="bench", scopes=Scope.values)
    service, _ = Service.objects.get_or_create(upstream_id="1", defaults={"name": "Bench"})
    token = Token.objects.create(name=f"bench {number}", value=f"{number}-{number:032}")
    token.teams.add(team)
    now = timezone.now()
    rentals = Rental.objects.bulk_create(
        Rental(
            team=team,
            person=person,
            service=service,
            token=token,
            status=Status.WAITING,
            upstream_id=f"{each}.02",
            upstream_key=str(each),
            phone=f"+8485{each:07}",
            price=1450,
            queued_at=now,
            placed_at=now,
            expires_at=now + timedelta(minutes=30),
        )
        for each in range(1, count + 1)
    )
    return World(secret, rentals)


def code_arrives(rental: Any) -> float:
    """Write a code as a worker does; return when it was committed. The code is the rental's id, with six digits."""
    from django.db import connection, transaction

    import thuesim
    from rentals import lifecycle
    from rentals.models import MessageSource

    committed: list[float] = []
    code = f"{rental.pk:06}"
    message = thuesim.Message(code=code, text=f"Ma xac nhan {code}", is_call=False, audio_url="")
    try:
        with transaction.atomic():
            transaction.on_commit(lambda: committed.append(time.monotonic()))
            lifecycle.message_arrived(rental, message, source=MessageSource.POLL)
    finally:
        connection.close()
    return committed[0]


class Client(asyncio.Protocol):
    """One request, and when the last byte of its answer came."""

    def __init__(self, request: bytes) -> None:
        self._request, self._received = request, b""
        self.answered: asyncio.Future[tuple[float, dict[str, Any]]] = asyncio.get_running_loop().create_future()
        self.answered.add_done_callback(lambda done: done.exception())  # nobody asks for that of one that hung up

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, _, body = self._received.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        if length and len(body) >= int(length[1]) and not self.answered.done():
            self.answered.set_result((time.monotonic(), json.loads(body)))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.answered.done():
            self.answered.set_exception(ConnectionError("no answer"))


async def ask(server: Server, world: World, path: str, address: str = "127.0.0.1") -> Client:
    """Send a request of the API from an address, and return before it is answered."""
    lines = [f"GET /api/v1/{path} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {world.secret}"]
    lines += ["User-Agent: bench", "Accept: application/json", "Accept-Encoding: identity", "", ""]
    request = "\r\n".join(lines).encode()
    _, client = await asyncio.get_running_loop().create_connection(
        lambda: Client(request), "127.0.0.1", server.port, local_addr=(address, 0)
    )
    return client


async def use_all_threads(server: Server, world: World) -> None:
    """Keep every page thread busy for a moment: one client alone gets half of them."""
    addresses = ["127.0.0.1", "127.0.0.2"] * 20
    clients = await asyncio.gather(*(ask(server, world, "services", address) for address in addresses))
    for client in clients:
        await client.answered
        client.transport.abort()


async def hold(server: Server, world: World, rentals: Sequence[Any]) -> list[Client]:
    """Open a wait for the code of each rental, and return once all are held."""
    clients: list[Client] = []
    for start in range(0, len(rentals), OPENED_AT_ONCE):
        part = rentals[start : start + OPENED_AT_ONCE]
        waits = (ask(server, world, f"rentals/{rental.pk}/wait?for=code&timeout={WAIT_SECONDS}") for rental in part)
        clients += await asyncio.gather(*waits)
        # Answered after the waits that were sent before it: their turn on the page threads has come.
        await (await ask(server, world, "me")).answered
    return clients


def _bar(what: str, value: float, limit: float, unit: str) -> bool:
    kept = value <= limit
    print(f"{'ok    ' if kept else 'BROKEN'} {what}: {value:.1f} {unit} (at most {limit:g})", flush=True)
    return kept


def _part(values: Sequence[float], share: float) -> float:
    """Return the value that this share of all stay below; no number where there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else float("nan")


def _say(what: str, values: Sequence[float], unit: str = "ms") -> None:
    figures = [f"{name} {_part(values, share):.0f} {unit}" for name, share in (("p50", 0.5), ("p95", 0.95), ("max", 1))]
    print(f"       {what}: {', '.join(figures)}", flush=True)


def many(server: Server, options: argparse.Namespace) -> bool:
    """Hold all waits at once."""
    world = prepare(options.waits)

    async def measure() -> bool:
        await use_all_threads(server, world)
        for _ in range(3):  # what is done once is no wait's memory
            for client in await hold(server, world, world.rentals[:200]):
                client.transport.abort()
            await asyncio.sleep(1)
        kilobytes, threads = server.kilobytes, server.threads
        connections = await asyncio.to_thread(database_connections, server.pid)
        begun = time.monotonic()
        clients = await hold(server, world, world.rentals)
        opened = time.monotonic() - begun
        await asyncio.sleep(2)
        held = sum(not client.answered.done() for client in clients)
        each = (server.kilobytes - kilobytes) / len(clients)
        more_threads = server.threads - threads
        more_connections = await asyncio.to_thread(database_connections, server.pid) - connections
        committed = await asyncio.to_thread(code_arrives, world.rentals[-1])
        at, answer = await asyncio.wait_for(clients[-1].answered, 60)
        print(
            f"       {len(clients)} waits sent in {opened:.1f} s; {threads} threads, {connections} connections before"
        )
        if opened > WAIT_SECONDS:
            print(
                f"       the first ended before the last was sent: choose --waits that take less than {WAIT_SECONDS} s"
            )
        print(f"       an answer beside the others came after {(at - committed) * 1000:.0f} ms")
        kept = [
            _bar("waits that are not held", len(clients) - held, 0, "waits"),
            _bar("memory of a held wait", each, MAX_KILOBYTES_EACH, "KB"),
            _bar("threads for all", more_threads, 0, "threads"),
            _bar("database connections for all", more_connections, 0, "connections"),
            _bar("codes missing in the answer", answer["code"] != f"{world.rentals[-1].pk:06}", 0, "codes"),
        ]
        for client in clients:
            client.transport.abort()
        return all(kept)

    return uvloop.run(measure())


async def _polled_each_second(server: Server, world: World, rental: Any, begin: float) -> float:
    """Return when a client that asks each second got the code."""
    await asyncio.sleep(begin)
    while True:
        client = await ask(server, world, f"rentals/{rental.pk}")
        at, answer = await client.answered
        client.transport.abort()
        if answer["code"]:
            return at
        await asyncio.sleep(1)


async def _answers(clients: Sequence[Any]) -> list[tuple[float, Any]]:
    return await asyncio.wait_for(asyncio.gather(*(client.answered for client in clients)), 60)


def _milliseconds(answers: Sequence[tuple[float, Any]], known: Sequence[float]) -> list[float]:
    return [(at - then) * 1000 for (at, _answer), then in zip(answers, known, strict=True)]


async def _one_after_the_other(server: Server, world: World, rentals: Sequence[Any]) -> bool:
    """Hold a wait for each rental, whose codes come now and then, beside clients that poll."""
    polled = rentals[::POLLED_PER_WAITS]
    clients = await hold(server, world, rentals)
    polls = [asyncio.create_task(_polled_each_second(server, world, rental, random.random())) for rental in polled]
    known: list[float] = []
    for rental in rentals:
        await asyncio.sleep(random.expovariate(CODES_A_SECOND))
        known.append(await asyncio.to_thread(code_arrives, rental))
    answers = await _answers(clients)
    waited = _milliseconds(answers, known)
    seen = dict(zip(polled, await asyncio.gather(*polls), strict=True))
    asked = [(seen[rental] - then) * 1000 for rental, then in zip(rentals, known, strict=True) if rental in seen]
    codes = zip(rentals, answers, strict=True)
    wrong = [rental.pk for rental, (_at, answer) in codes if answer["code"] != f"{rental.pk:06}"]
    _say(f"{len(rentals)} waits", waited)
    _say(f"{len(asked)} polls each second", asked)
    kept = [
        _bar(f"code known → answer, p95 of {len(rentals)} waits", _part(waited, 0.95), MAX_P95_MILLISECONDS, "ms"),
        _bar("answers without their code", len(wrong), 0, "answers"),
    ]
    return all(kept)


async def _all_at_once(server: Server, world: World, rentals: Sequence[Any]) -> None:
    """Hold a wait for each rental, whose codes come in a burst."""
    clients = await hold(server, world, rentals)
    known = [await asyncio.to_thread(code_arrives, rental) for rental in rentals]
    waited = _milliseconds(await _answers(clients), known)
    _say(f"{len(rentals)} codes within {known[-1] - known[0]:.1f} s", waited)


async def _all_for_one_code(server: Server, world: World, rental: Any, count: int) -> bool:
    """Hold `count` waits for one rental."""
    clients = await hold(server, world, [rental] * count)
    await asyncio.sleep(1)
    then = await asyncio.to_thread(code_arrives, rental)
    waited = _milliseconds(await _answers(clients), [then] * count)
    _say(f"{count} waits for one code", waited)
    return _bar("one code known → answer, p95 of all", _part(waited, 0.95), MAX_P95_MILLISECONDS, "ms")


def quick(server: Server, options: argparse.Namespace) -> bool:
    """Answer waits as their codes come, one after the other; then all at once; then all for one code."""
    count = min(options.waits, 200)
    world = prepare(2 * count + 1)

    async def measure() -> bool:
        kept = await _one_after_the_other(server, world, world.rentals[:count])
        await _all_at_once(server, world, world.rentals[count : 2 * count])
        return await _all_for_one_code(server, world, world.rentals[-1], count) and kept

    return uvloop.run(measure())


def killed(server: Server, options: argparse.Namespace) -> bool:
    """Kill the web process while clients wait for a number each; a third of the codes comes while it is dead."""
    sys.path.insert(0, str(BASE_DIR / "clients" / "python"))
    from thuesim_desk import Desk

    world, rng = prepare(options.clients), random.Random(1)
    known: dict[int, float] = {}

    def wait(rental: Any) -> tuple[int, str, float]:
        code = Desk(server.url, world.secret).rental(rental.pk).wait_for_code(timeout=120)
        return rental.pk, str(code), time.monotonic()

    with ThreadPoolExecutor(options.clients) as pool:
        waits = [pool.submit(wait, rental) for rental in world.rentals]
        time.sleep(3)
        coming = list(world.rentals)
        rng.shuffle(coming)
        part = -(-len(coming) // (3 * options.kills))
        for turn in range(options.kills):
            before, meanwhile, after = (
                coming[part * each : part * (each + 1)] for each in range(3 * turn, 3 * turn + 3)
            )
            known |= {rental.pk: code_arrives(rental) for rental in before}
            server.kill()  # what was just announced is perhaps on its way
            known |= {rental.pk: code_arrives(rental) for rental in meanwhile}
            time.sleep(DEAD_SECONDS)
            server.start()
            known |= {rental.pk: code_arrives(rental) for rental in after}
            time.sleep(rng.uniform(1, 6))
        begun = time.monotonic()
        got = [future.result(120) for future in waits]
    late = [at - known[pk] for pk, _code, at in got]
    wrong = [pk for pk, code, _at in got if code != f"{pk:06}"]
    print(f"       the last answer came {max(at for *_, at in got) - begun:.1f} s after the last start")
    _say(f"{len(got)} clients, killed {options.kills} times", late, "s")
    return _bar("clients without their code", len(wrong) + options.clients - len(got), 0, "clients")


PARTS = {"many": many, "quick": quick, "killed": killed}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for, all by default; returns 1 where a bar is missed."""
    parser = argparse.ArgumentParser("bench.waits")
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], default=[])
    parser.add_argument("--database", choices=DATABASES, default="sqlite")
    parser.add_argument("--waits", type=int, default=2000, help="that are held at once; `quick` holds 200 at most")
    parser.add_argument("--clients", type=int, default=50, help="of `killed`")
    parser.add_argument("--kills", type=int, default=3)
    options = parser.parse_args(arguments)
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    with desk(options.database, options.waits) as server:
        kept = [PARTS[part](server, options) for part in options.parts or PARTS]
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
