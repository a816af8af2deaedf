"""The stand-in's rules: who gets a number, when its message arrives, when it expires, and what is refunded."""

import heapq
import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from sandbox.books import Account, Attempt, Books, Message, Rental
from sandbox.callback_plan import CallbackPlan, audio_path
from sandbox.callback_sender import Callback, CallbackSender
from sandbox.catalog import CATALOG, NETWORK_OF_PREFIX, Service, demo_token, full_stock
from sandbox.faults import Faults
from sandbox.settings import Refused, Settings
from sandbox.stock import Stock

FIRST_RENTAL_NUMBER = 88237016
# Added by a fault: such an id has more digits than a float can hold.
LONG_ID_OFFSET = 9_007_199_254_740_993_000
STOCK_PER_PREFIX = 10_000
# Refusals that a fault can force on every number-taking call.
_FORCED_REFUSALS = (
    "invalid-token",
    "error",
    "service-suspended",
    "limit-reached",
    "insufficient-balance",
    "out-of-stock",
)


class _Entry(NamedTuple):
    """One entry of the agenda; `order` breaks ties, so that subjects are never compared."""

    due: float
    order: int
    kind: str
    subject: Any


class Rules:
    """The state of one stand-in and all that can happen to it. Every public method may be called from any thread.

    All times are in seconds, those of the clock are Unix seconds; all money is in đồng.
    """

    def __init__(self, settings: Settings, state: Path | None = None) -> None:
        self.settings = settings
        self.faults = Faults(settings.seed)
        self.lock = threading.RLock()
        self.skew = 0.0
        self.public_url = ""
        self._skipped_seconds = 0.0
        self._agenda_changed = threading.Condition(self.lock)
        self._stopping = False
        self._order = itertools.count()
        self._agenda: list[_Entry] = []
        self.sender = CallbackSender(self._callback_sent)
        self._callback_plan = CallbackPlan(self.faults, self.sender, self._schedule_in)
        self.books = Books(state)
        self.stock = Stock(self.books, self.faults, settings)
        if not self.books.stock:
            self.books.set_stock(full_stock(STOCK_PER_PREFIX))
        for rental in self.books.rentals.values():
            self._schedule_rental(rental)
        self.books.commit()

    # The clock and the agenda.

    def now(self) -> float:
        """The stand-in's time in Unix seconds: the machine's clock plus what `advance` skipped."""
        return time.time() + self._skipped_seconds

    def advance(self, seconds: float) -> None:
        """Skip ahead; what becomes due by that happens before this returns."""
        with self._agenda_changed:
            self._skipped_seconds += seconds
            self._agenda_changed.notify()
        with self.transaction():
            pass

    @contextmanager
    def transaction(self) -> Iterator[float]:
        """Hold the lock and yield the time: everything due has happened on entry, every change is on disk on exit.

        Raises ConnectionAbortedError after `stop`.
        """
        with self.lock:
            if self._stopping:
                raise ConnectionAbortedError("the sandbox has stopped")
            now = self.now()
            self._process_due(now)
            try:
                yield now
            finally:
                self.books.commit()

    def run(self) -> None:
        """Process the agenda as its entries become due, until `stop`."""
        while not self._stopping:
            with self._agenda_changed:
                now = self.now()
                self._process_due(now)
                self.books.commit()
                # A quarter second at most: the wall clock may be set while this waits.
                self._agenda_changed.wait(min(max(self._agenda[0].due - now, 0.001), 0.25) if self._agenda else None)

    def stop(self) -> None:
        """End `run`, the callbacks and the state file."""
        with self._agenda_changed:
            self._stopping = True
            self._agenda_changed.notify_all()
            self.books.close()
        self.sender.stop()

    def reset(self) -> None:
        """Forget everything: tokens, rentals, money, faults, the agenda, the clock's offset."""
        with self.transaction():
            self.books.clear()
            self.books.set_stock(full_stock(STOCK_PER_PREFIX))
            self._agenda.clear()
            self._skipped_seconds = self.skew = 0.0
            self.faults.clear()

    def _schedule(self, due: float, kind: str, subject: Any) -> None:
        heapq.heappush(self._agenda, _Entry(due, next(self._order), kind, subject))
        self._agenda_changed.notify()

    def _schedule_in(self, seconds: float, kind: str, subject: Any) -> None:
        self._schedule(self.now() + seconds, kind, subject)

    def _process_due(self, now: float) -> None:
        while not self._stopping and self._agenda and self._agenda[0].due <= now:
            due, _, kind, subject = heapq.heappop(self._agenda)
            if kind == "message":
                rental, message = subject
                self._message_arrived(rental, message, due)
            elif kind == "expire":
                self._expire(subject, due)
            elif kind == "refund":
                self._refund(subject, due)
            elif kind == "release":
                self._callback_plan.release(subject)
            else:
                self.sender.send(subject)

    def _schedule_rental(self, rental: Rental) -> None:
        with self.lock:
            for message in rental.messages:
                if not message.arrived:
                    self._schedule(message.due, "message", (rental, message))
            if rental.number in self.books.waiting[rental.token]:
                self._schedule(rental.expires, "expire", rental)
            if rental.refund_due is not None and not rental.refunded:
                self._schedule(rental.refund_due, "refund", rental)

    # Tokens and money.

    def add_token(self, token: str | None = None, balance: int | None = None, callback_url: str | None = None) -> str:
        """Open an account with its first balance and return its token, made up if none is given.

        A token that has an account keeps its balance.
        """
        with self.transaction() as now:
            number = self.books.next("account")
            token = token or demo_token(self.settings.seed, number)
            if token not in self.books.accounts:
                self.books.add_account(Account(token, number))
                self.books.post(token, "opening", self.settings.balance if balance is None else balance, now)
            if callback_url is not None:
                self.books.accounts[token].callback_url = callback_url
                self.books.save(self.books.accounts[token])
            return token

    def account(self, token: str) -> Account:
        """The token's account; with the setting `any_token`, an unknown token gets one. Raises Refused."""
        if token not in self.books.accounts and self.settings.any_token and token:
            self.add_token(token)
        if token not in self.books.accounts:
            raise Refused("invalid-token")
        return self.books.accounts[token]

    def set_callback_url(self, token: str, url: str | None) -> None:
        """Where the token's callbacks go; None stops them."""
        with self.transaction():
            account = self.books.accounts[token]
            account.callback_url = url
            self.books.save(account)

    def set_waiting_limit(self, token: str, limit: int | None) -> None:
        """How many numbers of the token may wait at once; None for the limit of the settings."""
        with self.transaction():
            account = self.books.accounts[token]
            account.waiting_limit = limit
            self.books.save(account)

    def set_balance(self, token: str, balance: int) -> None:
        """Set the balance, with a correction line for the difference."""
        with self.transaction() as now:
            self.books.post(token, "correction", balance - self.books.balances[token], now)

    def top_up(self, token: str, amount: int) -> None:
        """Pay in."""
        with self.transaction() as now:
            self.books.post(token, "top-up", amount, now)

    def balance(self, token: str) -> int:
        """The balance as it is printed: with the fault `balance-lag`, an old one. Raises Refused."""
        with self.transaction() as now:
            self.account(token)
            lag = self.faults.value("balance-lag", "balance", token)
            return self.books.balance(token, None if lag is None else now - lag)

    def report(self, token: str) -> dict[str, Any]:
        """The books of one token, see `Books.report`. Raises KeyError for a token without an account."""
        # No transaction: the books can be read after `stop` too.
        with self.lock:
            now = self.now()
            self._process_due(now)
            return self.books.report(token, now)

    # Services.

    def services(self) -> list[Service]:
        """What is on sale, as changed by `change_service`."""
        with self.lock:
            return list(self.stock.on_sale().values())

    def change_service(self, key: str, **changes: object) -> None:
        """Change a service's `price`, `seconds` or `name`, or withdraw it with `withdrawn=True`. Raises LookupError."""
        if key not in CATALOG or not changes.keys() <= {"price", "seconds", "name", "withdrawn"}:
            raise LookupError(f"no service {key!r}, or nothing called {', '.join(changes)} to change")
        with self.transaction():
            self.books.change_service(key, changes)

    # Taking a number.

    def open_attempt(self, endpoint: str, token: str, query: dict[str, str], monotonic: float) -> Attempt:
        """Record that a number-taking request arrived, `monotonic` by `time.perf_counter()`."""
        with self.transaction() as now:
            attempt = Attempt(self.books.next("attempt"), now, monotonic, token, endpoint, query)
            self.books.add_attempt(attempt)
            return attempt

    def close_attempt(self, attempt: Attempt, delivered: str) -> None:
        """Record how its reply was delivered, in the words of `Attempt`."""
        with self.transaction():
            attempt.delivered = delivered
            self.books.save(attempt)

    def take(self, attempt: Attempt) -> tuple[Rental, int]:
        """Take a number for the attempt: the rental, and the balance after it. Raises Refused."""
        with self.transaction() as now:
            try:
                rental = self._take(attempt, now)
            except Refused as refused:
                attempt.outcome, attempt.reason = "refused", refused.reason
                self.books.save(attempt)
                raise
            attempt.outcome, attempt.rental, attempt.price = "charged", rental.number, rental.price
            self.books.save(attempt)
            return rental, self.books.balances[attempt.token]

    def _take(self, attempt: Attempt, now: float) -> Rental:
        account = self.account(attempt.token)
        self._check_gap(account, attempt)
        limit = self.settings.waiting_limit if account.waiting_limit is None else account.waiting_limit
        for reason in _FORCED_REFUSALS:
            if self.faults.fires(reason, attempt.endpoint, attempt.token):
                raise Refused(reason, limit=limit)
        earlier = self._earlier_rental(attempt) if attempt.endpoint == "rephone" else None
        service_id = attempt.asked.get("serviceId", "") if earlier is None else earlier.service_key
        service = self.stock.service(service_id)
        if service is None:
            raise Refused("service-suspended")
        if len(self.books.waiting[account.token]) >= limit:
            raise Refused("limit-reached", limit=limit)
        if self.books.balances[account.token] < service.price:
            raise Refused("insufficient-balance")
        phone = self.stock.number_for(attempt) if earlier is None else earlier.phone
        return self._rent(attempt.token, service, phone, now, attempt)

    def _check_gap(self, account: Account, attempt: Attempt) -> None:
        last = account.last_take
        if last is not None and last > time.perf_counter():
            # The state file is from before the machine was started again.
            last = None
        # The absolute distance: requests are not always acted on in the order of their arrival.
        too_soon = last is not None and abs(attempt.monotonic - last) < self.settings.gap
        if too_soon or self.faults.fires("too-soon", attempt.endpoint, attempt.token):
            raise Refused("too-soon", gap=self.settings.gap)
        account.last_take = attempt.monotonic if last is None else max(last, attempt.monotonic)
        self.books.save(account)

    def _earlier_rental(self, attempt: Attempt) -> Rental:
        """The rental whose number is asked for again; its phone, id and service must all be right."""
        query = attempt.asked
        number, _, sv = query.get("thuesim1", "").partition(".")
        rental = self.books.rentals.get(int(number)) if number.isdigit() else None
        if rental is None or (rental.token, rental.sv) != (attempt.token, sv):
            raise Refused("bad-request")
        if query.get("phone") != f"0{rental.phone}":
            raise Refused("bad-request")
        if query.get("serviceId") != str(rental.service_id):
            raise Refused("service-suspended")
        return rental

    def _rent(self, token: str, service: Service, phone: str, created: float, attempt: Attempt | None) -> Rental:
        number = self.books.next("rental", FIRST_RENTAL_NUMBER)
        if self.faults.fires("id-long", "rent", token):
            number += LONG_ID_OFFSET
        rental = Rental(
            number=number,
            token=token,
            service_id=service.id,
            sv=service.sv,
            service_name=service.name,
            price=service.price,
            phone=phone,
            network=NETWORK_OF_PREFIX[f"0{phone[:2]}"],
            created=created,
            expires=created + (service.lifetime if self.settings.lifetime is None else self.settings.lifetime),
            attempt=attempt.number if attempt else None,
            again=attempt is not None and attempt.endpoint == "rephone",
        )
        rental.messages = self.stock.messages_for(rental, service)
        self.books.add_rental(rental)
        self.books.post(token, "charge", -service.price, created, rental.number)
        self._schedule_rental(rental)
        return rental

    # What happens to a rental.

    def _message_arrived(self, rental: Rental, message: Message, at: float, announce: bool = True) -> None:
        if message.arrived:
            return
        message.arrived, message.due = True, at
        self.books.waiting[rental.token].discard(rental.number)
        if not rental.refunded:
            rental.refund_due = None
        self.books.save(rental)
        if announce:
            self._announce(rental, message)

    def _expire(self, rental: Rental, at: float) -> None:
        if rental.number not in self.books.waiting[rental.token]:
            return
        self.books.waiting[rental.token].discard(rental.number)
        rental.ended = at
        if not self.faults.fires("refund-never", "rent", rental.token):
            delay = self.faults.value("refund-late", "rent", rental.token) or 0.0
            rental.refund_due = at + self.settings.refund_after + delay
            self._schedule(rental.refund_due, "refund", rental)
        self.books.save(rental)
        self._announce(rental, None)

    def _refund(self, rental: Rental, at: float) -> None:
        if rental.refund_due is None or rental.refunded:
            return
        rental.refunded = True
        self.books.post(rental.token, "refund", rental.price, at, rental.number)
        self.books.save(rental)

    def _announce(self, rental: Rental, message: Message | None) -> None:
        url = self.books.accounts[rental.token].callback_url
        if url:
            self._callback_plan.announce(rental, url, message, self.audio_url(rental, message))

    def audio_url(self, rental: Rental, message: Message | None) -> str:
        """Where the recording of a voice call is; empty for any other message."""
        if message is None or not message.call:
            return ""
        if self.faults.fires("audio-foreign", "audio", rental.token):
            return "http://127.0.0.2:9" + audio_path(rental, message)
        return self.public_url + audio_path(rental, message)

    def overtake_reply(self, rental: Rental) -> None:
        """With the fault `callback-early`, let the first message arrive and post its callback before this returns."""
        with self.transaction() as now:
            url = self.books.accounts[rental.token].callback_url
            planned = [message for message in rental.messages if not message.arrived]
            if not url or not planned or not self.faults.fires("callback-early", "callback", rental.token):
                return
            self._message_arrived(rental, planned[0], now, announce=False)
            callback = self._callback_plan.compose(rental, url, planned[0], self.audio_url(rental, planned[0]))
        self.sender.send_now(callback)

    def _callback_sent(self, callback: Callback) -> None:
        with self.lock:
            record = {"at": self.now(), "rental": callback.rental, "status": callback.status, "http": callback.answer}
            self.books.callbacks[callback.token].append(record | {"body": callback.body.decode()})

    # By hand.

    def deliver(self, phone_or_id: str, text: str, code: str | None = None, call: bool = False) -> dict[str, Any]:
        """Let a message arrive now at the rental that `find` finds; returns the message and the rental's id.

        Without a `code`, the stand-in prints none. Raises LookupError where there is no such rental.
        """
        with self.transaction() as now:
            rental = self.find(phone_or_id)
            message = Message(now, text, code, call, code_shown=code is not None)
            # Planned messages go: otherwise one of them would follow the message given by hand.
            rental.messages = [other for other in rental.messages if other.arrived] + [message]
            self._agenda = [
                entry for entry in self._agenda if entry.kind != "message" or entry.subject[0] is not rental
            ]
            heapq.heapify(self._agenda)
            self._message_arrived(rental, message, now)
            return asdict(message) | {"rental": rental.id}

    def expire(self, rental_id: str) -> None:
        """Let a waiting rental expire now. Raises LookupError where there is no such rental."""
        with self.transaction() as now:
            self._expire(self.find(rental_id), now)

    def find(self, phone_or_id: str) -> Rental:
        """A rental by its id, with or without SV, or the newest of a phone, a waiting one first. Raises LookupError."""
        digits = phone_or_id.strip().lstrip("+")
        number = digits.partition(".")[0]
        if number.isdigit() and int(number) in self.books.rentals:
            return self.books.rentals[int(number)]
        rentals = self.books.rentals_at.get(digits[-9:], [])
        waiting = [rental for rental in rentals if rental.number in self.books.waiting[rental.token]]
        if not rentals:
            raise LookupError(f"no rental with the id or phone {phone_or_id!r}")
        return (waiting or rentals)[-1]

    def seed_rentals(self, token: str, count: int, service_key: str = "02.97", age: float = 0.0) -> list[str]:
        """Put `count` waiting rentals, `age` seconds old, on the token at once and return their ids.

        They are charged, but neither gap nor limit nor balance holds them up. Raises LookupError for an unknown service.
        """
        service = self.stock.service(service_key)
        if service is None:
            raise LookupError(f"no service {service_key!r}")
        ids = []
        with self.transaction() as now:
            for _ in range(count):
                phone = self.stock.number_from(sorted(self.books.stock))
                ids.append(self._rent(token, service, phone, now - age, None).id)
        return ids
