"""What growth does to pages, searches, exports and writes: `python -m bench.scale [--sqlite] [--rounds N] [SIZE …]`.

Fills a database for each size (1,000 and 1,000,000 rentals by default) by SQL, and asks for every page that a person opens,
in turn. Times are those in the server, from the request to the last byte. Prints p50, p95, the queries and how much longer
each takes than with the first size, then rows per second of exports, the time of each kind of write, and bytes per rental.
With `--folder DIR` the databases stay there, and are measured again the next time.
"""

import argparse
import gc
import json
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from bench.stage import Postgres, processor_seconds

# The pages that an empty signed-in page is compared with stand after it.
EMPTY = "empty page"
RECENT = 30  # rentals of the last half hour, as many in each size
MAX_EXPORTED = {"csv": 100_000, "xlsx": 50_000}
WRITES = 40
SIZES = ("1000", "1000000")


def main() -> None:
    """Measure each size in a process of its own, and print them beside each other."""
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__)
    parser.add_argument("sizes", nargs="*", type=int, default=[int(size) for size in SIZES])
    parser.add_argument("--sqlite", action="store_true")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--only-pages", action="store_true")
    arguments = parser.parse_args()
    if os.environ.get("DESK_BENCH_SIZE"):
        print(json.dumps(_measure(int(os.environ["DESK_BENCH_SIZE"]), arguments.rounds, arguments.only_pages)))
        return
    figures: dict[int, dict[str, Any]] = {}
    for size in arguments.sizes:
        with _database(size, arguments.folder, sqlite=arguments.sqlite) as environment:
            command = [sys.executable, "-m", "bench.scale", *sys.argv[1:]]
            answer = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout
        *notes, last = answer.strip().splitlines()
        print(*notes, sep="\n", flush=True)
        figures[size] = json.loads(last)
    _report(figures)


@contextmanager
def _database(size: int, keep: Path | None, *, sqlite: bool) -> Iterator[dict[str, str]]:
    """Start the database of a size; yield the environment of the process that measures it."""
    with ExitStack() as stack:
        if keep is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="desk-bench-")))
        else:
            folder = keep.resolve() / f"{'sqlite' if sqlite else 'postgresql'}-{size}"
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o755)
        (folder / "var" / "static").mkdir(parents=True, exist_ok=True)
        url = ""
        if not sqlite:
            postgres = Postgres(folder)
            postgres.start()
            stack.callback(postgres.stop, signal.SIGINT)
            url = postgres.url
        yield {
            **os.environ,
            "DATABASE_URL": url,
            "DESK_DATA_DIR": f"{folder}/var",
            "SECRET_KEY": "only-for-benchmarks-on-this-machine",
            "THUESIM_BASE_URL": "http://127.0.0.1:9",
            "REDIS_URL": "redis://127.0.0.1:9/0",
            "DJANGO_SETTINGS_MODULE": "thuesim_site.settings",
            "DESK_BENCH_SIZE": str(size),
            "DEBUG": "1",
        }


def _measure(size: int, rounds: int, only_pages: bool) -> dict[str, Any]:
    """Return the figures of one size: seconds and queries of each page, rows per second, seconds of each write, bytes."""
    import django

    django.setup()
    from django.conf import settings

    settings.DEBUG = False
    settings.ALLOWED_HOSTS = ["testserver"]
    first = _filled(size)
    client = _signed_in()
    gc.collect()
    gc.freeze()  # as the web process does
    pages = _addresses(first)
    figures: dict[str, Any] = {"pages": _timed_pages(client, pages, rounds)}
    if not only_pages:
        figures["exports"] = _timed_exports(first["team"])
        figures["writes"] = _timed_writes(first)
        figures["bytes"] = _bytes(size) if size >= 100_000 else {}
    return figures


def _filled(size: int) -> dict[str, int]:
    """Fill the database unless it is; return the primary keys to ask for."""
    from django.conf import settings
    from django.core.management import call_command
    from django.db import connection

    from bench import rows
    from rentals import sums

    note = Path(settings.DATA_DIR) / "filled.json"
    if not note.exists():
        note.write_text(json.dumps(rows.fill(size)))
    else:
        call_command("migrate", verbosity=0)
    began = time.monotonic()
    if not sums.count_older(seconds=0):
        while not sums.count_older(batch=200_000):
            pass
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
        print(f"{size:,}: the sums of spending were counted in {time.monotonic() - began:.0f} s")
    first: dict[str, int] = json.loads(note.read_text())
    rows.add_recent(RECENT, first)
    return first


def _signed_in() -> Any:
    from django.test import Client

    from accounts.models import Membership, Team, User

    Team.objects.filter(name="Measured").update(budget_day=10**12, budget_month=10**13)
    boss = User.objects.get(username="boss")
    Membership.objects.filter(user=boss).update(budget_day=10**12, budget_month=10**13)
    client = Client()
    client.force_login(boss, backend="accounts.allauth_adapters.OneCheck")
    return client


def _addresses(first: dict[str, int]) -> dict[str, str]:
    """Return every page with its address."""
    from django.utils import timezone

    from rentals.models import Message, Rental

    today = timezone.localdate()
    message = Message.objects.filter(rental__team=first["team"]).order_by("-pk").select_related("rental")[40]
    old = Rental.objects.filter(team=first["team"], pk__gt=message.rental_id // 2).order_by("pk")[0]

    def span(days: int, until: int = 0) -> str:
        return f"since={today - timedelta(days=until + days - 1)}&until={today - timedelta(days=until)}"

    return {
        EMPTY: "/background/",
        "desk": "/",
        "desk, board alone": "/board/",
        "history": "/rentals/",
        "history, a filter": "/rentals/?service=02.1007&network=VIETTEL",
        "rental": f"/rentals/{old.pk}/",
        "services": "/services/",
        "service": f"/services/{first['service']}/",
        "spend, today": f"/spend/?{span(1)}",
        "spend, 30 days": f"/spend/?{span(30)}",
        "spend, a year": f"/spend/?{span(365)}",
        "spend, 100 old days": f"/spend/?{span(100, 300)}",
        "team": "/team/",
        "person": f"/team/people/{first['person']}/",
        "audit": "/team/audit/",
        "audit, an action": "/team/audit/?action=export",
        "system": "/system/",
        "keys": "/team/keys/",
        "search, a word": f"/rentals/?q={message.text.split()[-1]}",
        "search, a number's part": f"/rentals/?q={message.rental.phone[-6:]}",
        "search, a code": f"/rentals/?q={message.code}",
    }


def _timed_pages(client: Any, pages: dict[str, str], rounds: int) -> dict[str, Any]:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    queries = {}
    for label, address in pages.items():
        client.get(address)  # a code is recorded as read once a day
        with CaptureQueriesContext(connection) as captured:
            answer = client.get(address)
        if answer.status_code != 200:
            raise SystemExit(f"{address}: {answer.status_code}")
        queries[label] = len(captured)
    seconds: dict[str, list[float]] = {label: [] for label in pages}
    worked = dict.fromkeys(pages, 0.0)
    for _ in range(rounds):
        for label, address in pages.items():
            before = processor_seconds(os.getppid())
            seconds[label].append(_seconds(lambda address=address: client.get(address)))  # type: ignore[misc]
            worked[label] += (processor_seconds(os.getppid()) - before) / rounds
    return {
        label: [statistics.median(times), _p95(times), worked[label], queries[label]]
        for label, times in seconds.items()
    }


def _seconds(do: Callable[[], Any]) -> float:
    start = time.perf_counter()
    do()
    return time.perf_counter() - start


def _p95(values: list[float]) -> float:
    return sorted(values)[min(len(values) - 1, int(0.95 * len(values)))]


def _timed_exports(team_id: int) -> dict[str, Any]:
    """Return rows, rows per second, seconds to the first row, and how many MB the process grew, of each kind."""
    from itertools import islice

    from accounts.models import Team, User
    from rentals.jobs import background, exports
    from rentals.queries.filters import HistoryFilter

    access = background.access_in(User.objects.get(username="boss"), Team.objects.get(pk=team_id))
    figures = {}
    for kind, most in MAX_EXPORTED.items():
        rentals = exports.filtered_rentals(access, HistoryFilter())
        counted, began, before = [0, 0.0], time.perf_counter(), _peak_mb()

        def table(rentals: Any = rentals, counted: list[float] = counted, most: int = most) -> Iterator[Any]:
            for row in islice(exports.rows(rentals, access, None), most):
                counted[1] = counted[1] or time.perf_counter()
                counted[0] += 1
                yield row

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "export")
            if kind == "csv":
                exports.write_csv(table(), path)
            else:
                exports.write_xlsx(table(), path, scratch=Path(folder))
        seconds = time.perf_counter() - began
        figures[kind] = [counted[0], counted[0] / seconds, counted[1] - began, _peak_mb() - before]
    return figures


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _timed_writes(first: dict[str, int]) -> dict[str, float]:
    """Return the median seconds of an order, a rented number, a message, a refund's line, and what folds the sums."""
    from unittest.mock import patch

    from django.utils import timezone

    import thuesim
    from accounts.models import Team, User
    from rentals import enqueue, lifecycle, orders
    from rentals.models import BalanceReading, MessageSource, Service, Token

    team, person = Team.objects.get(pk=first["team"]), User.objects.get(username="boss")
    token, service = Token.objects.get(pk=first["token"]), Service.objects.get(pk=first["service"])
    reading = BalanceReading.objects.create(token=token, at=timezone.now(), balance=0)
    seconds: dict[str, list[float]] = {"order": [], "number": [], "message": [], "expiry": [], "money line": []}
    with patch.object(enqueue, "place"), patch("rentals.budgets.MAX_ORDERS_PER_MINUTE", 10**9):
        for number in range(WRITES):
            taken: list[Any] = []
            order = orders.Order(person=person, team=team, service=service, token=token, purpose="bench")
            seconds["order"].append(_seconds(lambda: taken.append(orders.take_order(order))))  # noqa: B023
            rental = taken[0]
            lifecycle.start_attempt(rental)
            key = f"{time.time_ns()}{number}"
            rented = thuesim.Rented(f"{key}.02", f"+8496{number:07d}", 1450, None, "", "", None, "")
            seconds["number"].append(_seconds(lambda: lifecycle.number_taken(rental, rented)))  # noqa: B023
            if number % 2:
                message = thuesim.Message(f"code {key}", f"{number:06d}", False, "")
                seconds["message"].append(
                    _seconds(lambda: lifecycle.message_arrived(rental, message, source=MessageSource.POLL))  # noqa: B023
                )
            else:
                seconds["expiry"].append(_seconds(lambda: lifecycle.expire(rental)))  # noqa: B023
                seconds["money line"].append(_seconds(lambda: lifecycle.refund(rental, reading)))  # noqa: B023
    return {label: statistics.median(times) for label, times in seconds.items()}


def _bytes(size: int) -> dict[str, float]:
    """Return the bytes per rental of each table and its indexes that weigh most."""
    from django.conf import settings
    from django.db import connection

    if connection.vendor != "postgresql":
        files = Path(settings.DATABASES["default"]["NAME"]).parent.glob("*.sqlite3*")
        return {"database": sum(path.stat().st_size for path in files) / size}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname || CASE relkind WHEN 'i' THEN ' (index)' ELSE '' END, pg_relation_size(oid) FROM pg_class"
            " WHERE relkind IN ('r', 'i') AND pg_relation_size(oid) > %s AND relnamespace = 'public'::regnamespace"
            " ORDER BY 2 DESC",
            [4 * size],
        )
        return {name: count / size for name, count in cursor.fetchall()}


def _report(figures: dict[int, dict[str, Any]]) -> None:
    sizes = list(figures)
    print(f"\n{'page':24}" + "".join(f"{size:>12,} p50    p95  ratio processor ms queries" for size in sizes))
    for label, base in figures[sizes[0]]["pages"].items():
        line = f"{label:24}"
        for size in sizes:
            median, p95, worked, queries = figures[size]["pages"][label]
            line += f"{median * 1000:16.1f} {p95 * 1000:6.1f} {p95 / base[1]:6.2f} {worked * 1000:12.1f} {queries:7}"
        print(line)
    for size in sizes:
        for kind, (rows, rate, first, grown) in figures[size].get("exports", {}).items():
            print(f"{size:>12,}: {kind} {rows:,} rows, {rate:,.0f} rows/s, first after {first:.2f} s, {grown:.0f} MB")
        for label, seconds in figures[size].get("writes", {}).items():
            print(f"{size:>12,}: {label} {seconds * 1000:.2f} ms")
        for label, count in figures[size].get("bytes", {}).items():
            print(f"{size:>12,}: {label} {count:,.0f} bytes a rental")
    print(f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
