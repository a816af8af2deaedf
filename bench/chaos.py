"""Everything goes wrong at once: `python -m bench.chaos --seed 1 --orders 500 --database postgresql`.

The desk runs as `./run` starts it, against a sandbox with all its faults on, and tells four receivers what happens: one
is well, one fails, one hangs, one hangs up. While orders come in, workers, web and beat are killed with SIGKILL, a worker
or Redis stands still, Redis is emptied and restarted, beat is doubled, PostgreSQL is restarted once, and people pay in.
Then the faults end, the desk may settle for a while, and what it
says is compared with the sandbox's own books. The exit status is 1 where a promise is broken. Everything runs on this
machine, in a folder of its own, and ends with this program.
"""

import argparse
import contextlib
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import requests

from bench.receivers import Destinations, Receivers
from bench.stage import DATABASES, Stage, settled

GAP_SECONDS = 0.7
TIMEOUT_SECONDS = 2.0
POLL_SECONDS = 1.0
LIFETIME_SECONDS = 12.0
SKEW_SECONDS = 97.0
SETTLE_SECONDS = 260.0
# Faults and how likely each strikes, `=probability:value`. One that would end an order for good strikes seldom.
FAULTS = """
reset-before=.02 close-before=.02 hold-before=.01:3 http-500=.03 maintenance=.02 redirect=.01 slow=.05:400
lost-hold=.03:3 lost-reset=.03 lost-close=.03 lost-502=.03 lost-cut=.03 lost-midway=.03 lost-empty=.03
lost-no-number=.03 slow-reply=.04:800 drip=.01:20 huge=.003:7 bom=.1 white-space=.1 php-warning=.03
wrong-content-type=.1 wrong-charset=.1 key-case=.1 escaped-unicode=.1 no-accents=.3 http-errors=.3
id-drop-zero=.1 id-as-string=.2 id-long=.1 id-bare=.2 phone-forms=.5 numbers-as-strings=.2
booleans-as-strings=.2 seven-digits=.2 unknown-fields=.05 unknown-status=.05 unknown-code=.05 extra-networks=.1
services-short=.1 services-empty=.1 invalid-token=.003 error=.01 too-soon=.03 limit-reached=.01
insufficient-balance=.01 out-of-stock=.03 service-suspended=.005 filter-ignored=.1 message-never=.1
message-late=.05:4 message-call=.1 second-message=.1:3 code-null=.1 refund-never=.05 refund-late=.1:10
balance-lag=.05:20 code-wrong-session=.1:3 code-says-expired=.01 code-lag=.1:3 history-omits-recent=.1:3
history-lag=.1:5 history-shuffled=.2 history-oldest-first=.2 history-short=.05:20 history-ignores-filters=.2
history-bare-id=.1 history-full-id=.1 audio-foreign=.1 audio-html=.1 callback-never=.2 callback-twice=.2
callback-late=.1:5 callback-out-of-order=.1:3 callback-early=.1 callback-unknown-id=.1
callback-expired-first=.03 callback-form=.1 callback-form-nested=.1 callback-nested=.1 callback-flat=.1
callback-full-id=.2 callback-junk=.05
"""
KILLED = {"worker-1", "worker-2", "both workers", "slow", "web", "beat"}
BARE_START = "import django, thuesim_site.celery; django.setup(); import rentals.tasks"
# How likely a top-up is beside a strike, and which amounts, in đồng.
PAID_IN, TOP_UPS = 0.4, (10_000, 20_000, 50_000, 100_003)
TWO_AT_ONCE, NOTICED_SECONDS, PATIENCE_SECONDS = 0.3, 6.0, 90.0
SERVICES = ("02.97", "01.7", "02.7", "01.2", "10.40", "01.3", "03.97")


@dataclass
class Strike:
    """One failure of the machinery: what it was, and how long after its end a number was asked for again.

    `start` is how long a bare start of our processes took meanwhile on this machine, for what was killed; `tokens` how
    the tokens stood after a few seconds of standstill.
    """

    what: str
    stood: float
    start: float = 0.0
    tokens: str = ""


@dataclass
class Fire:
    """The strikes of one run."""

    stage: Stage
    rng: random.Random
    queue_length: Callable[[], int]
    tokens: Callable[[], str]
    destinations: Destinations
    brief: bool
    strikes: list[Strike] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._ways: dict[str, Callable[[], object]] = {
            "worker-1": lambda: self.stage.kill("worker-1"),
            "worker-2": lambda: self.stage.kill("worker-2"),
            "both workers": self._both,
            "slow": lambda: self.stage.kill("slow"),
            "lives of codes ended": self.destinations.end_lives,
            "web": lambda: self.stage.kill("web"),
            "beat": lambda: self.stage.kill("beat"),
            "second beat": self.stage.second_beat,
            "redis flushed": self.stage.redis.flush,
            "redis restarted": self._restart_redis,
            "upstream out": self._outage,
            "worker frozen": lambda: self.stage.freeze("worker-1", self.rng.uniform(1.0, 6.0)),
            "redis frozen": self._freeze_redis,
            "postgresql restarted": self._restart_postgres,
        }
        self._weights = (6, 6, 2, 2, 1, 1, 2, 1, 3, 2, 2, 2, 1, 0)

    def burn(self, until: Callable[[], bool], *, postgres_at: float) -> None:
        """Strike every few seconds until told to stop; PostgreSQL once, `postgres_at` seconds from now."""
        begun, restarted = time.monotonic(), self.stage.postgres is None
        self.strike("second beat", "worker-1")
        self._pay_in()
        while not until():
            if not restarted and time.monotonic() - begun > postgres_at:
                restarted = True
                self.strike("postgresql restarted")
            count = 1 + (self.rng.random() < TWO_AT_ONCE)
            self.strike(*self.rng.choices(list(self._ways), self._weights, k=count))
            if self.rng.random() < PAID_IN:
                self._pay_in()
            time.sleep(self.rng.uniform(0.5, 4.0))

    def _pay_in(self) -> None:
        # Money is explained once no order is in doubt, which the short form does not wait for.
        if self.brief:
            return
        amount = self.rng.choice(TOP_UPS)
        self.stage.upstream("balance", token=self.rng.choice(self.stage.tokens), top_up=amount)
        print(f"  top-up of {amount}", flush=True)

    def strike(self, *ways: str) -> None:
        """Do it, and wait until work goes on; there is none to do where nothing is queued."""
        for way in ways:
            self._ways[way]()
        begun, what = time.time(), " + ".join(ways)
        compared = KILLED & set(ways) and not self.brief  # which judges no times
        start = subprocess.Popen([sys.executable, "-c", BARE_START]) if compared else None
        started, tokens = 0.0, ""
        while (
            not (arrivals := self._arrivals(begun)) and self.queue_length() and time.time() < begun + PATIENCE_SECONDS
        ):
            time.sleep(0.2)
            if not tokens and time.time() - begun > NOTICED_SECONDS:
                tokens = self.tokens()
            if start and start.poll() is not None and not started:
                started = time.time() - begun
        if start and not started:
            start.wait()
            started = time.time() - begun
        if arrivals or self.queue_length():
            self.strikes.append(Strike(what, (arrivals[0] if arrivals else time.time()) - begun, started, tokens))
        print(f"  {what}", flush=True)

    def _arrivals(self, since: float) -> list[float]:
        calls = self.stage.upstream(f"calls?since={since}")["calls"]
        return [call["at"] for call in calls if call["endpoint"] in {"rent", "rephone"}]

    def _both(self) -> None:
        self.stage.kill("worker-1")
        self.stage.kill("worker-2")

    def _restart_redis(self) -> None:
        self.stage.redis.stop()
        time.sleep(self.rng.uniform(0.5, 4.0))
        self.stage.redis.start()

    def _freeze_redis(self) -> None:
        with self.stage.redis.frozen():
            time.sleep(self.rng.uniform(1.0, 8.0))

    def _restart_postgres(self) -> None:
        assert self.stage.postgres is not None
        self.stage.postgres.stop()
        time.sleep(self.rng.uniform(0.5, 3.0))
        self.stage.postgres.start()

    def _outage(self) -> None:
        seconds = self.rng.uniform(2.0, 5.0)
        with contextlib.suppress(requests.ConnectionError):  # it may hang up on this very call
            self.stage.upstream("outage", seconds=seconds)
        time.sleep(seconds)


def switch_on(stage: Stage) -> None:
    """Turn on every fault of the sandbox."""
    for text in FAULTS.split():
        head, _, value = text.partition(":")
        name, _, probability = head.partition("=")
        stage.upstream(
            "faults", name=name, probability=float(probability), **({"value": float(value)} if value else {})
        )


def stage_for(options: argparse.Namespace, receivers: Receivers) -> Stage:
    """The processes of a run."""
    sandbox = ["--gap", str(GAP_SECONDS), "--lifetime", str(LIFETIME_SECONDS), "--message-after", "0.5-6"]
    sandbox += ["--refund-after", "86400" if options.brief else "4", "--waiting-limit", "25", "--balance", "5000000"]
    return Stage(
        database=options.database,
        tokens=options.tokens,
        sandbox_options=[*sandbox, "--state", str(options.state)] if options.state else sandbox,
        seed=options.seed,
        THUESIM_RENT_GAP=str(GAP_SECONDS),
        THUESIM_TIMEOUT=str(TIMEOUT_SECONDS),
        THUESIM_POLL_INTERVAL=str(POLL_SECONDS),
        DESK_OUTGOING_ALLOW=receivers.address,
    )


def settle(stage: Stage, destinations: Destinations, seconds: float, *, brief: bool) -> list[Any]:
    """Wait until nothing is under way, for at most so long; return the sandbox's books of each token."""
    from bench import verdict

    quiet_at = time.monotonic()
    books = [stage.books(token) for token in stage.tokens]

    def at_rest() -> bool:
        destinations.judge_until_now()
        books[:] = [stage.books(token) for token in stage.tokens]
        destinations.send_again()
        return not verdict.under_way(books, brief=brief)

    calm = settled(at_rest, seconds, every=2.0)
    remaining = "" if calm else f", but for {'; '.join(verdict.under_way(books, brief=brief))}"
    print(f"settled in {time.monotonic() - quiet_at:.0f} s{remaining}")
    return books


def run(options: argparse.Namespace) -> int:
    """One run; returns the exit status."""
    begun, rng = time.monotonic(), random.Random(options.seed)
    with Receivers(random.Random(options.seed)) as receivers, stage_for(options, receivers) as stage:
        from bench import desk, verdict  # they need the settings, which the stage makes

        house = desk.House(stage, rng)
        destinations = Destinations(receivers, house.team, house.people[0])
        stage.upstream("clock", skew=SKEW_SECONDS)
        print(
            f"{options.orders} orders on {options.tokens} tokens, {options.database}, seed {options.seed}", flush=True
        )
        switch_on(stage)
        settle_seconds = 60.0 if options.brief else SETTLE_SECONDS
        deadline = begun + 60 * options.minutes - settle_seconds
        customers = threading.Thread(target=house.order, args=(options.orders, SERVICES, deadline), daemon=True)
        customers.start()
        fire = Fire(stage, rng, house.queue_length, house.tokens_summary, destinations, brief=options.brief)
        fire.burn(
            lambda: time.monotonic() > deadline or (not customers.is_alive() and not house.queue_length()),
            postgres_at=45,
        )
        customers.join(30)
        fired: Counter[str] = Counter(stage.upstream("faults")["fired"])
        stage.upstream("faults/clear", now=True)
        receivers.calm_down()
        print(f"the fire is out after {time.monotonic() - begun:.0f} s; settling", flush=True)
        books = settle(stage, destinations, settle_seconds, brief=options.brief)
        print(f"faults that struck: {sum(fired.values())} of {len(fired)} kinds", end="; ")
        print(", ".join(f"{what} {count}" for what, count in Counter(s.what for s in fire.strikes).items()))
        missing = {text.partition("=")[0] for text in FAULTS.split()} - set(fired)
        if missing:
            print(f"never struck: {', '.join(sorted(missing))}")
        return verdict.speak(
            books,
            gap=GAP_SECONDS,
            ordered=house.ordered,
            strikes=fire.strikes,
            destinations=destinations,
            brief=options.brief,
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser("bench.chaos", description=__doc__.split("\n", maxsplit=1)[0] if __doc__ else "")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--orders", type=int, default=500)
    parser.add_argument("--tokens", type=int, default=3)
    parser.add_argument("--database", choices=DATABASES, default="sqlite")
    parser.add_argument("--minutes", type=float, default=10.0, help="the longest that the run may take")
    parser.add_argument(
        "--brief", action="store_true", help="do not wait until orders without a number are given up; judge no times"
    )
    parser.add_argument("--state", help="keep the sandbox's books in this SQLite file")
    return run(parser.parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
