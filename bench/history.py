"""The history of a million rentals on PostgreSQL: `python -m bench.history [rentals] [rounds]`.

Makes the rows by SQL in a database of its own, then asks for pages of `/rentals/` with every filter, sorting and kind
of search, from the first page to the deepest, in turn with a plain Django admin's list of the same rows. Times are those in
the server, from the request to the last byte of the page; queries are counted. Prints the bars that it meets or misses.
"""

import contextlib
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bench.measures import percentile_95
from bench.stage import MIGRATED, Postgres, processor_seconds

BAR_MS, BAR_QUERIES, BAR_RATIO = 60.0, 8, 10.0
PEER = "/plain-admin/rentals/rental/"
# Newest first, as the history has it and the model says; and by the row's number, which is the best that it can do.
PEERS = {"admin": "", "admin, by number": "o=-1"}
FILTERS = {
    "no filter": "",
    "state received": "status=received",
    "state refused (8 %)": "status=refused",
    "two states": "status=expired&status=refused",
    "service": "service=02.1007",
    "person": "person={person}",
    "network": "network=MOBIFONE",
    "prefix": "prefix=096",
    "token": "token={token}",
    "one day": "since={old_day}&until={old_day}",
    "a month": "since={month}&until={old_day}",
    "a rare service": "service=02.1039",
    "service, network, person": "service=02.1007&network=VIETTEL&person={person}",
    "rare service and person": "service=02.1039&person={rare_person}",
    "token, state, month": "token={token}&status=expired&since={month}&until={old_day}",
    "person, by price": "person={person}&sort=dearest",
    "nothing found": "service=02.1007&prefix=059",
}
SORTINGS = ("", "oldest", "dearest", "cheapest")
SEARCHES = {
    "a whole number": "q={phone}",
    "a number's end": "q={tail}",
    "a code": "q={code}",
    "a word of a message": "q={word}",
    "a word of all messages": "q=xac+thuc",
    "a purpose": "q=ticket+4711",
    "a service's name": "q=service+17",
    "nothing found": "q=zzzzzz",
}


def main() -> None:
    """Make the rows, measure, print. Exit status 1 where a bar is missed."""
    rentals = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 10
    with tempfile.TemporaryDirectory(prefix="desk-bench-") as folder, _database(Path(folder)) as url:
        os.environ |= {
            "DATABASE_URL": url,
            "DESK_DATA_DIR": f"{folder}/var",
            "SECRET_KEY": "only-for-benchmarks-on-this-machine",
            "THUESIM_BASE_URL": "http://127.0.0.1:9",
            "DJANGO_SETTINGS_MODULE": "thuesim_site.settings",
            "DEBUG": "1",
        }
        Path(f"{folder}/var/static").mkdir(parents=True)
        import django

        django.setup()
        try:
            kept = _measure(rentals, rounds)
        finally:
            _close()
    sys.exit(not kept)


@contextlib.contextmanager
def _database(folder: Path) -> Iterator[str]:
    """The database of a cluster of its own in `folder`, or the one that a test has made."""
    if given := os.environ.get(MIGRATED):
        yield given
        return
    postgres = Postgres(folder)
    postgres.start()
    try:
        yield postgres.url
    finally:
        postgres.stop()


def _close() -> None:
    from django.db import connections

    for connection in connections.all():
        connection.close()
        close_pool: Callable[[], None] = getattr(connection, "close_pool", lambda: None)
        close_pool()


def _measure(rentals: int, rounds: int) -> bool:
    from django.conf import settings

    from bench import rows
    from lib import garbage_collection

    settings.DEBUG = False
    settings.ALLOWED_HOSTS = ["testserver"]
    settings.ROOT_URLCONF = "bench.peers.plain_admin"
    names = _names(rows.fill(rentals))
    client = _signed_in()
    cursors = _deep_cursors(client)
    client.get("/rentals/")
    garbage_collection.after_loading()  # as the web process does
    timings = _Timings(client)
    for _ in range(rounds):
        for label, query in FILTERS.items():
            timings.ask(f"filter: {label}", f"/rentals/?{query.format(**names)}")
        for sort in SORTINGS:
            timings.ask(f"sorting: {sort or 'newest'}", f"/rentals/?sort={sort}")
            timings.ask(f"deep page: {sort or 'newest'}", f"/rentals/?sort={sort}&after={cursors[sort]}")
        for label, query in SEARCHES.items():
            timings.ask(f"search: {label}", f"/rentals/?{query.format(**names)}")
        for peer, order in PEERS.items():
            timings.ask(f"{peer}: first page", f"{PEER}?{order}")
            timings.ask(f"{peer}: deep page", f"{PEER}?p={rentals // 100}&{order}")
            timings.ask(f"{peer}: state received", f"{PEER}?status__exact=received&{order}")
            timings.ask(f"{peer}: a whole number", f"{PEER}?q={names['phone'][1:]}&{order}")
    return timings.report()


def _names(first: dict[str, int]) -> dict[str, Any]:
    """Return the values to ask for, taken from the rows."""
    from datetime import timedelta

    from django.utils import timezone

    from rentals.models import Message

    old = timezone.localdate() - timedelta(days=300)
    message = Message.objects.filter(rental__team=first["team"]).order_by("-pk").select_related("rental")[10]
    return {
        "person": first["person"] + 7,
        "rare_person": first["person"] + 19,
        "token": first["token"] + 1,
        "old_day": old,
        "month": old - timedelta(days=30),
        "phone": f"0{message.rental.phone[3:]}",
        "tail": message.rental.phone[-6:],
        "code": message.code,
        "word": message.text.split()[-1],
    }


def _signed_in() -> Any:
    from django.test import Client

    from accounts.models import User

    client = Client()
    client.force_login(User.objects.get(username="boss"), backend="accounts.allauth_adapters.OneCheck")
    return client


def _deep_cursors(client: Any) -> dict[str, str]:
    """A cursor in the middle of each sorting, at which the 9,000th page would be."""
    from django.db.models.functions import Coalesce

    from accounts.models import Team
    from rentals.models import Rental

    team = Rental.objects.filter(team=Team.objects.get(name="Measured"))
    middle = team.count() // 2
    newest = team.order_by("-queued_at", "-pk")[middle]
    dear = team.annotate(place=Coalesce("price", 0)).order_by("-place", "-pk")[middle]
    by_time, by_price = round(newest.queued_at.timestamp() * 1_000_000), dear.place  # type: ignore[attr-defined]
    return {
        "": f"{by_time}-{newest.pk}",
        "oldest": f"{by_time}-{newest.pk}",
        "dearest": f"{by_price}-{dear.pk}",
        "cheapest": f"{by_price}-{dear.pk}",
    }


class _Timings:
    """Seconds on the clock and of processor time (ours and PostgreSQL's), per kind of page."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._seconds: dict[str, list[float]] = {}
        self._worked: dict[str, float] = {}
        self._queries: dict[str, int] = {}

    def ask(self, label: str, address: str) -> None:
        """Ask for a page. The first time warms up, and then counts the queries: a code is recorded as read once a day."""
        from django.db import connection
        from django.test.utils import CaptureQueriesContext

        if label not in self._queries:
            self._client.get(address)
            with CaptureQueriesContext(connection) as queries:
                answer = self._client.get(address)
            self._queries[label] = len(queries)
            if answer.status_code != 200:
                raise SystemExit(f"{address}: {answer.status_code}")
            self._seconds[label], self._worked[label] = [], 0.0
        start, worked = time.perf_counter(), processor_seconds()
        self._client.get(address)
        self._seconds[label].append(time.perf_counter() - start)
        self._worked[label] += processor_seconds() - worked

    def report(self) -> bool:
        """Print every line; return whether all bars are met."""
        ours = [label for label in self._seconds if not label.startswith("admin")]
        for label, times in self._seconds.items():
            median, p95 = statistics.median(times) * 1000, percentile_95(times) * 1000
            worked = self._worked[label] / len(times) * 1000
            mark = "  ← over the bar" if p95 > BAR_MS and label in ours else ""
            queries = f"{self._queries[label]} queries"
            print(f"{label:36} median {median:7.1f} ms  p95 {p95:7.1f} ms  processor {worked:7.1f} ms  {queries}{mark}")
        every = [seconds for label in ours for seconds in self._seconds[label]]
        worst = max(percentile_95(self._seconds[label]) for label in ours) * 1000
        ratios = {peer: self._median(f"{peer}:") / statistics.median(every) for peer in PEERS}
        queries_most = max(self._queries[label] for label in ours)
        print(
            f"all pages p95 {percentile_95(every) * 1000:.1f} ms, worst kind p95 {worst:.1f} ms (bar {BAR_MS:.0f} ms)"
        )
        print(f"queries at most {queries_most} (bar {BAR_QUERIES})")
        print(f"load {os.getloadavg()[0]:.1f}")
        for peer, ratio in ratios.items():
            print(f"{ratio:.1f} × faster than the list of the {peer}, by the medians (bar {BAR_RATIO:.0f} ×)")
        return worst <= BAR_MS and queries_most <= BAR_QUERIES and min(ratios.values()) >= BAR_RATIO

    def _median(self, labels: str) -> float:
        return statistics.median(
            seconds for label, times in self._seconds.items() if label.startswith(labels) for seconds in times
        )


if __name__ == "__main__":
    main()
