"""The pause between number-taking calls, with a queue that is never empty: `python -m bench.gap`.

Four worker processes, the true gap of 5 s, and the sandbox's own times of arrival. Wanted: never less than the gap, and
5.25 s at most in the mean.
"""

import argparse
import random
import statistics
import sys
import time
from collections.abc import Sequence
from itertools import pairwise

from bench.stage import DATABASES, Stage, settled

GAP_SECONDS, MEAN_SECONDS = 5.0, 5.25


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; returns 1 where the gap was not kept or not used."""
    parser = argparse.ArgumentParser("bench.gap")
    parser.add_argument("--orders", type=int, default=25)
    parser.add_argument("--tokens", type=int, default=2)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--database", choices=DATABASES, default="sqlite")
    options = parser.parse_args(arguments)
    sandbox = ["--gap", "0", "--message-after", "never", "--waiting-limit", "1000"]
    with Stage(
        database=options.database,
        tokens=options.tokens,
        sandbox_options=sandbox,
        THUESIM_RENT_GAP=str(GAP_SECONDS),
        DESK_WORKERS=str(options.workers),
    ) as stage:
        from bench import desk

        house = desk.House(stage, random.Random(1), callbacks=False)
        house.order(options.orders, ("02.97",), time.monotonic() + 60)
        settled(lambda: not house.queue_length(), GAP_SECONDS * options.orders, every=1.0)
        broken = False
        for token in stage.tokens:
            arrivals = sorted(attempt["monotonic"] for attempt in stage.books(token)["attempts"])
            gaps = [later - earlier for earlier, later in pairwise(arrivals)]
            kept = min(gaps) >= GAP_SECONDS and statistics.fmean(gaps) <= MEAN_SECONDS
            broken = broken or not kept
            print(
                f"{'ok    ' if kept else 'BROKEN'} {len(gaps)} gaps: min {min(gaps):.3f} s, "
                f"mean {statistics.fmean(gaps):.3f} s, max {max(gaps):.3f} s"
            )
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
