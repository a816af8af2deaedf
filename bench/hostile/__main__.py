"""What a monitor and a signed-in person get while others misuse the web server.

`python -m bench.hostile [--seconds N] [--only KIND] [--desk]`: for each kind of misuse, 200 connections at a time
against the desk, against gunicorn's threads and against Django's own ASGI handler under uvicorn, each started anew with
the same SQLite database. Meanwhile `/healthz` and the desk page are asked for in turn, each on a connection of its own,
for N seconds. Printed: milliseconds, each with its ratio to the same server before the misuse began, failures (no
answer within 5 s, or not 200), and how much memory the server took. The bar for the desk is 3 × at p95 and no failure.

Each hostile connection comes from an address of its own (127.1.0.1 …), so that no limit per address hides what a
connection costs; the kinds with `one address` send all of them from one. A connection that the server ends is opened
again three seconds later. Loopback and Linux only.
"""

import argparse
import contextlib
import multiprocessing
import os
import select
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.live import prepare
from bench.pages import GUNICORN, UVICORN
from thuesim_site.start.programs import WEB
from thuesim_site.testing import RedisServer, free_port, wait_until

HOSTILE = 200
RAMP_SECONDS = 2.0  # over which the hostile connections are opened, unless making the answers would be a load itself
SETTLE_SECONDS = 3.0  # from then on until the first figure
REOPEN_SECONDS = 3.0
TIMEOUT_SECONDS = 5.0
PAUSE_SECONDS = 0.03  # between two questions
BAR = 3.0
SEGMENT, WINDOW = 536, 2048  # bytes: what a slow reader's kernel takes at a time, and at all
EXPORT_BYTES = 9_000_000
PROBES = ("/healthz", "/")
OURS, THREADS, PLAIN = "the desk", "gunicorn, 16 threads", "uvicorn, Django's ASGI"


@dataclass(frozen=True)
class Kind:
    """One kind of misuse: what a connection sends when it opens, then each second, and as fast as it is taken."""

    name: str
    opening: bytes
    each_second: bytes = b""
    flood: int = 0  # bytes
    flood_part: bytes = b"x" * 65536
    slow_reader: bool = False
    one_address: bool = False
    connections: int = HOSTILE
    ramp: float = RAMP_SECONDS


def kinds(session: str, static: str) -> list[Kind]:
    """Every kind, with the addresses and the session that they use."""

    def get(path: str, *headers: str) -> bytes:
        return "\r\n".join([f"GET {path} HTTP/1.1", "Host: localhost", *headers, "", ""]).encode()

    def post(length: int) -> bytes:
        return f"POST /accounts/login/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n".encode()

    cookie = f"Cookie: sessionid={session}"
    header_lines = b"".join(b"X-%d: %s\r\n" % (number, b"x" * 1000) for number in range(60))
    unread_static = Kind("unread static file", get(static), slow_reader=True)
    return [
        replace(unread_static, name="12 unread static files", connections=12),
        replace(unread_static, name="12 unread, one address", connections=12, one_address=True),
        Kind("8 unread exports", get("/background/1/file/", cookie), slow_reader=True, connections=8),
        unread_static,
        replace(unread_static, name="unread static, one address", one_address=True),
        Kind("unread desk page", get("/", cookie), slow_reader=True, ramp=20),
        Kind("unread export", get("/background/1/file/", cookie), slow_reader=True, ramp=20),
        Kind("unread stream", get("/live/", cookie), slow_reader=True, ramp=20),
        Kind("body, a byte a second", post(1000), each_second=b"x"),
        Kind("header, a byte a second", b"GET / HTTP/1.1\r\nX: ", each_second=b"x"),
        Kind("half a request", b"GET / HTTP/1.1\r\nHost: localhost\r\n"),
        Kind("nothing sent", b""),
        Kind("idle keep-alive", get("/healthz")),
        Kind("big headers", b"GET / HTTP/1.1\r\nHost: localhost\r\n", flood=1_000_000, flood_part=header_lines),
        Kind("huge body, 2.4 of 2.5 MB", post(2_500_000), flood=2_400_000),
        Kind("huge body, 100 MB", post(100_000_000), flood=3_000_000),
        Kind("pipelined, unread", get(static) * 50, slow_reader=True),
    ]


@dataclass
class Hostile:
    """One hostile connection, opened again after it was ended."""

    kind: Kind
    number: int
    connection: socket.socket | None = None
    unsent: memoryview = field(default_factory=lambda: memoryview(b""))
    flooded: int = 0
    opens_at: float = 0.0
    drips_at: float = 0.0

    def act(self, port: int, now: float) -> None:
        """Do what is due; an ended connection is noticed here."""
        try:
            if self.connection is None:
                if now >= self.opens_at:
                    self._open(port)
                    self.drips_at = now + 1
                return
            if self.connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != 1:  # not ESTABLISHED
                raise ConnectionResetError
            if self.unsent:
                self.unsent = self.unsent[self.connection.send(self.unsent) :]
            elif self.flooded < self.kind.flood:
                self.flooded += self.connection.send(self.kind.flood_part)
            elif self.kind.each_second and now >= self.drips_at:
                self.drips_at = now + 1
                self.connection.send(self.kind.each_second)
        except BlockingIOError:
            pass
        except OSError:
            self.close()
            self.opens_at = now + REOPEN_SECONDS

    def _open(self, port: int) -> None:
        self.connection = socket.socket()
        if self.kind.slow_reader:
            self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, WINDOW)
        self.connection.bind(("127.1.0.1" if self.kind.one_address else f"127.1.0.{self.number + 1}", 0))
        self.connection.settimeout(1)
        self.connection.connect(("127.0.0.1", port))
        self.connection.setblocking(False)
        self.unsent, self.flooded = memoryview(self.kind.opening), 0

    def close(self) -> None:
        """Drop the connection."""
        if self.connection is not None:
            self.connection.close()
            self.connection = None


def misuse(kind: Kind, port: int, seconds: float) -> None:
    """Hold the connections of one kind for at most so long. Runs in a process of its own, until it is terminated."""
    os.nice(10)  # it stands for other machines
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    began = time.monotonic()
    hostile = [
        Hostile(kind, number, opens_at=began + kind.ramp * number / kind.connections)
        for number in range(kind.connections)
    ]
    while (now := time.monotonic()) < began + seconds:
        for one in hostile:
            one.act(port, now)
        time.sleep(0.05)


class Server:
    """One server process of the desk's site on a port of its own."""

    def __init__(self, name: str) -> None:
        self.port = free_port()
        commands = {
            OURS: [*WEB, "127.0.0.1", "{port}"],
            THREADS: [*GUNICORN, "bench.hostile.site:wsgi"],
            PLAIN: [*UVICORN, "bench.hostile.site:asgi"],
        }
        command = [part.format(port=self.port) for part in commands[name]]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)

    def wait(self) -> None:
        """Until it answers."""
        wait_until(lambda: ask(self.port, "/healthz") is not None, "the server answers")

    def megabytes(self) -> float:
        """What it holds in memory now, with its children."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        lines = (line for each in (pid, *children) for line in Path(f"/proc/{each}/status").read_text().splitlines())
        return sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024

    def stop(self) -> None:
        """End it with its children."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def ask(port: int, path: str, session: str = "") -> float | None:
    """Seconds until the whole answer was there, on a connection of its own; None where it failed."""
    began = time.monotonic()
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nCookie: sessionid={session}\r\nConnection: close\r\n\r\n"
    answer = bytearray()
    try:
        with socket.create_connection(("127.0.0.1", port), TIMEOUT_SECONDS) as connection:
            connection.sendall(request.encode())
            while True:
                remaining = began + TIMEOUT_SECONDS - time.monotonic()
                if remaining <= 0 or not select.select([connection], [], [], remaining)[0]:
                    return None
                if not (part := connection.recv(65536)):
                    break
                answer += part
    except OSError:
        return None
    return time.monotonic() - began if answer.startswith(b"HTTP/1.1 200") else None


@dataclass
class Figures:
    """How one address was answered for a while: seconds, and how often not at all."""

    seconds: list[float] = field(default_factory=list)
    failures: int = 0

    def part(self, share: float) -> float:
        """The time that this share of the questions stayed below; a failure counts as the whole time-out."""
        times = sorted(self.seconds) + [TIMEOUT_SECONDS] * self.failures
        return times[min(len(times) - 1, int(len(times) * share))]


def probe(port: int, session: str, seconds: float) -> dict[str, Figures]:
    """Ask for each address in turn for so long."""
    figures = {path: Figures() for path in PROBES}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for path, found in figures.items():
            took = ask(port, path, session)
            if took is None:
                found.failures += 1
            else:
                found.seconds.append(took)
            time.sleep(PAUSE_SECONDS)
    return figures


@contextlib.contextmanager
def under(kind: Kind, port: int, seconds: float) -> Iterator[None]:
    """The misuse of one kind, from its start until everything is settled and then as long as the block takes."""
    process = multiprocessing.get_context("spawn").Process(target=misuse, args=(kind, port, seconds + 60))
    process.start()
    try:
        time.sleep(kind.ramp + SETTLE_SECONDS)
        yield
    finally:
        process.terminate()
        process.join()


def measure(name: str, kind: Kind, session: str, seconds: float) -> tuple[str, bool]:
    """Measure one server under one kind of misuse; return the line to print and whether the bar is met."""
    server = Server(name)
    try:
        server.wait()
        for _ in range(20):  # warm
            ask(server.port, "/", session)
        quiet, before = probe(server.port, session, seconds / 2), server.megabytes()
        with under(kind, server.port, seconds):
            busy, after = probe(server.port, session, seconds), server.megabytes()
    finally:
        server.stop()
    met, parts = True, []
    for path in PROBES:
        p50, p95 = (busy[path].part(share) / quiet[path].part(share) for share in (0.5, 0.95))
        met = met and p95 <= BAR and not busy[path].failures
        failures = f"{busy[path].failures}/{busy[path].failures + len(busy[path].seconds)} failed"
        parts.append(
            f"{path:8} p50 {busy[path].part(0.5) * 1000:5.0f} ms {p50:6.1f} ×  "
            f"p95 {busy[path].part(0.95) * 1000:5.0f} ms {p95:6.1f} ×  {failures:14}"
        )
    return f"{kind.name:27} {name:23} {'  '.join(parts)} {after - before:+5.0f} MB", met


def _export_for_download() -> None:
    """Make a finished export of 9 MB, number 1, of the only person, who becomes a manager for it."""
    from django.core.files.base import ContentFile

    from accounts.models import Membership, Role
    from lib.files import shared_files
    from rentals.models import BackgroundJob

    membership = Membership.objects.order_by("pk")[0]
    Membership.objects.filter(pk=membership.pk).update(role=Role.MANAGER)
    shared_files.exports().save("export.csv", ContentFile(b"0123456789abcde\n" * (EXPORT_BYTES // 16)))
    BackgroundJob.objects.create(
        pk=1,
        kind=BackgroundJob.Kind.EXPORT_CSV,
        person=membership.user,
        team=membership.team,
        state=BackgroundJob.State.DONE,
        file="export.csv",
    )


def main() -> None:
    """Print a line for each kind and server, and whether the desk meets the bar."""
    parser = argparse.ArgumentParser("python -m bench.hostile")
    parser.add_argument("--seconds", type=float, default=6.0, help="how long the two pages are asked for")
    parser.add_argument("--only", action="append", metavar="KIND", help="this kind; may be given several times")
    parser.add_argument("--desk", action="store_true", help="the desk alone, without its peers")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = RedisServer(Path(folder))
        os.environ.update(
            DESK_DATA_DIR=folder,
            REDIS_URL=store.url,
            BENCH_REDIS_SOCKET=str(store.socket),
            DATABASE_URL="",
            THUESIM_BASE_URL="http://127.0.0.1:9",
            DESK_LOG_LEVEL="CRITICAL",
            DJANGO_SETTINGS_MODULE="thuesim_site.settings",
        )
        store.start()
        try:
            _run(options.seconds, options.only, [OURS] if options.desk else [OURS, THREADS, PLAIN])
        finally:
            store.stop()


def _run(seconds: float, only: list[str] | None, servers: list[str]) -> None:
    [session, *_], _rental = prepare(1)
    _export_for_download()
    from django.contrib.staticfiles.storage import staticfiles_storage

    static = staticfiles_storage.url("admin/js/vendor/xregexp/xregexp.js")  # 325 kB
    missed = []
    for kind in kinds(session, static):
        if only and kind.name not in only:
            continue
        for name in servers:
            line, met = measure(name, kind, session, seconds)
            print(line, flush=True)
            if name == OURS and not met:
                missed.append(kind.name)
    print(f"the desk, p95 within {BAR:g} × and no failure: {'missed: ' + ', '.join(missed) if missed else 'met'}")


if __name__ == "__main__":
    main()
