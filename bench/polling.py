"""How soon polling finds a message, and what polling costs: `python -m bench.polling [delay|crowd|calls|many]`.

No callbacks. The sandbox's own books tell when a message could be known and which calls arrived.
"""

import argparse
import random
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import requests

from bench.measures import cpu_seconds, percentile_95
from bench.stage import DATABASES, Stage, settled

POLL_SECONDS = 3.0
SLOW_MILLISECONDS = 200


def _stage(options: argparse.Namespace, tokens: int, *sandbox: str, workers: int = 2) -> Stage:
    return Stage(
        database=options.database,
        tokens=tokens,
        sandbox_options=["--gap", "0", "--waiting-limit", "1000", "--balance", "50000000", *sandbox],
        THUESIM_RENT_GAP="0.1",
        THUESIM_POLL_INTERVAL=str(POLL_SECONDS),
        DESK_WORKERS=str(workers),
    )


def _say(what: str, value: float, limit: float, unit: str) -> bool:
    kept = value <= limit
    print(
        f"{'ok    ' if kept else 'BROKEN'} {what}: {value:.3f} {unit} (at most {limit:.3f}, ratio {value / limit:.2f})"
    )
    return kept


def delay(options: argparse.Namespace, count: int = 3, rounds: int = 3, tokens: int = 10) -> bool:
    """Seconds from a message's being there to its being in our database, `count` numbers of each token waiting at once.

    A number is polled every `POLL_SECONDS`, so its message waits for half of that in the mean, and for the call. The mean
    of ninety waits strays from that by 0.09 s: three times as little as the bound allows.
    """
    with _stage(options, tokens, "--message-after", "5-45") as stage:
        from bench import desk
        from rentals.models import Message

        house = desk.House(stage, random.Random(1), callbacks=False)
        for _ in range(rounds):
            house.order_on_each_token(count, "02.97")
            settled(_nothing_open, 120)
        found = dict(Message.objects.order_by("-at").values_list("rental__upstream_key", "at"))
        rows = [row for token in stage.tokens for row in stage.books(token)["rentals"]]
        waits = [found[str(row["number"])].timestamp() - row["messages"][0]["available_at"] for row in rows]
        trip = _round_trip(stage)
        what = f"mean delay by polling, {count} waiting at once, {len(waits)} messages"
        print(f"       longest {max(waits):.2f} s, one round trip {trip * 1000:.0f} ms")
        return _say(what, statistics.fmean(waits), 1.2 * (POLL_SECONDS / 2 + trip), "s")


def crowd(options: argparse.Namespace) -> bool:
    """The same with 40 numbers at once, where one call for the history stands for many."""
    return delay(options, count=40, rounds=4, tokens=1)


def _nothing_open() -> bool:
    from rentals.models import Rental, Status

    return not Rental.objects.filter(status__in=Status.open()).exists()


def _round_trip(stage: Stage) -> float:
    def ask() -> float:
        begun = time.monotonic()
        address = f"{stage.environment['THUESIM_BASE_URL']}/api/?show=history&token={stage.tokens[0]}"
        requests.get(address, timeout=10)
        return time.monotonic() - begun

    return statistics.median(ask() for _ in range(9))


def calls(options: argparse.Namespace) -> bool:
    """Upstream calls per interval with 200 numbers waiting on one token."""
    with _stage(options, 1, "--message-after", "never") as stage:
        log, seconds = _watched(stage, 200, 30)
        polls = sum(call["endpoint"] in {"code", "history"} for call in log) / (seconds / POLL_SECONDS)
        return _say("calls per interval for 200 numbers", polls, 200 / 20, "calls")


def many(options: argparse.Namespace) -> bool:
    """How often each of 2,000 numbers on 20 tokens is polled by one process, the upstream answering in 200 ms."""
    slow = f"slow=1:{SLOW_MILLISECONDS}"
    with _stage(options, 20, "--message-after", "never", "--fault", slow, workers=1) as stage:
        log, seconds = _watched(stage, 100, 60)
        [worker] = stage.desk.pids_of("desk", "worker-1")
        before, begun = cpu_seconds(worker), time.time()
        time.sleep(20)
        used = cpu_seconds(worker) - before
        polled = [call for call in stage.upstream(f"calls?since={begun}")["calls"] if call["endpoint"] == "history"]
        each = 1000 * used / len(polled) / 100
        print(f"       {each:.2f} ms of processor for each number polled, {used / 20:.0%} of a core")
        by_token: dict[str, list[float]] = defaultdict(list)
        for call in log:
            if call["endpoint"] == "history":
                by_token[call["token"]].append(call["monotonic"])
        gaps = [later - earlier for times in by_token.values() for earlier, later in pairwise(sorted(times))]
        if len(by_token) < 20 or not gaps:
            print(f"BROKEN only {len(by_token)} of 20 tokens were polled")
            return False
        print(f"       {len(log)} calls in {seconds:.0f} s, mean {statistics.fmean(gaps):.2f} s, max {max(gaps):.2f} s")
        return _say("2,000 numbers, one worker, polled every (p95)", percentile_95(gaps), 4.0, "s")


def _watched(stage: Stage, per_token: int, seconds: float) -> tuple[list[dict[str, Any]], float]:
    """Put waiting numbers on every token, wait until they are known, and return the calls of the next `seconds`."""
    from bench import desk
    from rentals.models import Rental

    for token in stage.tokens:
        stage.upstream("rentals", count=per_token, token=token)
    desk.House(stage, random.Random(1), callbacks=False)
    if not settled(lambda: Rental.objects.count() == per_token * len(stage.tokens), 180):
        raise TimeoutError("not all numbers were imported")
    time.sleep(2 * POLL_SECONDS)
    since = time.time()
    time.sleep(seconds)
    found: list[dict[str, Any]] = stage.upstream(f"calls?since={since}")["calls"]
    return found, time.time() - since


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for, all by default; returns 1 where a figure is past its limit."""
    parts = {"delay": delay, "crowd": crowd, "calls": calls, "many": many}
    parser = argparse.ArgumentParser("bench.polling")
    parser.add_argument("parts", nargs="*", choices=[*parts, []], default=[])
    parser.add_argument("--database", choices=DATABASES, default="sqlite")
    options = parser.parse_args(arguments)
    options.parts = options.parts or list(parts)
    if len(options.parts) == 1:
        return 0 if parts[options.parts[0]](options) else 1
    # Each in a process of its own: Django is set up for one stage's database.
    command = [sys.executable, "-m", "bench.polling", "--database", options.database]
    return max([subprocess.run([*command, part], check=False).returncode for part in options.parts])


if __name__ == "__main__":
    sys.exit(main())
