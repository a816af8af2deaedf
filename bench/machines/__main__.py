"""Several machines, and one part after the other fails: `python -m bench.machines [--only FAULT …]`.

Network namespaces stand for machines: HAProxy before two web machines, two worker machines with a beat each, PostgreSQL with
a streaming standby, Redis with Sentinel, and the sandbox. While 200 screens are open and programs order, each fault
strikes; the table says how long people waited at most for what. At the end the desk's books are compared with the
sandbox's. Needs root, iproute2, ethtool, haproxy, gcc and PostgreSQL. The exit status is 1 where a promise is broken.
"""

import argparse
import itertools
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, cast

from bench.machines.faults import FAULTS
from bench.machines.people import Customers, Readers, Screens
from bench.machines.site import GAP_SECONDS, Site
from bench.stage import Stage, settled

SCREENS, BOARD_READERS, PAGE_READERS = 200, 10, 3
QUIET_SECONDS, RECOVERY_SECONDS = 8.0, 60.0
SETTLE_SECONDS, BOARD_SECONDS = 150.0, 30.0
SERVICE = "02.97"


@dataclass
class Row:
    """One fault, with seconds that people waited at most."""

    what: str
    pages: float
    streams: float
    taken: float
    sent: float
    began: float
    ended: float
    codes: float = 0.0
    reconnects: int = 0

    def __str__(self) -> str:
        figures = (self.pages, self.streams, self.taken, self.sent, self.codes)
        cells = " | ".join(f"{seconds:6.1f}" for seconds in figures)
        return f"| {self.what:<58} | {cells} | {self.reconnects:4} |"


HEADER = f"| {'fault':<58} | pages  | stream | taken  | sent   | codes  | came back |"


class NoDestinations:
    """No outgoing events here."""

    def findings(self) -> Iterable[tuple[str, list[str]]]:
        return []

    def summary(self) -> str:
        return "no destinations"


class Town:
    """The people of a run, before the load balancer. Needs Django set up."""

    def __init__(self, site: Site, screens: int) -> None:
        from accounts import api_keys
        from accounts.models import Scope
        from accounts.policy import access_for
        from bench import desk
        from bench.live import sessions_for

        self.site = site
        self.house = desk.House(cast("Stage", _Stage(site)), random.Random(1))
        self.house.team.shares_codes = True
        self.house.team.save()
        sessions = sessions_for(self.house.team, screens + PAGE_READERS)
        secrets = [
            api_keys.make(person, access_for(person), name="bench", scopes=Scope.values)[1]
            for person in self.house.people
        ]
        self.screens = Screens(site.host, sessions[:screens], min(BOARD_READERS, screens))
        self.readers = Readers(site.host, sessions[screens:])
        # As many as the tokens can take.
        every = len(secrets) * GAP_SECONDS / len(site.tokens) * 1.1
        self.customers = Customers(site.host, secrets, every, SERVICE, desk.FIRST_LABEL)

    def sent(self, since: float) -> list[float]:
        """When numbers were asked for at the upstream."""
        calls = self.site.upstream(f"calls?since={since}")["calls"]
        return [call["at"] for call in calls if call["endpoint"] == "rent"]

    def is_well(self) -> bool:
        """Whether all went well within the last seconds."""
        now = time.time()
        recent = [
            min(times[-1] for times in list(each.good.values()))
            for each in (self.readers.pages, self.screens.heard, self.customers.taken)
        ]
        return min(*recent[:2], recent[2] + 5, *self.sent(now - 9)[-1:] or [0.0]) > now - 9

    def strike(self, name: str) -> Row:
        """Let one fault strike, and wait until all is well again."""
        what, fault = FAULTS[name]
        time.sleep(QUIET_SECONDS)
        began, reconnects = time.time(), self.screens.reconnects
        used = self._processor_seconds()
        fault(self.site)
        ended = time.time()
        time.sleep(QUIET_SECONDS)
        settled(self.is_well, RECOVERY_SECONDS)
        until = time.time()
        sent = [began - QUIET_SECONDS, *self.sent(began - QUIET_SECONDS), until]
        waits = [after - before for before, after in itertools.pairwise(sent) if after > began]
        row = Row(
            what,
            self.readers.pages.longest(began, until),
            self.screens.heard.longest(began, until),
            self.customers.taken.longest(began, until),
            max(waits),
            began,
            until,
            reconnects=self.screens.reconnects - reconnects,
        )
        print(
            f"  {name}: over after {ended - began:.0f} s, well after {until - began:.0f} s, load {os.getloadavg()[0]:.0f}"
        )
        print("  " + self._returned(began), f"processor s: {self._since(used)}", row, sep="\n", flush=True)
        return row

    def _processor_seconds(self) -> dict[str, float]:
        return {name: self.site.machine(name).processor_seconds() for name in ("web1", "web2", "db1", "db2")}

    def _since(self, before: dict[str, float]) -> str:
        now = self._processor_seconds()  # less than before where the machine was off
        return ", ".join(f"{name} {now[name] - used:.1f}" for name, used in before.items() if now[name] >= used)

    def _returned(self, began: float) -> str:
        """Where the seconds of the screens went that came back."""
        returns = [each for each in list(self.screens.returns) if each.greeted > began]
        if not returns:
            return "no screen lost its stream"
        spans = {
            "from the last event to the loss": [each.noticed - each.heard for each in returns],
            "from then to the stream": [each.greeted - each.noticed for each in returns],
            "attempts": [float(each.attempts) for each in returns],
        }
        parts = (f"{what} {median(span):.1f}, at most {max(span):.1f}" for what, span in spans.items())
        return f"{len(returns)} screens came back: {'; '.join(parts)}"

    def codes(self, rows: Sequence[Row], books: Sequence[Any]) -> list[str]:
        """Note in each row how long a code that came in its time took to the last board; return what never came."""
        missing = []
        for book in books:
            for rental in book["rentals"]:
                for message in rental["messages"]:
                    at, text = message["available_at"], str(message["code"])
                    arrivals = [seen.get(text) for seen in self.screens.codes.values()]
                    came = [arrival for arrival in arrivals if arrival is not None]
                    if len(came) < len(arrivals):
                        missing.append(f"{text} of {rental['id']} reached {len(came)} of {len(arrivals)} screens")
                    for row in rows:
                        if row.began <= at < row.ended:
                            row.codes = max(row.codes, *(arrival - at for arrival in came), 0.0)
        return missing


class _Stage:
    """The site as `bench.desk.House` knows it."""

    def __init__(self, site: Site) -> None:
        self.tokens, self.upstream, self.desk = site.tokens, site.upstream, self
        self.base_url = site.address


def judge(town: Town, rows: Sequence[Row]) -> int:
    """Let all settle, print the table and the comparison with the sandbox's books; return the exit status."""
    from django.db import connection

    from bench import verdict
    from rentals.models import Rental

    site, books = town.site, list[Any]()

    def at_rest() -> bool:
        connection.close()  # the one that a fault broke, or the last one
        books[:] = [site.books(token) for token in site.tokens]
        return not verdict.under_way(books)

    town.customers.stop()
    begun = time.monotonic()
    calm = settled(at_rest, SETTLE_SECONDS, every=3.0)
    print(f"settled in {time.monotonic() - begun:.0f} s{'' if calm else ', but for ' + str(verdict.under_way(books))}")
    settled(lambda: not town.codes(rows, books), BOARD_SECONDS)  # the last codes may be on their way
    missing = town.codes(rows, books)
    print(f"seconds at most, load {os.getloadavg()[0]:.1f}", HEADER, *rows, sep="\n")
    ordered = town.customers.ordered
    status = verdict.speak(books, gap=GAP_SECONDS, ordered=len(ordered), strikes=[], destinations=NoDestinations())
    there = set(Rental.objects.values_list("pk", flat=True))
    for what, wrong in (
        ("orders that were answered and are not there", [pk for pk in ordered.values() if pk not in there]),
        ("rentals beside one of each one-time key", [pk for pk in there if pk not in set(ordered.values())]),
        ("codes that a screen never had", missing),
        ("orders refused", town.customers.odd),
    ):
        print(f"  {'BROKEN' if wrong else 'ok    '} {what}: {len(wrong)} {wrong[:5] or ''}")
        status = status or int(bool(wrong))
    return status


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser("bench.machines", description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--only", action="append", choices=FAULTS, help="this fault alone; may be repeated")
    parser.add_argument("--workers", type=int, default=2, help="worker processes of each of the two machines")
    parser.add_argument("--tokens", type=int, default=6)
    parser.add_argument("--screens", type=int, default=SCREENS)
    parser.add_argument("--pgbouncer", action="store_true", help="PgBouncer in transaction mode before PostgreSQL")
    parser.add_argument("--redis-server", type=Path, help="the binary of a redis-server or valkey-server")
    parser.add_argument("--redis-tls", action="store_true", help="one Redis with TLS and an account of few rights")
    parser.add_argument("--keep", action="store_true", help="keep what the processes wrote")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was started ends with this program
    site = Site(
        tokens=options.tokens,
        workers=options.workers,
        pgbouncer=options.pgbouncer,
        redis_server=options.redis_server,
        redis_tls=options.redis_tls,
    )
    with site:
        begun = time.monotonic()
        town = Town(site, options.screens)
        if not settled(town.screens.all_open, 60):
            print("BROKEN not every screen could be opened")
        rows = [town.strike(name) for name in options.only or FAULTS]
        status = judge(town, rows)
        print(f"{time.monotonic() - begun:.0f} s")
        if options.keep:
            shutil.copytree(site.folder, f"{site.folder}-kept", ignore=shutil.ignore_patterns("postgresql"))
            print(f"what the processes wrote is in {site.folder}-kept")
        return status


if __name__ == "__main__":
    sys.exit(main())
