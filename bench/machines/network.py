"""Machines as network namespaces on one bridge: each has an address, a monotonic clock and a boot id of its own.

A cut is silent, as a pulled cable is: no packet says that a connection ended. Needs root and `ip` of iproute2.
"""

import contextlib
import heapq
import itertools
import os
import random
import select
import signal
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

BRIDGE, SUBNET = "desk-br", "10.77.0"
_NOWHERE = "02:00:00:00:00:01"  # an Ethernet address that no machine has
_ALL_PROTOCOLS = 3  # ETH_P_ALL
MAX_FRAME_BYTES = 65536

# The wall clock of the programs that load it, with the seconds added that stand in a file. Debian's libfaketime 0.9.10
# lets Python's time.sleep fail.
_SKEWED_CLOCK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const long *seconds;
static long skew(void) { return seconds ? *(volatile const long *)seconds : 0; }

__attribute__((constructor)) static void load(void) {
    const char *path = getenv("SKEW_FILE");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *mapped = mmap(0, sizeof(long), PROT_READ, MAP_SHARED, file, 0);
    if (mapped != MAP_FAILED) seconds = mapped;
    close(file);
}
int clock_gettime(clockid_t clock, struct timespec *at) {
    static int (*next)(clockid_t, struct timespec *);
    if (!next) next = dlsym(RTLD_NEXT, "clock_gettime");
    int failed = next(clock, at);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) at->tv_sec += skew();
    return failed;
}
int gettimeofday(struct timeval *at, void *zone) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    at->tv_sec = now.tv_sec;
    at->tv_usec = now.tv_nsec / 1000;
    return 0;
}
time_t time(time_t *at) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at) *at = now.tv_sec;
    return now.tv_sec;
}
"""


def ip(*arguments: str) -> None:
    """Run `ip`. Raises subprocess.CalledProcessError with what it said."""
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


class Machine:
    """A namespace `name` with the address `address`. What `spawn` starts in it is stopped by `kill`."""

    def __init__(self, network: "Network", name: str, number: int) -> None:
        self.network, self.name, self.address = network, name, f"{SUBNET}.{number}"
        self.folder = network.folder / name
        self.folder.mkdir()
        self.folder.chmod(0o755)
        self._namespace, self._cable = f"desk-{name}", f"dk-{name}"[:15]
        self._monotonic = 100_000 * number  # seconds ahead: no two machines booted together
        self._boot_id = self.folder / "boot_id"
        self._boot_id.write_text(f"{uuid.uuid4()}\n")
        self._skew = self.folder / "skew"
        self._set_skew(0)
        ip("netns", "add", self._namespace)
        ip("link", "add", self._cable, "type", "veth", "peer", "name", "eth0", "netns", self._namespace)
        ip("link", "set", self._cable, "up", "master", BRIDGE)
        for command in (
            ["addr", "add", f"{self.address}/24", "dev", "eth0"],
            ["link", "set", "eth0", "up"],
            ["link", "set", "lo", "up"],
        ):
            ip("-n", self._namespace, *command)
        self._send_whole_packets()

    def spawn(
        self,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
        *,
        user: str = "",
        output: IO[str] | None = None,
    ) -> "subprocess.Popen[bytes]":
        """Start a program here, in a session of its own; what it writes goes to `output` or to `<program>.log`."""
        inside = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"] if user else []
        boot = f'mount --bind {self._boot_id} /proc/sys/kernel/random/boot_id && exec "$@"'
        times = ["unshare", "-T", "--monotonic", str(self._monotonic), "--boottime", str(self._monotonic)]
        shell = ["ip", "netns", "exec", self._namespace, *times, "sh", "-c", boot, "sh"]
        clock = {"LD_PRELOAD": str(self.network.skewed_clock), "SKEW_FILE": str(self._skew)}
        with contextlib.ExitStack() as stack:
            log = output or stack.enter_context((self.folder / f"{Path(command[0]).name}.log").open("a"))
            return subprocess.Popen(
                [*shell, *inside, *command],
                env={**(os.environ if environment is None else environment), **clock},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd="/",
            )

    def processes(self) -> list[int]:
        """The ids of what runs here."""
        listed = subprocess.run(
            ["ip", "netns", "pids", self._namespace], capture_output=True, text=True, check=True
        ).stdout
        return [int(pid) for pid in listed.split()]

    def processor_seconds(self) -> float:
        """What all that runs here has used of the processor so far, with what ended in it."""
        used = 0
        for pid in self.processes():
            with contextlib.suppress(OSError):
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                used += sum(map(int, fields[11:15]))
        return used / os.sysconf("SC_CLK_TCK")

    def cut(self) -> None:
        """Pull the cable: nothing leaves, nothing comes, and nobody is told."""
        ip("link", "set", self._cable, "nomaster")

    def join(self) -> None:
        """Plug the cable in again."""
        ip("link", "set", self._cable, "master", BRIDGE)

    def kill(self) -> None:
        """As where the power fails: from outside the machine only falls silent."""
        self.cut()
        while pids := self.processes():
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)

    def remove(self) -> None:
        """Take it away, with all that runs on it."""
        self.kill()
        ip("link", "del", self._cable)  # the namespace itself may go later: something may still end in it
        ip("netns", "del", self._namespace)

    def reboot(self) -> None:
        """Let it come up after `kill`, with nothing running and another boot id."""
        self._boot_id.write_text(f"{uuid.uuid4()}\n")
        self.join()

    def skew(self, seconds: int) -> None:
        """Set the wall clock of all that runs here so many seconds ahead of the true one."""
        self._set_skew(seconds)

    def _set_skew(self, seconds: int) -> None:
        with self._skew.open("r+b" if self._skew.exists() else "wb") as file:  # it is mapped: written in place
            file.write(seconds.to_bytes(8, "little", signed=True))

    def unhear(self, other: "Machine") -> None:
        """Send all that is for `other` to nowhere."""
        ip(
            "-n",
            self._namespace,
            "neigh",
            "replace",
            other.address,
            "lladdr",
            _NOWHERE,
            "nud",
            "permanent",
            "dev",
            "eth0",
        )

    def hear(self, other: "Machine") -> None:
        """Send to `other` again."""
        ip("-n", self._namespace, "neigh", "del", other.address, "dev", "eth0")

    def _send_whole_packets(self) -> None:
        """Have the kernel write each packet with its checksum, as for a true cable: `slow` passes them on itself."""
        for offload in ("tx", "tso", "gso", "gro"):
            command = ["ip", "netns", "exec", self._namespace, "ethtool", "-K", "eth0", offload, "off"]
            subprocess.run(command, capture_output=True, check=True)

    @contextlib.contextmanager
    def slow(self, seconds: float, loss: float) -> Iterator[None]:
        """Delay each packet from and to this machine by half of `seconds`, and lose a share of them.

        Done here and not by `tc netem`, which not every kernel has.
        """
        inner, outer = f"{self._cable[:13]}-i", f"{self._cable[:13]}-o"
        ip("link", "add", inner, "type", "veth", "peer", "name", outer)
        self.cut()
        for link in (self._cable, inner):
            ip("link", "set", link, "up", "promisc", "on")
        ip("link", "set", outer, "up", "master", BRIDGE)
        ended = threading.Event()
        relay = threading.Thread(target=_relay, args=(self._cable, inner, seconds / 2, loss, ended), daemon=True)
        relay.start()
        try:
            yield
        finally:
            ended.set()
            relay.join()
            ip("link", "del", inner)
            self.join()


def _relay(one: str, two: str, delay: float, loss: float, ended: threading.Event) -> None:
    """Pass frames between two cables, late, and not all of them."""
    rng, serial = random.Random(1), itertools.count()
    late: list[tuple[float, int, socket.socket, bytes]] = []
    with contextlib.ExitStack() as stack:
        ends = [
            stack.enter_context(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL_PROTOCOLS)))
            for _ in range(2)
        ]
        for end, link in zip(ends, (one, two), strict=True):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_000_000)
            end.bind((link, 0))
            end.setblocking(False)
        while not ended.is_set():
            wait = max(0.0, min(0.05, late[0][0] - time.monotonic())) if late else 0.05
            for end in select.select(ends, [], [], wait)[0]:
                frame, (_link, _protocol, kind, *_rest) = end.recvfrom(MAX_FRAME_BYTES)
                if kind != socket.PACKET_OUTGOING and rng.random() >= loss:
                    other = ends[1 - ends.index(end)]
                    heapq.heappush(late, (time.monotonic() + delay, next(serial), other, frame))
            while late and late[0][0] <= time.monotonic():
                _at, _serial, end, frame = heapq.heappop(late)
                with contextlib.suppress(OSError):  # the queue of the cable is full: lost, too
                    end.send(frame)


class Network:
    """The bridge and its machines; `here` is this program's own address. All of it is taken away at the end."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.here = folder, f"{SUBNET}.1"
        self.machines: dict[str, Machine] = {}
        self.skewed_clock = folder / "skewed_clock.so"

    def __enter__(self) -> Self:
        build = ["gcc", "-shared", "-fPIC", "-O2", "-o", str(self.skewed_clock), "-xc", "-"]
        subprocess.run(build, input=_SKEWED_CLOCK, text=True, check=True)
        ip("link", "add", BRIDGE, "type", "bridge")
        ip("addr", "add", f"{self.here}/24", "dev", BRIDGE)
        ip("link", "set", BRIDGE, "up")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for machine in self.machines.values():
            machine.remove()
        ip("link", "del", BRIDGE)

    def add(self, *names: str) -> list[Machine]:
        """Add machines by these names."""
        for name in names:
            self.machines[name] = Machine(self, name, 10 + len(self.machines))
        return [self.machines[name] for name in names]

    @contextlib.contextmanager
    def cut_link(self, one: Machine, two: Machine) -> Iterator[None]:
        """Cut what goes between two machines inside the block; each still reaches all others."""
        one.unhear(two)
        two.unhear(one)
        try:
            yield
        finally:
            one.hear(two)
            two.hear(one)
