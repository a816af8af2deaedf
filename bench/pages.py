"""Pages per second of the web process beside its peers: `python -m bench.pages [seconds per turn] [turns]`.

The same tiny page (session, sign-in, one query) behind each server, one process each, 16 connections that ask again
as soon as they have their answer. The servers take turns, so that a busy machine is busy for all of them. `cpu` is
the server's own processor time per page, which other work on the machine touches less. All but plain Django keep
their SQLite connections, as our settings have it; Django's ASGI handler makes a thread per request, and cannot.
"""

import asyncio
import contextlib
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.peers import require
from thuesim_site.testing import free_port

CONNECTIONS = 16
UVICORN = [sys.executable, "-m", "uvicorn", "--log-level", "warning", "--lifespan", "off", "--port", "{port}"]
GUNICORN = [
    sys.executable,
    "-m",
    "gunicorn",
    "-b",
    "127.0.0.1:{port}",
    "-k",
    "gthread",
    "--threads",
    "16",
    "--log-level",
    "warning",
]
SERVERS = {
    "ours (uvicorn, thuesim_site.serving.wsgi_threads)": [
        *[*UVICORN, "--http", "thuesim_site.serving.connections:Connection", "--no-proxy-headers"],
        *["--factory", "bench.peers.tiny:threads"],
    ],
    "a2wsgi under uvicorn": [*UVICORN, "--factory", "bench.peers.tiny:a2wsgi"],
    "plain Django under uvicorn": [*UVICORN, "bench.peers.tiny:asgi"],
    "gunicorn, threads": [*GUNICORN, "bench.peers.tiny:wsgi"],
}
OURS, _, PLAIN, THREADS = SERVERS


class Server:
    """One server process on a port of its own."""

    def __init__(self, command: list[str]) -> None:
        self.port = free_port()
        environment = {**os.environ, "TINY_CONN_MAX_AGE": "0" if "bench.peers.tiny:asgi" in command else "60"}
        self.process = subprocess.Popen([part.format(port=self.port) for part in command], env=environment)
        self.rates: list[float] = []
        self.cpu: list[float] = []

    def wait(self) -> None:
        """Until it takes connections."""
        for _ in range(1200):  # a minute
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.05)
        raise TimeoutError("the server did not start")

    def cpu_seconds(self) -> float:
        """Processor time so far, of the process and its children. Linux only."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        stats = [Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split() for each in [pid, *children]]
        return sum(int(stat[11]) + int(stat[12]) for stat in stats) / os.sysconf("SC_CLK_TCK")

    def turn(self, session: str, seconds: float) -> None:
        """Ask for pages for `seconds` and keep what came of it."""
        before, began = self.cpu_seconds(), time.monotonic()
        pages = asyncio.run(_load(self.port, session, seconds))
        self.rates.append(pages / (time.monotonic() - began))
        self.cpu.append((self.cpu_seconds() - before) / pages)

    def stop(self) -> None:
        """End it and wait for that."""
        self.process.terminate()
        self.process.wait(10)


async def _load(port: int, session: str, seconds: float) -> int:
    end = time.monotonic() + seconds
    return sum(await asyncio.gather(*(_ask(port, session, end) for _ in range(CONNECTIONS))))


async def _ask(port: int, session: str, end: float) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    pages = 0
    while time.monotonic() < end:
        writer.write(f"GET / HTTP/1.1\r\nHost: localhost\r\nCookie: sessionid={session}\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        if b" 200 " not in head.split(b"\r\n")[0]:
            raise RuntimeError(head.decode())
        await reader.readexactly(int(head.split(b"content-length: ")[1].split(b"\r\n")[0]))
        pages += 1
    writer.close()
    return pages


def main(seconds: float = 2.0, turns: int = 5) -> None:
    """Print pages per second and processor time per page of each server, and our ratios."""
    require("gunicorn", "a2wsgi")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TINY_DATABASE"] = str(Path(folder, "tiny.sqlite3"))
        command = [sys.executable, "-c", "from bench.peers.tiny import prepare; print(prepare())"]
        session = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
        servers = {name: Server(command) for name, command in SERVERS.items()}
        try:
            for server in servers.values():
                server.wait()
                server.turn(session, 0.5)  # warm
                server.rates, server.cpu = [], []
            for _ in range(turns):
                for server in servers.values():
                    server.turn(session, seconds)
        finally:
            for server in servers.values():
                server.stop()
    rate = {name: statistics.median(server.rates) for name, server in servers.items()}
    cpu = {name: statistics.median(server.cpu) for name, server in servers.items()}
    for name in SERVERS:
        print(f"{name:38} {rate[name]:6.0f} pages/s   {cpu[name] * 1000:5.2f} ms cpu per page")
    for peer, bar in ((PLAIN, 3.0), (THREADS, 0.8)):
        word = "ok    " if rate[OURS] >= bar * rate[peer] else "BROKEN"
        print(
            f"{word} ours / {peer}: {rate[OURS] / rate[peer]:.2f} × (cpu: {cpu[peer] / cpu[OURS]:.2f} ×, bar {bar} ×)"
        )


if __name__ == "__main__":
    main(*(kind(argument) for kind, argument in zip((float, int), sys.argv[1:], strict=False)))
