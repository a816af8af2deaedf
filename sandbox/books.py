"""The stand-in's own books: which requests arrived, what was charged and refunded, and when each message arrived.

Everything lives in memory. With a state file, each change is also written to SQLite before the reply goes out, so that
a kill loses nothing. The names of the fields are those of the control API and of the state file.

Times are Unix seconds of the sandbox's clock. Monotonic times are `time.perf_counter()`, good for differences only.
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
MAX_CALL_LOG = 200_000


@dataclass
class Account:
    """One API token. `last_take` is the monotonic arrival of the last number-taking call that kept the gap."""

    token: str
    number: int
    callback_url: str | None = None
    waiting_limit: int | None = None
    last_take: float | None = None


@dataclass
class Line:
    """One line of a token's ledger; `amount` in đồng, negative for a charge."""

    number: int
    at: float
    token: str
    kind: str
    amount: int
    rental: int | None = None


@dataclass
class Attempt:
    """One number-taking request that arrived; `asked` is its query without the token.

    `outcome` is "charged", "refused" or "not reached" (a fault kept the request from the rules). `delivered` tells of
    the reply: "sent", "cut: <fault>" or "failed" (the connection was gone), and None while it is under way.
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
    """One SMS or voice call; it can be known from `due` on. Without `code_shown`, the code is in the text alone."""

    due: float
    text: str
    code: str | None
    call: bool = False
    code_shown: bool = True
    arrived: bool = False


@dataclass
class Rental:
    """One rented number. `phone` is nine digits without the leading 0; `ended` is when it expired unused."""

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

    @property
    def service_key(self) -> str:
        """`SV.ID` of its service, the key in the catalog."""
        return f"{self.sv}.{self.service_id}" if self.sv else str(self.service_id)

    def arrived(self, at: float) -> list[Message]:
        """The messages that could be known at that time, oldest first."""
        return [message for message in self.messages if message.arrived and message.due <= at]

    def status(self, at: float) -> int:
        """The status at that time: `WAITING`, `RECEIVED` or `EXPIRED`."""
        if self.arrived(at):
            return RECEIVED
        return EXPIRED if self.ended is not None and self.ended <= at else WAITING


class Call(NamedTuple):
    """One API call that arrived; `about` is the id of the rental asked for, empty where none is."""

    at: float
    monotonic: float
    token: str
    endpoint: str
    about: str


class Journal:
    """A SQLite file that holds the books as JSON: one row per account, ledger line, attempt and rental."""

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

    def save(self, kind: str, key: object, body: object) -> None:
        """Write this at the next commit; a dataclass is written as it is at that moment."""
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
        """Everything on file, by kind and key."""
        rows: dict[str, dict[str, Any]] = defaultdict(dict)
        for kind, key, body in self._database.execute("SELECT kind, key, body FROM books ORDER BY rowid"):
            rows[kind][key] = json.loads(body)
        return rows

    def clear(self) -> None:
        """Forget everything."""
        self._pending.clear()
        self._database.execute("DELETE FROM books")

    def close(self) -> None:
        """Close the file."""
        self._database.close()


def _plain(body: object) -> object:
    return asdict(body) if isinstance(body, Account | Line | Attempt | Rental) else body


class Books:
    """All accounts, rentals, ledger lines and API calls. The caller holds the lock."""

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
        self.call_log: deque[Call] = deque(maxlen=MAX_CALL_LOG)
        self.callbacks: dict[str, list[dict[str, object]]] = defaultdict(list)
        self.sequences: Counter[str] = Counter()
        self.stock: dict[str, int | None] = {}
        self.changed_services: dict[str, dict[str, object]] = {}

    def _load(self, rows: dict[str, dict[str, Any]]) -> None:
        for row in rows["account"].values():
            self.accounts[row["token"]] = Account(**row)
        for row in sorted(rows["line"].values(), key=lambda row: row["number"]):
            self._index_line(Line(**row))
        for row in sorted(rows["attempt"].values(), key=lambda row: row["number"]):
            self.attempts[row["token"]].append(Attempt(**row))
        for row in sorted(rows["rental"].values(), key=lambda row: row["number"]):
            messages = [Message(**message) for message in row.pop("messages")]
            self._index_rental(Rental(**row, messages=messages))
        for token, counts in rows["calls"].items():
            self.calls[token].update(counts)
        self.stock = rows["meta"].get("stock", {})
        self.changed_services = rows["meta"].get("services", {})
        self.sequences.update(rows["meta"].get("sequences", {}))

    def commit(self) -> None:
        """Write every change since the last commit to the state file, if there is one."""
        if self._journal:
            self._journal.commit()

    def clear(self) -> None:
        """Forget everything, on disk too."""
        self._empty()
        if self._journal:
            self._journal.clear()

    def close(self) -> None:
        """Write what is pending and close the file."""
        if self._journal:
            self._journal.commit()
            self._journal.close()

    def save(self, record: Account | Attempt | Rental) -> None:
        """Write a changed record at the next commit."""
        if self._journal:
            kind = type(record).__name__.lower()
            self._journal.save(kind, record.token if isinstance(record, Account) else record.number, record)

    def next(self, sequence: str, start: int = 1) -> int:
        """The next number of a sequence."""
        self.sequences[sequence] = max(self.sequences[sequence] + 1, start)
        if self._journal:
            self._journal.save("meta", "sequences", self.sequences)
        return self.sequences[sequence]

    def set_stock(self, stock: dict[str, int | None]) -> None:
        """Set how many numbers the given prefixes (with their leading 0) have in stock; None never runs out."""
        self.stock.update(stock)
        if self._journal:
            self._journal.save("meta", "stock", self.stock)

    def change_service(self, key: str, changes: dict[str, object]) -> None:
        """Record how a service differs from the catalog."""
        self.changed_services[key] = self.changed_services.get(key, {}) | changes
        if self._journal:
            self._journal.save("meta", "services", self.changed_services)

    def add_account(self, account: Account) -> None:
        """Add the account of a token."""
        self.accounts[account.token] = account
        self.save(account)

    def add_rental(self, rental: Rental) -> None:
        """Record a rented number."""
        self._index_rental(rental)
        self.save(rental)

    def _index_rental(self, rental: Rental) -> None:
        self.rentals[rental.number] = rental
        self.rentals_of[rental.token].append(rental)
        self.rentals_at[rental.phone].append(rental)
        if rental.ended is None and not any(message.arrived for message in rental.messages):
            self.waiting[rental.token].add(rental.number)

    def add_attempt(self, attempt: Attempt) -> None:
        """Record a number-taking request that arrived."""
        self.attempts[attempt.token].append(attempt)
        self.save(attempt)

    def post(self, token: str, kind: str, amount: int, at: float, rental: int | None = None) -> None:
        """Add a line to the ledger."""
        line = Line(self.next("line"), at, token, kind, amount, rental)
        self._index_line(line)
        if self._journal:
            self._journal.save("line", line.number, line)

    def _index_line(self, line: Line) -> None:
        self.lines[line.token].append(line)
        self.balances[line.token] += line.amount

    def balance(self, token: str, at: float | None = None) -> int:
        """The token's balance in đồng, now or at an earlier time."""
        if at is None:
            return self.balances[token]
        return sum(line.amount for line in self.lines[token] if line.at <= at or line.kind == "opening")

    def count_call(self, token: str, endpoint: str, about: str, at: float, monotonic: float) -> None:
        """Count one API call and put it on the log."""
        self.calls[token][endpoint] += 1
        self.call_log.append(Call(at, monotonic, token, endpoint, about))
        if self._journal and token in self.accounts:
            self._journal.save("calls", token, self.calls[token])

    def report(self, token: str, now: float) -> dict[str, Any]:
        """Everything about one token as plain values; the keys are those of the control API. Raises KeyError."""
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
