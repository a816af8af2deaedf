"""Milliseconds from a click to its request at ThueSim, and the queries of an order: `python -m bench.order`.

The whole desk as `./run` starts it, with nothing else to do. A click is the POST of the rent form; the sandbox notes when
the first line of a request arrives, by the clock that the machine shares. The queries are those of the same two steps in
this process, each with the function that asks and what that function is for.
"""

import argparse
import inspect
import os
import re
import statistics
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import requests

from bench.live import sessions_for
from bench.stage import DATABASES, Stage
from thuesim_site.start.environment import BASE_DIR
from thuesim_site.testing import wait_until

MAX_MILLISECONDS = 60.0
PAUSE_SECONDS = 1.5
OURS = ("rentals", "pages", "accounts", "lib")


def clicks(stage: Stage, count: int) -> list[float]:
    """Order by the form, one after the other; return how long each took to reach the sandbox, in ms."""
    from accounts.models import Team

    session = requests.Session()
    session.cookies.set("sessionid", sessions_for(Team.objects.get(), 1)[0])
    address = stage.desk.base_url
    sent = []
    for number in range(count):
        page = session.get(f"{address}/", timeout=30).text
        form = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page))
        sent.append(time.perf_counter())
        answer = session.post(
            f"{address}/rent/", {**form, "service": "02.97"}, headers={"Referer": address}, timeout=30
        )
        answer.raise_for_status()
        wait_until(lambda expected=number + 1: len(_arrivals(stage)) >= expected, "the request arrived")  # type: ignore[misc]
        time.sleep(PAUSE_SECONDS)  # what an order still does must not hold up the next one
    return [(arrived - at) * 1000 for at, arrived in zip(sent, _arrivals(stage), strict=True)]


def _arrivals(stage: Stage) -> list[float]:
    return sorted(attempt["monotonic"] for attempt in stage.books(stage.tokens[0])["attempts"])


class Queries:
    """Notes every statement that this process sends to the database, with the function of ours that asks."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __call__(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        for frame, _ in traceback.walk_stack(inspect.currentframe()):
            path = Path(frame.f_code.co_filename)
            if path.is_relative_to(BASE_DIR) and path.relative_to(BASE_DIR).parts[0] in OURS:
                module = sys.modules[frame.f_globals["__name__"]]
                work: Any = module
                for part in frame.f_code.co_qualname.split("."):
                    work = getattr(work, part, None)
                reason = (inspect.getdoc(work) or "").partition("\n")[0].partition(". ")[0]
                name = f"{path.relative_to(BASE_DIR).with_suffix('')}.{frame.f_code.co_name}".replace(os.sep, ".")
                self.lines.append(f"{_short(sql):<52.52} {name}{': ' + reason if reason else ''}")
                break
        return execute(sql, params, many, context)


def _short(sql: str) -> str:
    tables = re.findall(r'(?:FROM|INTO|UPDATE) "(?:\w+?_)?(\w+)"', sql)
    return f"{sql.split()[0]} {' '.join(dict.fromkeys(tables))}"


def queries() -> None:
    """Take an order and place it here, and print the queries of each."""
    from django.db import connection, transaction

    from accounts.models import Team
    from rentals import enqueue, orders
    from rentals.jobs import placing
    from rentals.models import Service, Token

    enqueue.put_instead(lambda wakeup: None)  # no worker is woken: it is placed here
    team, token = Team.objects.get(), Token.objects.get()
    person = team.memberships.order_by("-pk")[0].user
    order = orders.Order(person=person, team=team, service=Service.objects.get(sv="02", upstream_id="97"))
    for what, work in (
        ("the click, behind the page's own", lambda: orders.take_order(order)),
        ("the worker, with the answer", lambda: placing.place_next(token.pk)),
    ):
        noted = Queries()
        with connection.execute_wrapper(noted):
            work()
        print(f"       {what}: {len(noted.lines)} queries")
        for line in noted.lines:
            print(f"         {line}")
    transaction.get_connection().close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; returns 1 where it takes too long."""
    parser = argparse.ArgumentParser("bench.order")
    parser.add_argument("--orders", type=int, default=40)
    parser.add_argument("--database", choices=DATABASES, default="sqlite")
    options = parser.parse_args(arguments)
    sandbox = ["--gap", "0", "--message-after", "never", "--waiting-limit", "1000", "--balance", "5000000"]
    with Stage(database=options.database, tokens=1, sandbox_options=sandbox, THUESIM_RENT_GAP="0.2") as stage:
        import random

        from bench import desk

        desk.House(stage, random.Random(1), callbacks=False)
        took = sorted(clicks(stage, options.orders)[1:])
        p95 = took[int(0.95 * len(took))]
        kept = p95 <= MAX_MILLISECONDS
        figures = f"median {statistics.median(took):.0f} ms, p95 {p95:.0f} ms (at most {MAX_MILLISECONDS:g})"
        what = f"click to request, {len(took)} orders, load {os.getloadavg()[0]:.1f}"
        print(f"{'ok    ' if kept else 'BROKEN'} {what}: {figures}")
        queries()
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
