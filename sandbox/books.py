"""The stand-in's own books: what arrived, what was charged and given back, and which message came when.

Everything lives in memory; with a state file each change is also written to SQLite before the reply goes out, so that
a kill loses nothing. Times are Unix seconds of the sandbox's clock, `monotonic` ones are for distances alone.
"""

import json
import sqlite3
import statistics
from collections import Counter, defaultdict, deque
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

WAITING, RECEIVED, EXPIRED = 0, 1, 2
CALLS_KEPT = 200_000


@dataclass
class Account:
    """One API token. `last_take` is the monotonic arrival of the last call that took its turn in the gap."""

    token: str
    number: int
    callback_url: str | None = None
    waiting_limit: int | None = None
    last_take: float | None = None


@dataclass
class Line:
    """One line of money on a token; `amount` in đồng, negative for a charge."""

    number: int
    at: float
    token: str
    kind: str
    amount: int
    rental: int | None = None


@dataclass
class Attempt:
    """One number-taking request that arrived.

    `outcome` is "charged", "refused" or "not reached"; `delivered` is "sent", "cut: <fault>" or "failed" (the
    connection was gone), and None while the answer is still under way.
    """

    number: int
    at: float
    monotonic: float
    token: str
    endpoint: str
    asked: dict[str, str]
    outcome: str = "not reached"
    reason: str = ""
    rental: int | None = None
    price: int = 0
    delivered: str | None = None


@dataclass
class Message:
    """One SMS or call; it can be known from `due` on. With `code_shown` false the code is only in the text."""

    due: float
    text: str
    code: str | None
    call: bool = False
    code_shown: bool = True
    arrived: bool = False


@dataclass
class Rental:
    """One number rented. `phone` is nine digits without the leading 0; `ended` is when it expired unused."""

    number: int
    token: str
    service_id: int
    sv: str
    service_name: str
    price: int
    phone: str
    network: str
    created: float
    expires: float
    attempt: int | None
    again: bool = False
    ended: float | None = None
    refund_due: float | None = None
    refunded: bool = False
    messages: list[Message] = field(default_factory=list)

    @property
    def id(self) -> str:
        """`number.SV`, as a rent reply prints it."""
        return f"{self.number}.{self.sv}" if self.sv else str(self.number)

    def arrived(self, at: float) -> list[Message]:
        """The messages that could be known at that time, oldest first."""
        return [message for message in self.messages if message.arrived and message.due <= at]

    def status(self, at: float) -> int:
        """What the upstream would have answered at that time."""
        if self.arrived(at):
            return RECEIVED
        return EXPIRED if self.ended is not None and self.ended <= at else WAITING


class Call(NamedTuple):
    """One API call that arrived; `about` is the rental asked for, where it is one."""

    at: float
    monotonic: float
    token: str
    endpoint: str
    about: str


class Journal:
    """A SQLite file that holds the books as JSON, one row per thing."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._database.execute("PRAGMA journal_mode=WAL")
        # The system keeps what a killed process wrote; only a power cut could lose it.
        self._database.execute("PRAGMA synchronous=OFF")
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS books (kind TEXT, key TEXT, body TEXT, PRIMARY KEY (kind, key))"
        )
        self._pending: dict[tuple[str, str], object] = {}

    def keep(self, kind: str, key: object, body: object) -> None:
        """Remember to write this at the next commit; dataclasses are written as they are then."""
        self._pending[kind, str(key)] = body

    def commit(self) -> None:
        """Write what is pending, all or nothing."""
        if not self._pending:
            return
        rows = [(kind, key, json.dumps(_plain(body))) for (kind, key), body in self._pending.items()]
        self._pending.clear()
        self._database.execute("BEGIN IMMEDIATE")
        self._database.executemany("INSERT OR REPLACE INTO books VALUES (?, ?, ?)", rows)
        self._database.execute("COMMIT")

    def load(self) -> dict[str, dict[str, Any]]:
        """Everything ever kept, by kind and key."""
        found: dict[str, dict[str, Any]] = defaultdict(dict)
        for kind, key, body in self._database.execute("SELECT kind, key, body FROM books ORDER BY rowid"):
            found[kind][key] = json.loads(body)
        return found

    def clear(self) -> None:
        """Forget everything."""
        self._pending.clear()
        self._database.execute("DELETE FROM books")

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()


def _plain(body: object) -> object:
    return asdict(body) if isinstance(body, Account | Line | Attempt | Rental) else body


class Books:
    """All tokens, rentals, money lines and calls. The caller holds the lock."""

    def __init__(self, path: Path | None = None) -> None:
        self._journal = Journal(path) if path else None
        self._empty()
        if self._journal:
            self._load(self._journal.load())

    def _empty(self) -> None:
        self.accounts: dict[str, Account] = {}
        self.rentals: dict[int, Rental] = {}
        self.rentals_of: dict[str, list[Rental]] = defaultdict(list)
        self.rentals_at: dict[str, list[Rental]] = defaultdict(list)
        self.waiting: dict[str, set[int]] = defaultdict(set)
        self.attempts: dict[str, list[Attempt]] = defaultdict(list)
        self.lines: dict[str, list[Line]] = defaultdict(list)
        self.balances: Counter[str] = Counter()
        self.calls: dict[str, Counter[str]] = defaultdict(Counter)
        self.call_log: deque[Call] = deque(maxlen=CALLS_KEPT)
        self.callbacks: dict[str, list[dict[str, object]]] = defaultdict(list)
        self.sequences: Counter[str] = Counter()
        self.stock: dict[str, int | None] = {}
        self.changed_services: dict[str, dict[str, object]] = {}

    def _load(self, found: dict[str, dict[str, Any]]) -> None:
        for row in found["account"].values():
            self.accounts[row["token"]] = Account(**row)
        for row in sorted(found["line"].values(), key=lambda row: row["number"]):
            self._index_line(Line(**row))
        for row in sorted(found["attempt"].values(), key=lambda row: row["number"]):
            self.attempts[row["token"]].append(Attempt(**row))
        for row in sorted(found["rental"].values(), key=lambda row: row["number"]):
            messages = [Message(**message) for message in row.pop("messages")]
            self._index_rental(Rental(**row, messages=messages))
        for token, counts in found["calls"].items():
            self.calls[token].update(counts)
        self.stock = found["meta"].get("stock", {})
        self.changed_services = found["meta"].get("services", {})
        self.sequences.update(found["meta"].get("sequences", {}))

    def commit(self) -> None:
        """Put every change since the last commit on disk, where there is a state file."""
        if self._journal:
            self._journal.commit()

    def clear(self) -> None:
        """Forget everything, on disk too."""
        self._empty()
        if self._journal:
            self._journal.clear()

    def close(self) -> None:
        """Write what is pending and let go of the file."""
        if self._journal:
            self._journal.commit()
            self._journal.close()

    def keep(self, thing: Account | Attempt | Rental) -> None:
        """Mark a changed thing for the next commit."""
        if self._journal:
            kind = type(thing).__name__.lower()
            self._journal.keep(kind, thing.token if isinstance(thing, Account) else thing.number, thing)

    def next(self, sequence: str, start: int = 1) -> int:
        """The next number of a sequence."""
        self.sequences[sequence] = max(self.sequences[sequence] + 1, start)
        if self._journal:
            self._journal.keep("meta", "sequences", self.sequences)
        return self.sequences[sequence]

    def set_stock(self, stock: dict[str, int | None]) -> None:
        """Change how many numbers the given prefixes (with their leading 0) have left; None never runs out."""
        self.stock.update(stock)
        if self._journal:
            self._journal.keep("meta", "stock", self.stock)

    def change_service(self, key: str, changes: dict[str, object]) -> None:
        """Remember what about a service is other than in the catalogue."""
        self.changed_services[key] = self.changed_services.get(key, {}) | changes
        if self._journal:
            self._journal.keep("meta", "services", self.changed_services)

    def add_account(self, account: Account) -> None:
        """Open the books of a token."""
        self.accounts[account.token] = account
        self.keep(account)

    def add_rental(self, rental: Rental) -> None:
        """Write down a number that was rented."""
        self._index_rental(rental)
        self.keep(rental)

    def _index_rental(self, rental: Rental) -> None:
        self.rentals[rental.number] = rental
        self.rentals_of[rental.token].append(rental)
        self.rentals_at[rental.phone].append(rental)
        if rental.ended is None and not any(message.arrived for message in rental.messages):
            self.waiting[rental.token].add(rental.number)

    def add_attempt(self, attempt: Attempt) -> None:
        """Write down a number-taking request that arrived."""
        self.attempts[attempt.token].append(attempt)
        self.keep(attempt)

    def post(self, token: str, kind: str, amount: int, at: float, rental: int | None = None) -> None:
        """Write a money line."""
        line = Line(self.next("line"), at, token, kind, amount, rental)
        self._index_line(line)
        if self._journal:
            self._journal.keep("line", line.number, line)

    def _index_line(self, line: Line) -> None:
        self.lines[line.token].append(line)
        self.balances[line.token] += line.amount

    def balance(self, token: str, at: float | None = None) -> int:
        """The token's đồng, now or as it stood at some time."""
        if at is None:
            return self.balances[token]
        return sum(line.amount for line in self.lines[token] if line.at <= at or line.kind == "opening")

    def count_call(self, token: str, endpoint: str, about: str, at: float, monotonic: float) -> None:
        """Count one API call and put it on the log."""
        self.calls[token][endpoint] += 1
        self.call_log.append(Call(at, monotonic, token, endpoint, about))
        if self._journal and token in self.accounts:
            self._journal.keep("calls", token, self.calls[token])

    def report(self, token: str, now: float) -> dict[str, Any]:
        """All about one token, as plain values: see the keys below."""
        account = self.accounts[token]
        arrivals = sorted(attempt.monotonic for attempt in self.attempts[token])
        gaps = [later - earlier for earlier, later in pairwise(arrivals)]
        totals: Counter[str] = Counter()
        for line in self.lines[token]:
            totals[line.kind] += line.amount
        return {
            "token": token,
            "callback_url": account.callback_url,
            "balance": self.balances[token],
            "totals": dict(totals),
            "ledger": [asdict(line) for line in self.lines[token]],
            "attempts": [asdict(attempt) for attempt in self.attempts[token]],
            "gap": {
                "count": len(gaps),
                "min": min(gaps, default=None),
                "mean": statistics.fmean(gaps) if gaps else None,
            },
            "rentals": [self._rental_report(rental, now) for rental in self.rentals_of[token]],
            "waiting": len(self.waiting[token]),
            "calls": dict(self.calls[token]),
            "callbacks": list(self.callbacks[token]),
        }

    @staticmethod
    def _rental_report(rental: Rental, now: float) -> dict[str, Any]:
        arrived = [
            {"available_at": message.due, "text": message.text, "code": message.code, "call": message.call}
            | {"code_shown": message.code_shown}
            for message in rental.arrived(now)
        ]
        row = asdict(rental)
        planned = [message["due"] for message in row.pop("messages") if not message["arrived"]]
        return row | {"id": rental.id, "status": rental.status(now), "messages": arrived, "planned": planned}
