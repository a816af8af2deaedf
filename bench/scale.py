"""What growth does to pages, searches, exports and writes: `python -m bench.scale [--sqlite SIZE] [--rounds N] [SIZE …]`.

Fills a database for each size (1,000 and 1,000,000 rentals by default) by SQL, and asks for every page that a person opens,
of each size in turn, so that other work on the machine hits all alike. Times are those in the server, from the request to
the last byte; `processor` is what Django and its PostgreSQL backend worked, by which the bars are judged. Then rows per
second of exports, the time of each kind of write, and bytes per rental. With `--folder DIR` the databases stay there, and
are measured again the next time; `--sqlite SIZE` adds one of SQLite, compared with the last of PostgreSQL.
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
from contextlib import ExitStack, contextmanager, redirect_stdout
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from bench.measures import percentile_95
from bench.stage import Postgres

# The pages that an empty signed-in page is compared with stand after it.
EMPTY = "empty page"
RECENT = 30  # rentals of the last half hour, as many in each size
MAX_EXPORTED = {"csv": 100_000, "xlsx": 50_000}
WRITES = 40
SIZES = ("1000", "1000000")
# How much more a page may work than an empty one, and the rows a second of an export.
MOST_OF_EMPTY = 5
EXPORT_BARS = {"csv": 25_000, "xlsx": 12_000}


def main() -> None:
    """Measure all sizes in turn, each in a process of its own, and print them beside each other."""
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__)
    parser.add_argument("sizes", nargs="*", type=int, default=[int(size) for size in SIZES])
    parser.add_argument("--sqlite", type=int, metavar="SIZE")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--only-pages", action="store_true")
    parser.add_argument("--only", default="", help="the pages whose names contain this")
    arguments = parser.parse_args()
    if os.environ.get("DESK_BENCH_SIZE"):
        _serve(int(os.environ["DESK_BENCH_SIZE"]))
        return
    sizes = [(f"{size:,}", size, False) for size in arguments.sizes]
    sizes += [(f"SQLite {arguments.sqlite:,}", arguments.sqlite, True)] if arguments.sqlite else []
    with ExitStack() as stack:
        sites = {
            label: Site(stack.enter_context(_database(size, arguments.folder, sqlite=sqlite)))
            for label, size, sqlite in sizes
        }
        load = os.getloadavg()[0]
        pages = [page for page in next(iter(sites.values())).ask("pages") if arguments.only in page or page == EMPTY]
        figures = _timed_in_turn(sites, pages, arguments.rounds)
        _report_pages(figures, load)
        if not arguments.only_pages:
            _report_exports({label: site.ask("exports") for label, site in sites.items()})
            _report_writes(_timed_in_turn(sites, ["writes"], WRITES))
            for label, site in sites.items():
                for name, count in site.ask("bytes").items():
                    print(f"{label}: {name} {count:,.0f} bytes a rental")
        for site in sites.values():
            site.close()


class Site:
    """The process that asks one database for pages."""

    def __init__(self, environment: dict[str, str]) -> None:
        command = [sys.executable, "-m", "bench.scale"]
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        print(self._line())

    def ask(self, what: str) -> Any:
        """Return what it answers: see `_serve`."""
        assert self._process.stdin
        self._process.stdin.write(f"{what}\n")
        self._process.stdin.flush()
        return json.loads(self._line())

    def _line(self) -> str:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("a measured process ended")
        return line.strip()

    def close(self) -> None:
        """End it."""
        self._process.communicate("")


def _timed_in_turn(sites: dict[str, Site], names: list[str], rounds: int) -> dict[str, dict[str, list[Any]]]:
    """Return what each site answers, by name: a list of each round's."""
    answers: dict[str, dict[str, list[Any]]] = {name: {label: [] for label in sites} for name in names}
    for number in range(rounds + 1):
        if number == 1:
            for site in sites.values():
                site.ask("collect")
        for name in names:
            for label, site in sites.items():
                answer = site.ask(name)
                if number:  # the first fills the caches
                    answers[name][label].append(answer)
    return answers


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


def _serve(size: int) -> None:
    """Answer each line of the standard input in JSON: `pages` with their names, a page's name with its seconds, those of the
    processor and the queries; `exports`, `writes` and `bytes` with their figures."""
    import django

    django.setup()
    from django.conf import settings

    from lib import garbage_collection

    settings.DEBUG = False
    settings.ALLOWED_HOSTS = ["testserver"]
    with redirect_stdout(sys.stderr):
        first = _filled(size)
        client = _signed_in()
        pages = _addresses(first)
        write = _Writes(first)
    garbage_collection.after_loading()  # as the web process does
    print(f"{size:,} rentals are there", flush=True)
    answers: dict[str, Callable[[], Any]] = {
        "pages": lambda: list(pages),
        "exports": lambda: _timed_exports(first["team"]),
        "writes": write.one_of_each,
        # What the first round leaves, such as compiled templates, a process has once.
        "collect": gc.collect,
        "bytes": lambda: _bytes(size) if size >= 100_000 else {},
        **{label: partial(_timed_page, client, address) for label, address in pages.items()},
    }
    for line in sys.stdin:
        print(json.dumps(answers[line.strip()]()), flush=True)


def _filled(size: int) -> dict[str, int]:
    """Fill the database unless it is; return the primary keys to ask for."""
    from django.conf import settings
    from django.core.management import call_command
    from django.db import connection

    from bench import rows
    from rentals.models import Uncounted

    note = Path(settings.DATA_DIR) / "filled.json"
    if not note.exists():
        note.write_text(json.dumps(rows.fill(size)))
    else:
        call_command("migrate", verbosity=0)
    if Uncounted.objects.exists():  # a fill that was broken off
        with connection.cursor() as cursor:
            rows.count_sums(cursor)
            cursor.execute("ANALYZE")
    first: dict[str, int] = json.loads(note.read_text())
    rows.add_recent(RECENT, first)
    return first


def _signed_in() -> Any:
    from django.test import Client

    from accounts.models import Membership, Team, User

    Team.objects.filter(name="Measured").update(budget_day=10**12, budget_month=10**13)
    manager = User.objects.get(username="boss")
    Membership.objects.filter(user=manager).update(budget_day=10**12, budget_month=10**13)
    client = Client()
    client.force_login(manager, backend="accounts.allauth_adapters.OneCheck")
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
        "history, not refunded": "/rentals/?refund=missing",
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
        "audit, a text": "/team/audit/?q=nothing+like+it",
        "audit, a number": f"/team/audit/?q={message.rental.phone[-6:]}",
        "audit, an address": "/team/audit/?q=203.0.113.",
        "system": "/system/",
        "keys": "/team/keys/",
        "search, a word": f"/rentals/?q={message.text.split()[-1]}",
        "search, a number's part": f"/rentals/?q={message.rental.phone[-6:]}",
        "search, a code": f"/rentals/?q={message.code}",
    }


def _timed_page(client: Any, address: str) -> tuple[float, float, int]:
    """Return the seconds that a page took, those that processors worked for it, and its queries."""
    from django.db import connection

    queries = []

    def count(execute: Any, sql: str, *rest: Any) -> Any:
        queries.append(sql)
        return execute(sql, *rest)

    with connection.execute_wrapper(count):
        seconds, worked, answer = _timed(lambda: client.get(address))
    if answer.status_code != 200:
        raise SystemExit(f"{address}: {answer.status_code}")
    return seconds, worked, len(queries)


def _timed(do: Callable[[], Any]) -> tuple[float, float, Any]:
    """Return the seconds of a call, those of this process and its PostgreSQL backend, and what it returned."""
    start, worked = time.perf_counter(), time.process_time() + _backend_seconds()
    answer = do()
    return time.perf_counter() - start, time.process_time() + _backend_seconds() - worked, answer


def _backend_seconds() -> float:
    """Return how long this connection's PostgreSQL backend has worked. Those that it starts for one query are left out."""
    from django.db import connection

    if connection.vendor != "postgresql":
        return 0.0
    connection.ensure_connection()
    path = Path(f"/proc/{connection.connection.info.backend_pid}/schedstat")
    return int(path.read_text().split()[0]) / 1e9


def _timed_exports(team_id: int) -> dict[str, Any]:
    """Return rows, rows per second and per second of the processor, seconds to the first row, and how many MB the process
    grew, of each kind."""
    from itertools import islice

    from accounts.models import AuditRecord, Team, User
    from rentals.jobs import background, exports
    from rentals.models import ExportedCode
    from rentals.queries.filters import HistoryFilter

    access = background.access_in(User.objects.get(username="boss"), Team.objects.get(pk=team_id))
    record = AuditRecord(pk=0)  # by which is noted whose codes are handed out
    figures = {}
    for kind, most in MAX_EXPORTED.items():
        rentals = exports.filtered_rentals(access, HistoryFilter())
        counted, began, before = [0, 0.0], time.perf_counter(), _peak_mb()
        worked = time.process_time() + _backend_seconds()

        def table(rentals: Any = rentals, counted: list[float] = counted, most: int = most) -> Iterator[Any]:
            for row in islice(exports.rows(rentals, access, record), most):
                counted[1] = counted[1] or time.perf_counter()
                counted[0] += 1
                yield row

        with tempfile.TemporaryFile() as file:
            if kind == "csv":
                exports.write_csv(table(), file)
            else:
                exports.write_xlsx(table(), file)
        seconds = time.perf_counter() - began
        worked = time.process_time() + _backend_seconds() - worked
        rates = (counted[0] / seconds, counted[0] / worked)
        figures[kind] = [counted[0], *rates, counted[1] - began, _peak_mb() - before]
        ExportedCode.objects.filter(record=0).delete()
    return figures


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class _Writes:
    """What a rental writes in its life: an order, its number, a message or its expiry with the refund's line."""

    def __init__(self, first: dict[str, int]) -> None:
        from django.utils import timezone

        from accounts.models import Team, User
        from rentals import orders
        from rentals.models import BalanceReading, Service, Token

        token = Token.objects.get(pk=first["token"])
        self._order = orders.Order(
            person=User.objects.get(username="boss"),
            team=Team.objects.get(pk=first["team"]),
            service=Service.objects.get(pk=first["service"]),
            token=token,
            purpose="bench",
        )
        self._reading = BalanceReading.objects.create(token=token, at=timezone.now(), balance=0)

    def one_of_each(self) -> dict[str, tuple[float, float]]:
        """Return the seconds of each write, and those that processors worked for it."""
        return {**self._life(with_message=True), **self._life(with_message=False)}

    def _life(self, *, with_message: bool) -> dict[str, tuple[float, float]]:
        from unittest.mock import patch

        import thuesim
        from rentals import enqueue, lifecycle, orders
        from rentals.models import MessageSource

        key, seconds = str(time.time_ns()), dict[str, tuple[float, float, Any]]()
        with patch.object(enqueue, "place"), patch("rentals.budgets.MAX_ORDERS_PER_MINUTE", 10**9):
            seconds["order"] = _timed(lambda: orders.take_order(self._order))
            rental = seconds["order"][2]
            lifecycle.start_attempt(rental)
            rented = thuesim.Rented(f"{key}.02", f"+8496{key[-7:]}", 1450, None, "", "", None, "")
            seconds["number"] = _timed(lambda: lifecycle.number_taken(rental, rented))
            if with_message:
                message = thuesim.Message(f"code {key}", key[-6:], False, "")
                seconds["message"] = _timed(
                    lambda: lifecycle.message_arrived(rental, message, source=MessageSource.POLL)
                )
            else:
                seconds["expiry"] = _timed(lambda: lifecycle.expire(rental))
                seconds["money line"] = _timed(lambda: lifecycle.refund(rental, self._reading))
        return {name: (figures[0], figures[1]) for name, figures in seconds.items()}


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


def _report_pages(figures: dict[str, dict[str, list[Any]]], load: float) -> None:
    """Print each page, and whether its growth is within the bars."""
    labels = list(figures[EMPTY])
    print(
        f"\nmilliseconds: p50, p95; processor p50, p95; queries. Load {load:.1f} before, {os.getloadavg()[0]:.1f} now"
    )
    print(f"{'':24}" + "".join(f"{label:>40}" for label in labels))
    bars = []
    for page, by_label in figures.items():
        line, before = f"{page:24}", 0.0
        for label in labels:
            seconds, worked, queries = zip(*by_label[label], strict=True)
            shown = [
                statistics.median(seconds),
                percentile_95(seconds),
                statistics.median(worked),
                percentile_95(worked),
            ]
            line += "".join(f"{1000 * value:8.1f}" for value in shown) + f"{max(queries):8}"
            history = [answer[1] for answer in figures.get("history", {}).get(label, [])]
            bars.append(_bar(page, label, shown[3], before, figures[EMPTY][label], history))
            before = shown[3]
        print(line)
    print(*filter(None, bars), sep="\n")


def _search_bar(page: str, label: str, worked: float, history: list[float]) -> str:
    """Return whether a search stays within three times the history's first page."""
    if not history:
        return ""
    verdict = "ok    " if worked <= 3 * percentile_95(history) else "BROKEN"
    return f"{verdict} {page}, {label}: {1000 * worked:.0f} ms; {worked / percentile_95(history):.2f} of 3 times the history"


def _bar(page: str, label: str, worked: float, before: float, empty: list[Any], history: list[float]) -> str:
    """Return whether a page's processor time is within the bars: against the next smaller database, and an empty page."""
    most = MOST_OF_EMPTY * percentile_95([answer[1] for answer in empty])
    if page.startswith("search") and not label.startswith("SQLite"):
        return _search_bar(page, label, worked, history)
    if not before:
        return ""
    ratio = 3.0 if label.startswith("SQLite") else 1.5
    is_met = worked <= ratio * before and (label.startswith("SQLite") or worked <= most)
    verdict = "ok    " if is_met else "BROKEN"
    return f"{verdict} {page}, {label}: {1000 * worked:.0f} ms of {1000 * most:.0f}; {worked / before:.2f} of {ratio}"


def _report_exports(figures: dict[str, dict[str, Any]]) -> None:
    for label, kinds in figures.items():
        for kind, (rows, rate, worked, first, grown) in kinds.items():
            word = "ok    " if worked >= EXPORT_BARS[kind] else "BROKEN"
            print(
                f"{word} {label}: {kind} {rows:,} rows, {rate:,.0f} a second, {worked:,.0f} for one of the processor;"
                f" the first after {first:.2f} s; {grown:.0f} MB more"
            )


def _report_writes(figures: dict[str, dict[str, list[Any]]]) -> None:
    before: dict[str, float] = {}
    for label, rounds in figures["writes"].items():
        for name in rounds[0]:
            seconds, worked = zip(*(each[name] for each in rounds), strict=True)
            median, work = statistics.median(seconds), statistics.median(worked)
            first = before.setdefault(name, work)
            word = "ok    " if work <= 1.2 * first else "BROKEN"
            print(
                f"{word} {label}: {name} {1000 * median:.2f} ms, processor {1000 * work:.2f}, {work / first:.2f} of 1.2"
            )


if __name__ == "__main__":
    main()
